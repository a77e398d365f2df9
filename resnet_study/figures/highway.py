"""Highway nets beside residual ones: figures and tables."""

from collections.abc import Iterable
from dataclasses import dataclass

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from resnet_study.figures.line_names import name_lines
from resnet_study.figures.style import (
    DEPTHS,
    FAMILY_COLOURS,
    FAMILY_MARKERS,
    PANELS,
    WIDTHS,
    draw_curves,
    draw_points,
    error_axis,
    error_panels,
    label_curves,
    shown_errors,
)
from resnet_study.questions.effects import gap, select
from resnet_study.questions.words import (
    NETWORKS,
    POINTS,
    gate,
    mean_and_deviation,
    mean_and_interval,
    network,
    signed,
)
from resnet_study.statistics import estimate

KERNELS = {1: ("#332288", "s", "--", -0.07), 3: (FAMILY_COLOURS["highway"], "o", "-", 0.07)}


def errors_by_bias(runs: pd.DataFrame, metrics: Iterable[str] = tuple(PANELS)) -> Figure:
    """Final error against gate bias: a row for each of ``metrics``, a column a depth.

    ``runs`` are :func:`resnet_study.questions.highway.usual` ones. Plain and residual nets, which
    have no gate, are lines across, with bands.
    """
    figure, grid = error_panels(metrics, DEPTHS)
    panels = {}
    biases = sorted(runs.gate_bias.astype(float).dropna().unique())
    for (metric, depth), axes in grid.items():
        nets, lines = runs[runs.depth == depth], {}
        for family in ("plain", "residual"):
            errors = shown_errors(nets[nets.family == family], metric)
            if len(errors):
                colour = FAMILY_COLOURS[family]
                axes.axhline(errors.mean(), color=colour, linewidth=1.6)
                axes.axhspan(errors.min(), errors.max(), color=colour, alpha=0.25, linewidth=0)
                lines[NETWORKS[family]] = (
                    pd.Series(errors.mean(), index=biases),
                    {"color": colour},
                )
        for kernel, (colour, marker, style, shift) in KERNELS.items():
            chosen = nets[(nets.family == "highway") & (nets.gate_kernel == kernel)]
            look = {"color": colour, "marker": marker, "ls": style}
            draw_points(axes, chosen, "gate_bias", metric, shift, **look)
            means = shown_errors(chosen, metric).groupby(chosen.gate_bias.astype(float)).mean()
            if len(means):
                lines[f"{kernel}×{kernel} gates"] = (means, {"color": colour, "ls": style})
        ends = {biases[0]: "\nshut", biases[-1]: "\nhalf open"} if biases else {}
        axes.set_xticks(biases, [f"{bias:g}{ends.get(bias, '')}" for bias in biases])
        axes.set_xlabel("gate bias at the start" if metric == [*metrics][-1] else "")
        panels[axes] = lines
    name_lines(figure, panels)
    return figure


def errors_by_rate(runs: pd.DataFrame) -> Figure:
    """Final error against the learning rate, a line a family; panels as in ``errors_by_bias``."""
    figure, grid = error_panels(PANELS, DEPTHS)
    rates = sorted(runs.rate.unique())
    for (metric, depth), axes in grid.items():
        for family, colour in FAMILY_COLOURS.items():
            chosen = runs[(runs.family == family) & (runs.depth == depth)]
            look = {"color": colour, "marker": FAMILY_MARKERS[family]}
            draw_points(axes, chosen, "rate", metric, label=NETWORKS[family], **look)
        axes.set_xscale("log")
        axes.set_xticks(rates, [f"{rate:g}" for rate in rates])
        axes.minorticks_off()
        axes.margins(x=0.15)  # the outer labels of two panels stay apart
        axes.set_xlabel("learning rate" if metric == "validation_error" else "")
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


def family_curves(curves: pd.DataFrame, logarithmic: bool = True) -> Figure:
    """Error against iteration, a panel a depth, a colour a family; thin training, bold validation.

    ``curves`` are long ones of :func:`resnet_study.figures.style.long_curves`, one network a
    family and depth.
    """
    figure, grid = plt.subplots(
        1, len(DEPTHS), figsize=(7.2, 3.5), sharex=True, sharey=True, layout="constrained"
    )
    for axes, depth in zip(grid, DEPTHS, strict=True):
        chosen = curves[curves.depth == depth]
        for family in chosen.family.unique():
            draw_curves(axes, chosen[chosen.family == family], FAMILY_COLOURS[family])
        label_curves(axes)
        axes.set_title(f"{depth} layers")
    if logarithmic:
        error_axis(grid[0])  # after the lines: seaborn takes means in the scale it finds
    grid[1].set_ylabel("")
    handles = [
        Line2D([], [], color=colour, linewidth=width, label=f"{NETWORKS[family]}, {split}")
        for family, colour in FAMILY_COLOURS.items()
        if family in set(curves.family)
        for split, width in WIDTHS.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=max(1, len(handles) // 2))
    return figure


def gap_table(table: pd.DataFrame) -> pd.DataFrame:
    """A table of :func:`resnet_study.questions.highway.highway_gaps` as text, Highway − ResNet."""
    return pd.DataFrame(
        {
            "network": [network("highway", depth) for depth in table.depth],
            "gate": [gate(*pair) for pair in zip(table.kernel, table.bias, strict=True)],
            "matched": table.match.str.replace("_", "-"),
            POINTS: table.gap.map(mean_and_interval),
            "n": [gap.n for gap in table.gap],
            "sign": table.sign,
            "parameters": table.parameters.map("{:,}".format),
            "multiply-adds": table.multiply_adds.map("{:,}".format),
        }
    )


@dataclass(frozen=True)
class Published:
    """One comparison: test errors in percent on CIFAR-10, parameters in millions."""

    source: str
    layers: str  # of the Highway net, of the ResNet
    gate: str
    highway: float
    residual: float
    n: str  # trainings of each, as far as it is told
    parameters: str


# What each changes besides the gates is told below their table in the chapter.
PUBLISHED_COMPARISONS = (
    Published(
        # The Highway net's error is that of Srivastava et al. 2015, means over trainings.
        "He et al. 2015",
        "19, 110",
        "−2",
        7.72,
        6.61,
        "5 (ResNet)",
        "2.3 M, 1.7 M",
    ),
    Published(
        "He et al. 2016, Table 1",
        "110, 110",
        "1×1, −6",  # the best of 0 to −7; those of 0 to −5 fail
        8.70,
        6.61,
        "5 (median)",
        "–",
    ),
    Published(
        "Srivastava 2025",
        "110, 110",
        "normalised, −6",
        6.04,
        6.25,
        "1",
        "2.65 M, 1.73 M",
    ),
)


def beside_published(scales: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """One row a comparison: the published ones, then ours at each depth.

    ``scales`` maps the name of a data set to runs of
    :func:`resnet_study.pipeline.frames.load_runs`, of one gate and one rate for each network, or
    none; their errors are those of validation.
    """
    rows = [
        {
            "who": one.source,
            "data": "CIFAR-10",
            "gap, points": signed(one.highway - one.residual),
            "n": one.n,
            "layers": one.layers,
            "gate": one.gate,
            "Highway, %": f"{one.highway:.2f}",
            "ResNet, %": f"{one.residual:.2f}",
            "parameters": one.parameters,
        }
        for one in PUBLISHED_COMPARISONS
    ]
    for data, runs in scales.items():
        for depth in (18, 34):
            ours = _ours(data, runs, depth)
            rows.extend([ours] if ours else [])
    return pd.DataFrame(rows)


def _ours(data: str, runs: pd.DataFrame, depth: int) -> dict | None:
    if runs.empty:
        return None
    highway, residual = (select(runs, family, depth) for family in ("highway", "residual"))
    if highway.empty or residual.empty:
        return None
    errors = (estimate(nets.validation_error.astype(float)) for nets in (highway, residual))
    measured = gap(highway, residual, "validation_error")
    sizes = (f"{nets.parameters.iloc[0] / 1e6:.2f} M" for nets in (highway, residual))
    return {
        "who": "this book",
        "data": data,
        "gap, points": mean_and_interval(measured),
        "n": str(measured.n),
        "layers": f"{depth}, {depth}",
        "gate": gate(highway.gate_kernel.iloc[0], highway.gate_bias.iloc[0]),
        **dict(zip(("Highway, %", "ResNet, %"), map(mean_and_deviation, errors), strict=True)),
        "parameters": ", ".join(sizes),
    }
