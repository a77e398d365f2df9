"""Figures: vector graphics that read on light and dark pages and never change by themselves.

Figures are drawn dark on transparent; the book's style sheet inverts them in dark mode.
"""

import re
from collections.abc import Iterable
from io import StringIO
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.ticker import EngFormatter, MaxNLocator

from resnet_study.models.families import load_family
from resnet_study.questions.experiments import BIASES

PANELS = {"training_error": "training", "validation_error": "validation"}
DEPTHS = (18, 34)
FAMILY_COLOURS = {"plain": "#6E6E6E", "residual": "#009E73", "highway": "#AA4499"}
FAMILY_MARKERS = {"plain": "x", "residual": "D", "highway": "o"}
MARKERS = "ov^Psp"  # of gate biases
PHONE = (3.7, 2.7)  # inches of a panel on a phone
MOST = 4  # panels that a reader scrolls past; a larger figure is scrolled sideways
PHONE_LETTERS = 22  # of a label, of which two stand beside each other there
TICKS = (0, 1, 3, 10, 30, 100)


def family_colour(family: str) -> str:
    """Of a family of the study, or of a file of its own."""
    return FAMILY_COLOURS.get(family) or load_family(family).COLOUR


def net_colour(family: str, depth: int) -> str:
    """Its family's colour, the darker the deeper: at 34 layers half as bright as at 18."""
    shade = 1.0 if depth <= 18 else 0.5 if depth <= 34 else 0.2
    return to_hex([shade * part for part in to_rgb(family_colour(family))])


def error_panels(
    rows: Iterable, columns: Iterable, logarithmic: bool = True
) -> tuple[Figure, dict]:
    """Panels on shared axes, by (row, column); columns that are depths are titled so."""
    rows, columns = list(rows), list(columns)
    figure, grid = plt.subplots(
        len(rows),
        len(columns),
        figsize=(7.2, 1.0 + 2.6 * len(rows)),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for axes, column in zip(grid[0], columns, strict=True):
        axes.set_title(f"{column} layers")
    for line, row in zip(grid, rows, strict=True):
        line[0].set_ylabel(f"{PANELS.get(row, '')} error (%)".strip())
    if logarithmic:
        error_axis(grid[0, 0])  # which the others share
    return figure, {
        (row, column): axes
        for row, line in zip(rows, grid, strict=True)
        for column, axes in zip(columns, line, strict=True)
    }


def error_axis(axes: plt.Axes) -> None:
    """From 0 to 100 %: logarithmic above 1 %, so that nets that fail and that do well both show."""
    axes.set_yscale("symlog", linthresh=1, linscale=0.4)
    axes.set_yticks(TICKS, [str(tick) for tick in TICKS])
    axes.minorticks_off()
    axes.set_ylim(0, 110)


def shown_errors(runs: pd.DataFrame, metric: str) -> pd.Series:
    """Without the runs that diverged."""
    return runs[metric].astype(float).dropna()


def draw_points(
    axes: plt.Axes, runs: pd.DataFrame, x: str, metric: str, shift: float = 0, **look
) -> None:
    """Mean of ``metric`` at each ``x``, with a bar from the lowest seed to the highest."""
    errors = runs.assign(error=runs[metric].astype(float)).dropna(subset="error")
    if errors.empty:
        return
    spread = errors.groupby(x).error.agg(["mean", "min", "max"])
    reach = [spread["mean"] - spread["min"], spread["max"] - spread["mean"]]
    axes.errorbar(
        spread.index.astype(float) + shift, spread["mean"], yerr=reach, capsize=2.5, **look
    )


def bias_looks(biases: Iterable[float]) -> dict[float, dict]:
    """Colour and marker of each bias, from the one closest to zero on: the same in every figure."""
    colours = matplotlib.colormaps["plasma"](np.linspace(0.55, 0, len(BIASES)))
    looks = {
        bias: {"color": matplotlib.colors.to_hex(colour), "marker": marker}
        for bias, colour, marker in zip(BIASES, colours, MARKERS, strict=True)
    }
    return {bias: looks[bias] for bias in sorted(set(biases), reverse=True)}


def line_and_band(axes: plt.Axes, seeds: pd.DataFrame, **style) -> None:
    """The ``mean`` over seeds, and a band from ``min`` to ``max`` where there are these."""
    axes.plot(seeds.index, seeds["mean"], **style)
    if "min" in seeds:
        axes.fill_between(
            seeds.index, seeds["min"], seeds["max"], color=style["color"], alpha=0.2, linewidth=0
        )


NEUTRAL = ("#0072B2", "#D55E00", "#8C6400")  # of what is no net: Okabe & Ito, the last one darker
INK = "#444444"  # of what belongs to several nets
WIDTHS = {"training": 0.9, "validation": 2.4}  # thin and bold, as in the post


def use_style() -> None:
    """Set the look of all figures, and make their SVG the same byte for byte every time."""
    matplotlib.rcdefaults()  # whatever a user's matplotlibrc says
    sns.set_theme(context="notebook", style="ticks", palette="colorblind")
    matplotlib.rcParams.update(
        {
            "figure.dpi": 100,
            "figure.facecolor": "none",
            "axes.facecolor": "none",
            "savefig.facecolor": "none",
            "legend.frameon": False,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.alpha": 0.4,
            "svg.hashsalt": "resnet-study",
        }
    )
    try:  # in a notebook: SVG, without the date that would change it
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        set_matplotlib_formats("svg", metadata={"Date": None}, bbox_inches="tight")
    except ImportError:
        pass


def svg(figure: Figure) -> str:
    """``figure`` as SVG, the same text for the same figure.

    Lines are drawn to a hundredth of a point, which is finer than any eye and half as long.
    """
    drawn = StringIO()
    figure.savefig(drawn, format="svg", metadata={"Date": None}, bbox_inches="tight")
    lines = re.compile(r'\bd="[^"]*"')
    return lines.sub(lambda line: re.sub(r"(\.\d\d)\d+", r"\1", line[0]), drawn.getvalue())


def save_svg(figure: Figure, path: Path) -> None:
    """Write ``figure`` as SVG."""
    path.write_text(svg(figure), encoding="utf-8")


def stack(figure: Figure) -> bool:
    """Put panels that stand side by side below each other, for a phone; whether it was done.

    A panel that shared its axis with its neighbours gets numbers and names of its own; a drawing
    without axes keeps its height. Figures without neighbours, and those of more than ``MOST``
    panels, stay as they are.
    """
    panels = [axes for axes in figure.axes if axes.get_subplotspec() is not None]
    places = {axes: axes.get_subplotspec() for axes in panels}
    rows = {axes: place.rowspan.start for axes, place in places.items()}
    columns = {axes: place.colspan.start for axes, place in places.items()}
    if len({*columns.values()}) < 2 or len(panels) > MOST:
        return False
    names = {rows[axes]: axes.get_ylabel() for axes in reversed(panels) if axes.get_ylabel()}
    titles = {columns[axes]: axes.get_title() for axes in reversed(panels) if axes.get_title()}
    drawing = figure.get_figheight() / len({*rows.values()})
    heights = [PHONE[1] if axes.axison else drawing for axes in panels]
    figure.set_size_inches(PHONE[0], sum(heights))
    grid = GridSpec(len(panels), 1, figure=figure, height_ratios=heights)
    for axes, place in zip(panels, grid, strict=True):
        axes.set_subplotspec(place)
        axes.tick_params(labelleft=True, labelbottom=True)
        axes.set_ylabel(axes.get_ylabel() or names.get(rows[axes], ""))
        axes.set_xlabel(axes.get_xlabel() or panels[-1].get_xlabel())
        axes.set_title(axes.get_title() or titles.get(columns[axes], ""))
    for legend in list(figure.legends):
        labels = [text.get_text() for text in legend.get_texts()]
        columns_of_labels = 2 if max(map(len, labels)) < PHONE_LETTERS else 1
        figure.legend(
            legend.legend_handles, labels, loc="outside lower center", ncols=columns_of_labels
        )
        legend.remove()
    return True


def long_curves(curves: pd.DataFrame) -> pd.DataFrame:
    """Curves of :func:`resnet_study.pipeline.frames.load_curves`, one row a point of a line.

    Columns family, depth, seed, split, iteration, error_percent: those of the paper's
    digitised curves, and seed.
    """
    labels = ["family", "depth", "seed", "iteration"]
    splits = {"training_error": "training", "validation_error": "validation"}
    # A run that diverged at once has no point, and its table no columns but labels.
    return (
        curves.reindex(columns=[*labels, *splits])
        .rename(columns=splits)
        .melt(
            id_vars=labels,
            value_vars=list(splits.values()),
            var_name="split",
            value_name="error_percent",
        )
    )


def curve_panel(axes: plt.Axes, curves: pd.DataFrame) -> None:
    """Lines of families: colour for the net, width for split, a band over seeds."""
    for (family, depth), lines in curves.groupby(["family", "depth"]):
        draw_curves(axes, lines, net_colour(family, depth))
    label_curves(axes)


def draw_curves(axes: plt.Axes, curves: pd.DataFrame, colour: str) -> None:
    """Lines of one network: width for split, a band over seeds."""
    for split, lines in curves.groupby("split"):
        sns.lineplot(
            lines,
            x="iteration",
            y="error_percent",
            ax=axes,
            color=colour,
            linewidth=WIDTHS[split],
            errorbar=("pi", 100) if "seed" in lines else None,
        )


def label_curves(axes: plt.Axes) -> None:
    """Name the axes of curves; iterations are written short."""
    axes.set(xlabel="iteration", ylabel="error (%)")
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))  # 100k, not 100000
    axes.xaxis.set_major_locator(MaxNLocator(5))
