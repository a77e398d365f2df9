"""Highway nets that start as residual ones: figures and table."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from resnet_study.figures.style import (
    FAMILY_COLOURS,
    INK,
    WIDTHS,
    line_and_band,
    net_colour,
)
from resnet_study.questions.words import (
    POINTS,
    mean_and_interval,
    network,
)

# ResNet, Highway net drawn, Highway net contained: colours that any eye tells apart.
ARM_COLOURS = {
    "ResNet": FAMILY_COLOURS["residual"],
    "Highway, drawn": FAMILY_COLOURS["highway"],
    "Highway, contained": "#D55E00",
}


def contained_curves(curves: pd.DataFrame) -> Figure:
    """Error against iteration, a panel for each depth, by the columns depth and ``arm``.

    Thin lines are training error, bold ones validation error; lines are means over seeds, bands
    reach from the lowest seed to the highest. The axis of errors is logarithmic, and so leaves
    out an error of 0.
    """
    depths = sorted(curves.depth.unique())
    figure, panels = plt.subplots(
        1, len(depths), figsize=(7.2, 3.7), sharey=True, squeeze=False, layout="constrained"
    )
    for axes, depth in zip(panels[0], depths, strict=True):
        for arm, colour in ARM_COLOURS.items():
            chosen = curves[(curves.depth == depth) & (curves.arm == arm)]
            for split, width in WIDTHS.items():
                seeds = chosen.groupby("iteration")[f"{split}_error"].agg(["mean", "min", "max"])
                line_and_band(axes, seeds, color=colour, linewidth=width)
        axes.set(title=f"{depth} layers", xlabel="iteration", yscale="log")
        axes.xaxis.set_major_locator(MaxNLocator(5))
    panels[0, 0].set_ylabel("error (%)")
    panels[0, 0].yaxis.set_major_formatter("{x:g}")
    handles = [
        Line2D([], [], color=colour, linewidth=WIDTHS["validation"], label=arm)
        for arm, colour in ARM_COLOURS.items()
    ]
    handles += [
        Line2D([], [], color=INK, linewidth=width, label=split) for split, width in WIDTHS.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def limit(errors: pd.DataFrame) -> Figure:
    """Relative ``error`` against gate ``bias``, a line for each ``depth``, and e^(−bias)."""
    figure, axes = plt.subplots(figsize=(6, 3.4), layout="constrained")
    for marker, (depth, points) in zip("os", errors.groupby("depth"), strict=False):
        axes.plot(
            points.bias,
            points.error,
            color=net_colour("residual", depth),
            marker=marker,
            label=network("residual", depth),
        )
    biases = np.linspace(errors.bias.min(), errors.bias.max(), 2)
    axes.plot(biases, np.exp(-biases), color=INK, linestyle=":", label=r"$e^{-b}$")
    axes.set(xlabel="gate bias b", ylabel="relative error", yscale="log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend()
    return figure


def containment_table(table: pd.DataFrame) -> pd.DataFrame:
    """A table of :func:`resnet_study.questions.containment.containment_gaps` as text."""
    return pd.DataFrame(
        {
            "layers": table.depth,
            "difference": table.minuend + " − " + table.subtrahend,
            POINTS: table.gap.map(mean_and_interval),
            "n": [gap.n for gap in table.gap],
            "sign": table.sign,
            "parameters": table.parameters.map("{:,}".format),
            "multiply-adds": table.multiply_adds.map("{:,}".format),
        }
    )
