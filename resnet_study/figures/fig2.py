"""Fig. 2: the curves, and what they say of the claims."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from resnet_study.figures.style import (
    INK,
    WIDTHS,
    curve_panel,
    long_curves,
    net_colour,
)
from resnet_study.questions.effects import FIG2_EFFECTS
from resnet_study.questions.verdicts import DELTA, read
from resnet_study.questions.words import (
    METRICS,
    NETWORKS,
    POINTS,
    difference,
    mean_and_interval,
)

FIG2_FAMILIES = ("plain", "residual")  # left and right, as in the post


def fig2(sets: dict[str, pd.DataFrame]) -> Figure:
    """Fig. 2 of the post: plain nets left, residual nets right, on shared axes.

    Grey is plain and green residual, the darker the deeper, and each net is named at its end. Thin
    lines are training error, bold ones validation error; lines are means over seeds, bands reach
    from the lowest seed to the highest. What depth does to training error is written at the top.

    Args:
        sets: title to long curves (see :func:`long_curves`), one row of panels each.
    """
    rows = len(sets)
    figure, grid = plt.subplots(
        rows,
        len(FIG2_FAMILIES),
        figsize=(7.2, 0.6 + 2.4 * rows),
        sharex="row",
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for panels, (title, curves) in zip(grid, sets.items(), strict=True):
        for axes, family in zip(panels, FIG2_FAMILIES, strict=True):
            curve_panel(axes, curves[curves.family == family])
            axes.set_title(f"{NETWORKS[family]} {title}".strip())
            _name_depths(axes, curves[curves.family == family])
            _tell_difference(axes, curves[curves.family == family])
    for axes in grid[:, 1:].flat:
        axes.set_ylabel("")
    low, high = grid[0, 0].get_ylim()  # which all share
    grid[0, 0].set_ylim(low - 0.1 * (high - low), high)  # room for names below the lowest lines
    return figure


def _ends(curves: pd.DataFrame) -> pd.DataFrame:
    """Where the lines of each depth end: a column a split, and the last iteration of both."""
    drawn = curves.dropna(subset="error_percent")
    last = drawn.groupby(["depth", "split"]).iteration.transform("max")
    ended = drawn[drawn.iteration == last].groupby(["depth", "split"])
    means = ended.error_percent.mean().unstack("split")
    return means.assign(iteration=ended.iteration.max().groupby("depth").max())


def _name_depths(axes: plt.Axes, curves: pd.DataFrame) -> None:
    """Name each net where its lines end, the one that fits worst above them, the others below."""
    ends = _ends(curves)
    splits = [split for split in WIDTHS if split in ends]
    for place, (depth, end) in enumerate(ends.sort_values(splits, ascending=False).iterrows()):
        axes.annotate(
            f"{depth} layers",
            (end.iteration, end[splits].min() if place else end[splits].max()),
            xytext=(0, -4 if place else 4),
            textcoords="offset points",
            ha="right",
            va="top" if place else "bottom",
            color=net_colour(curves.family.iloc[0], depth),
            fontsize="small",
        )


def _tell_difference(axes: plt.Axes, curves: pd.DataFrame) -> None:
    """Whether the deepest net fits worse or better than the shallowest, by a point or more."""
    ends = _ends(curves).get("training", pd.Series()).dropna()
    if len(ends) < 2:
        return
    gap = ends.iloc[-1] - ends.iloc[0]
    axes.text(
        *(1, 0.98),
        "deeper fits " + ("alike" if abs(gap) < DELTA else "worse" if gap > 0 else "better"),
        transform=axes.transAxes,
        ha="right",
        va="top",
        color=INK,
        fontsize="small",
        style="italic",
    )


def curve(curves: pd.DataFrame, title: str) -> Figure:
    """Training (thin) and validation error (bold) of one run."""
    figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
    curve_panel(axes, long_curves(curves).drop(columns="seed"))
    axes.set_title(title)
    return figure


def effect_table(runs: pd.DataFrame) -> pd.DataFrame:
    """One row an effect of Fig. 2: its size, n, and what it says of the claim."""
    rows = []
    for effect in FIG2_EFFECTS:
        measured = effect.estimate(runs)
        rows.append(
            {
                "difference": difference(effect),
                "error": METRICS[effect.metric],
                POINTS: mean_and_interval(measured),
                "n": measured.n,
                "claimed": f"{effect.claimed} ({effect.claim})",
                "reads": read(measured, effect.claimed),
            }
        )
    return pd.DataFrame(rows)
