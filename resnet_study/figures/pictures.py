"""Figures of the fifty classes: gaps between nets as they train."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from resnet_study.figures.style import FAMILY_COLOURS, INK, label_curves
from resnet_study.questions.words import NETWORKS
from resnet_study.statistics import FEWEST

START_COLOURS = {"batch": "#009E73", "zero-gamma": "#E69F00", "small-gamma": "#56B4E9"}
START_WORDS = {"batch": "usual", "zero-gamma": "zero-γ", "small-gamma": "small γ"}


def depth_gaps(ours: dict[tuple[str, str], pd.DataFrame]) -> Figure:
    """34 − 18 layers against the iteration: a panel a split, a line a family with its interval.

    ``ours`` are tables of :func:`resnet_study.questions.pictures.gap_by_iteration` by family and
    split, "training" or "validation".
    """
    figure, panels = _panels(("training", "validation"), "34 − 18 layers (points)")
    for (family, split), gap in ours.items():
        _line(panels[split], gap, "iteration", FAMILY_COLOURS[family], NETWORKS[family])
    for axes in panels.values():
        label_curves(axes)
        axes.set_ylabel("")
    panels["training"].set_ylabel("34 − 18 layers (points)")
    _end_labels(panels["validation"])
    return figure


def beside_paper(
    ours: dict[tuple[str, str], pd.DataFrame], paper: dict[tuple[str, str], pd.DataFrame]
) -> Figure:
    """The same beside the paper's, on a common axis, the share of the training: a panel a family.

    Ours with intervals, the paper's dashed; both in training error.
    """
    figure, panels = _panels(("plain", "residual"), "34 − 18 layers (points)", sharey=False)
    for family, axes in panels.items():
        colour = FAMILY_COLOURS[family]
        _line(axes, ours[family, "training"], "share", colour, "ours, fifty classes")
        theirs = paper[family, "training"]
        axes.plot(theirs.share, theirs["mean"], "--", color=colour, label="the paper, ImageNet")
        axes.set(title=NETWORKS[family], xlabel="share of the training")
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    styles = {"ours, fifty classes": "-", "the paper, ImageNet": "--"}
    handles = [Line2D([], [], color=INK, ls=ls, label=name) for name, ls in styles.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def start_gaps(gaps: dict[tuple[str, str], pd.DataFrame]) -> Figure:
    """ResNet-34 − ResNet-18 by the start of their branches; a panel a split."""
    figure, panels = _panels(("training", "validation"), "ResNet-34 − ResNet-18 (points)")
    for (start, split), gap in gaps.items():
        _line(panels[split], gap, "iteration", START_COLOURS[start], START_WORDS[start])
    for axes in panels.values():
        label_curves(axes)
        axes.set_ylabel("")
    panels["training"].set_ylabel("ResNet-34 − ResNet-18 (points)")
    panels["validation"].legend()
    return figure


def highway_gaps(gaps: dict[tuple[int, str], pd.DataFrame]) -> Figure:
    """Highway − ResNet of equal size against the iteration: a panel a split, a line a depth."""
    figure, panels = _panels(("training", "validation"), "Highway − ResNet (points)")
    for (depth, split), gap in gaps.items():
        style = "-" if depth == 34 else ":"
        _line(panels[split], gap, "iteration", FAMILY_COLOURS["highway"], f"{depth} layers", style)
    for axes in panels.values():
        label_curves(axes)
        axes.set_ylabel("")
    panels["training"].set_ylabel("Highway − ResNet (points)")
    panels["validation"].legend()
    return figure


def _panels(titles: tuple[str, ...], label: str, sharey: bool = True) -> tuple[Figure, dict]:
    figure, grid = plt.subplots(
        1, len(titles), figsize=(7.2, 3.4), sharey=sharey, layout="constrained"
    )
    for axes, title in zip(grid, titles, strict=True):
        axes.axhline(0, color=INK, linewidth=1)
        axes.set_title(f"{title} error")
    grid[0].set_ylabel(label)
    return figure, dict(zip(titles, grid, strict=True))


def _line(axes, gap: pd.DataFrame, x: str, colour: str, label: str, style: str = "-") -> None:
    """Mean with its 95 % interval, where there are seeds enough."""
    axes.plot(gap[x], gap["mean"], style, color=colour, label=label)
    enough = gap[gap.n >= FEWEST]
    axes.fill_between(enough[x], enough.low, enough.high, color=colour, alpha=0.2, linewidth=0)


def _end_labels(axes: plt.Axes) -> None:
    """Name each line at its end."""
    for line in axes.lines[1:]:
        axes.annotate(
            line.get_label(),
            (line.get_xdata()[-1], line.get_ydata()[-1]),
            xytext=(4, 4),
            textcoords="offset points",
            ha="right",
            color=line.get_color(),
        )
