"""Nets of many depths: figures and tables."""

from dataclasses import dataclass

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from resnet_study.figures.line_names import name_lines
from resnet_study.figures.style import (
    FAMILY_COLOURS,
    INK,
    PANELS,
    draw_curves,
    draw_points,
    label_curves,
    long_curves,
)
from resnet_study.figures.tables import final_errors
from resnet_study.questions.depth import FAILURE
from resnet_study.questions.effects import select
from resnet_study.questions.words import (
    NETWORKS,
    kind,
    mean_and_deviation,
)
from resnet_study.statistics import estimate

LOOKS = {  # Okabe & Ito and a grey, and a marker each: told apart by any eye
    ("plain", "batch"): {"color": FAMILY_COLOURS["plain"], "marker": "s"},
    ("residual", "batch"): {"color": FAMILY_COLOURS["residual"], "marker": "D"},
    ("residual", "zero-gamma"): {"color": "#0072B2", "marker": "o"},
}


def errors_by_depth(runs: pd.DataFrame, chance: float) -> Figure:
    """Final error against depth, left training, right validation; a line for each kind of net.

    Points are means over seeds, bars reach from the lowest seed to the highest. Nets of the same
    recipe are joined; those of other recipes, narrower, are hollow. ``chance`` is the error of
    guessing, in percent; the grey band is failure, above ``depth_effects.FAILURE``.

    ``runs`` is a table of :func:`resnet_study.pipeline.frames.load_runs`; its first recipe is the
    usual.
    """
    figure, panels = plt.subplots(1, 2, figsize=(7.2, 3.9), sharey=True, layout="constrained")
    depths = sorted(runs.depth.unique())
    for (metric, title), axes in zip(PANELS.items(), panels, strict=True):
        axes.axhspan(FAILURE, 100, color="#888888", alpha=0.12, linewidth=0)
        axes.axhline(chance, color=INK, linestyle=":", linewidth=1)
        for place, ((family, normalisation), look) in enumerate(LOOKS.items()):
            nets = runs[(runs.family == family) & (runs.normalisation == normalisation)]
            nets = nets.assign(**{metric: nets[metric].astype(float).fillna(100)})
            for recipe, chosen in nets.groupby("recipe", sort=False):
                narrow = recipe != runs.recipe.iloc[0]
                hollow = {"markerfacecolor": "white", "linestyle": "none"} if narrow else {}
                shift = 1.06 ** (place - 1 + 2 * narrow)  # side by side, not behind each other
                shifted = chosen.assign(depth=chosen.depth * shift)
                draw_points(axes, shifted, "depth", metric, **look, **hollow)
        axes.set_xscale("log")
        axes.set_xticks(depths, [f"{depth:,}" for depth in depths])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set(title=title, xlabel="layers", ylim=(0, 103))
    panels[0].set_ylabel("error (%)")
    figure.legend(handles=_handles(runs), loc="outside lower center", ncols=3)
    return figure


def _name(net: tuple[str, str]) -> str:
    """``ResNet, zero-γ``, of a family and a normalisation."""
    return kind(NETWORKS[net[0]], net[1])


def _handles(runs: pd.DataFrame) -> list[Line2D]:
    """The kinds of nets in ``runs``, and what a hollow marker is if there is one."""
    there = set(zip(runs.family, runs.normalisation, strict=True))
    handles = [
        Line2D([], [], **look, label=_name(net)) for net, look in LOOKS.items() if net in there
    ]
    if runs.recipe.nunique() > 1:
        hollow = {"marker": "o", "markerfacecolor": "white", "linestyle": "none"}
        narrow = sorted(set(runs.width))[0]
        handles.append(Line2D([], [], color=INK, **hollow, label=f"hollow: width {narrow}"))
    return handles


def depth_curves(curves: pd.DataFrame, runs: pd.DataFrame, chance: float) -> Figure:
    """Error against iteration, a panel a depth; thin training, bold validation.

    ``curves`` and ``runs`` are tables of :mod:`resnet_study.pipeline.frames` of the same nets, of
    one width at each depth. Lines are means over seeds, bands reach from the lowest seed to the
    highest; nets that all diverged have none and are told in words.
    """
    depths = sorted(curves.depth.unique())
    figure, grid = plt.subplots(
        1,
        len(depths),
        figsize=(7.2, 3.2),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    panels = {}
    for axes, depth in zip(grid[0], depths, strict=True):
        axes.axhline(chance, color=INK, linestyle=":", linewidth=1)
        lines = {}
        for (family, normalisation), look in LOOKS.items():
            colour = {"color": look["color"]}
            nets = curves[(curves.depth == depth) & (curves.family == family)]
            nets = nets[nets.normalisation == normalisation]
            if len(nets):
                draw_curves(axes, long_curves(nets), look["color"])
                mean = nets.groupby("iteration").validation_error.mean()
                lines[_name((family, normalisation))] = (mean, colour)
            alike = runs[(runs.depth == depth) & (runs.family == family)]
            alike = alike[alike.normalisation == normalisation]
            if len(alike) and alike.diverged.all():
                ends = pd.Series(chance, index=curves.iteration.agg(["min", "max"]))
                lines[f"{_name((family, normalisation))}: diverged"] = (ends, colour)
        label_curves(axes)
        axes.set(title=f"{depth:,} layers", ylim=(0, 103))
        panels[axes] = lines
    name_lines(figure, panels)
    for axes in grid[0, 1:]:
        axes.set_ylabel("")
    return figure


def deep_net_table(runs: pd.DataFrame) -> pd.DataFrame:
    """One row a network of any depth, width and start: its errors, what a run costs, its size.

    Minutes are means over seeds, memory is the highest peak of a process.
    """
    rows = []
    for (_, width, _, normalisation), group in runs.groupby(
        ["depth", "width", "family", "normalisation"]
    ):
        (row,) = final_errors(group).to_dict("records")
        peak = group.peak_memory.astype(float).max()
        rows.append(
            {
                "network": kind(row["network"], normalisation),
                "width": width,
                **{name: row[name] for name in ("training, %", "validation, %", "n", "diverged")},
                "minutes": f"{group.seconds.mean() / 60:.2g}",
                "memory, GiB": f"{peak / 2**30:.2f}" if pd.notna(peak) else "–",
                "parameters": row["parameters"],
                "multiply-adds": f"{group.multiply_adds.iloc[0]:,}",
            }
        )
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class Published:
    """Test errors of one depth, in percent, as they are told; parameters are the residual net's."""

    source: str
    layers: int
    plain: str
    residual: str
    n: str  # trainings of each, as far as it is told
    parameters: str = "–"


PUBLISHED_ERRORS = (
    Published("He et al. 2015", 20, "–", "8.75", "1", "0.27 M"),
    Published("He et al. 2015", 56, "–", "6.97", "1", "0.85 M"),
    Published("He et al. 2015", 110, "above 60", "6.61 ± 0.16", "5 (ResNet)", "1.7 M"),
    Published("He et al. 2015", 1202, "–", "7.93", "1", "19.4 M"),
    Published("He et al. 2016", 1001, "–", "7.61; pre-activation 4.92", "–"),
    Published("Li et al. 2018", 20, "8.18", "7.37", "1"),
    Published("Li et al. 2018", 56, "13.31", "5.89", "1"),
    Published("Li et al. 2018", 110, "16.44", "5.79", "1"),
    Published("nabla0001/resnet", 20, "9.78 ± 0.13", "8.51 ± 0.22", "5"),
    Published("nabla0001/resnet", 56, "12.95 ± 0.22", "7.40 ± 0.27", "5"),
    Published("nabla0001/resnet", 110, "–", "7.14 ± 0.20", "5"),
)


def beside_published(scales: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """One row a source and depth: the published errors, then ours, which are of validation.

    ``scales`` maps the name of a data set to runs of
    :func:`resnet_study.pipeline.frames.load_runs`, of one width at each depth, or none.
    """
    rows = [
        {
            "who": one.source,
            "data": "CIFAR-10",
            "layers": f"{one.layers:,}",
            "plain, %": one.plain,
            "ResNet, %": one.residual,
            "ResNet, zero-γ, %": "–",
            "n": one.n,
            "parameters": one.parameters,
        }
        for one in PUBLISHED_ERRORS
    ]
    for data, runs in scales.items():
        for depth in sorted(set(runs.depth)) if len(runs) else ():
            rows.append({"who": "this book", "data": data, **_ours(runs, depth)})
    return pd.DataFrame(rows)


def _ours(runs: pd.DataFrame, depth: int) -> dict[str, str]:
    nets = {
        "plain, %": select(runs, "plain", depth),
        "ResNet, %": select(runs, "residual", depth, normalisation="batch"),
        "ResNet, zero-γ, %": select(runs, "residual", depth, normalisation="zero-gamma"),
    }
    counts = {title: str(len(chosen)) for title, chosen in nets.items()}
    return {
        "layers": f"{depth:,}",
        **{
            title: "diverged"
            if len(chosen) and chosen.diverged.all()
            else mean_and_deviation(estimate(chosen.validation_error.astype(float)))
            for title, chosen in nets.items()
        },
        "n": ", ".join(counts.values()) if len(set(counts.values())) > 1 else counts["plain, %"],
        "parameters": f"{runs[runs.depth == depth].parameters.iloc[0] / 1e6:.2f} M",
    }
