"""Figures: vector graphics that read on light and dark pages and never change by themselves.

Figures are drawn dark on transparent; the book's style sheet inverts them in dark mode.
"""

import matplotlib
import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, MaxNLocator

from resnet_study.benchmarks import LOOPS
from resnet_study.tables import NETWORKS, network

DEPTH_COLOURS = {18: "#0072B2", 34: "#D55E00"}  # Okabe & Ito: told apart by any eye
OTHER_DEPTHS = "#009E73"
LOOP_COLOURS = {"stock": "#D55E00", "resident": "#0072B2", "ours": "#009E73"}  # theirs too
FIG2_FAMILIES = ("plain", "residual")  # left and right, as in the post
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


def save_svg(figure: Figure, path) -> None:
    """Write ``figure`` as SVG, the same bytes for the same figure."""
    figure.savefig(path, format="svg", metadata={"Date": None}, bbox_inches="tight")


def long_curves(curves: pd.DataFrame) -> pd.DataFrame:
    """Curves of :func:`resnet_study.records.load_curves`, one row a point of a line.

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


def _panel(axes: plt.Axes, curves: pd.DataFrame) -> None:
    """Lines of one family: colour for depth, width for split, a band over seeds."""
    for depth, lines in curves.groupby("depth"):
        draw_curves(axes, lines, DEPTH_COLOURS.get(depth, OTHER_DEPTHS))
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


def fig2(sets: dict[str, pd.DataFrame]) -> Figure:
    """Fig. 2 of the post: plain nets left, residual nets right, on shared axes.

    Thin lines are training error, bold ones validation error; lines are means over
    seeds, bands reach from the lowest seed to the highest.

    Args:
        sets: title to long curves (see :func:`long_curves`), one row of panels each.
    """
    rows = len(sets)
    figure, grid = plt.subplots(
        rows,
        len(FIG2_FAMILIES),
        figsize=(7.2, 0.6 + 2.9 * rows),
        sharex="row",
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for panels, (title, curves) in zip(grid, sets.items(), strict=True):
        for axes, family in zip(panels, FIG2_FAMILIES, strict=True):
            _panel(axes, curves[curves.family == family])
            axes.set_title(f"{NETWORKS[family]} {title}".strip())
    for axes in grid[:, 1:].flat:
        axes.set_ylabel("")
    handles = [
        Line2D([], [], color=colour, linewidth=width, label=f"{depth} layers, {split}")
        for depth, colour in DEPTH_COLOURS.items()
        for split, width in WIDTHS.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def curve(curves: pd.DataFrame, title: str) -> Figure:
    """Training (thin) and validation error (bold) of one run."""
    figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
    _panel(axes, long_curves(curves).drop(columns="seed"))
    axes.set_title(title)
    return figure


def speeds(measured: pd.DataFrame, title: str) -> Figure:
    """Images per second of each network and loop: medians, with lines from lowest to highest.

    ``measured`` is a table of :func:`resnet_study.benchmarks.load_speeds`.
    """
    networks = list(measured.groupby(["family", "depth"], sort=False).groups)
    figure, axes = plt.subplots(figsize=(7.2, 1.3 + 0.75 * len(networks)), layout="constrained")
    for place, (loop, bars) in enumerate(measured.groupby("loop", sort=False)):
        middle = bars.images_per_second
        drawn = axes.barh(
            [row + 0.27 * (place - 1) for row in range(len(networks))],
            middle,
            height=0.25,
            color=LOOP_COLOURS[loop],
            label=LOOPS[loop],
            xerr=[middle - bars.lowest, bars.highest - middle],
            error_kw={"elinewidth": 1, "ecolor": "#444444"},
        )
        axes.bar_label(drawn, [f"{speed:,.0f}" for speed in middle], padding=6, fontsize=9)
    axes.set_yticks(range(len(networks)), [network(*name) for name in networks])
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("images per second")
    axes.set_title(title, parse_math=False)  # a device's name may have a dollar
    figure.legend(loc="outside lower center", ncols=len(LOOPS))
    return figure
