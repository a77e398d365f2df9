"""Figures of nets of many depths: final errors against depth, and curves of one depth.

A network without a record is not drawn; one that diverged counts 100 %.
"""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from resnet_study.comparison_plots import FAMILY_COLOURS, METRICS, draw_points
from resnet_study.depth_effects import FAILURE
from resnet_study.plots import WIDTHS, draw_curves, label_curves, long_curves
from resnet_study.tables import NETWORKS, kind

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

    ``runs`` is a table of :func:`resnet_study.records.load_runs`; its first recipe is the usual.
    """
    figure, panels = plt.subplots(1, 2, figsize=(7.2, 3.9), sharey=True, layout="constrained")
    depths = sorted(runs.depth.unique())
    for (metric, title), axes in zip(METRICS.items(), panels, strict=True):
        axes.axhspan(FAILURE, 100, color="#888888", alpha=0.12, linewidth=0)
        axes.axhline(chance, color="#444444", linestyle=":", linewidth=1)
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
        handles.append(Line2D([], [], color="#444444", **hollow, label=f"hollow: width {narrow}"))
    return handles


def depth_curves(curves: pd.DataFrame, chance: float) -> Figure:
    """Error against iteration, a panel a depth; thin training, bold validation.

    ``curves`` is a table of :func:`resnet_study.records.load_curves`, of one width at each depth.
    Lines are means over seeds, bands reach from the lowest seed to the highest.
    """
    depths = sorted(curves.depth.unique())
    figure, grid = plt.subplots(
        1,
        len(depths),
        figsize=(7.2, 3.6),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for axes, depth in zip(grid[0], depths, strict=True):
        axes.axhline(chance, color="#444444", linestyle=":", linewidth=1)
        for (family, normalisation), look in LOOKS.items():
            nets = curves[(curves.depth == depth) & (curves.family == family)]
            nets = nets[nets.normalisation == normalisation]
            if len(nets):
                draw_curves(axes, long_curves(nets), look["color"])
        label_curves(axes)
        axes.set(title=f"{depth:,} layers", ylim=(0, 103))
    for axes in grid[0, 1:]:
        axes.set_ylabel("")
    there = set(zip(curves.family, curves.normalisation, strict=True))
    handles = [
        Line2D([], [], color=look["color"], linewidth=width, label=f"{_name(net)}, {split}")
        for net, look in LOOKS.items()
        if net in there
        for split, width in WIDTHS.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=max(1, len(handles) // 2))
    return figure
