"""Figures of Highway nets: how they contain a ResNet, and what their gates do block by block."""

import itertools

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from resnet_study.comparison_plots import FAMILY_COLOURS
from resnet_study.gate_statistics import constant_carry
from resnet_study.plots import DEPTH_COLOURS, OTHER_DEPTHS, WIDTHS
from resnet_study.tables import network

# ResNet, Highway net drawn, Highway net contained: colours that any eye tells apart.
ARM_COLOURS = {
    "ResNet": FAMILY_COLOURS["residual"],
    "Highway, drawn": FAMILY_COLOURS["highway"],
    "Highway, contained": "#D55E00",
}
# After Okabe & Ito too, darker where a white page would swallow a colour, and with a marker each.
BIAS_STYLES = {
    0: ("#D55E00", "X"),
    -1: ("#8C6400", "^"),
    -2: ("#009E73", "v"),
    -3: ("#0072B2", "D"),
    -4: ("#B2508C", "s"),
    -6: ("#444444", "o"),
}
LINES = ("-", "--")


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
                _line_and_band(axes, seeds, color=colour, linewidth=width)
        axes.set(title=f"{depth} layers", xlabel="iteration", yscale="log")
        axes.xaxis.set_major_locator(MaxNLocator(5))
    panels[0, 0].set_ylabel("error (%)")
    panels[0, 0].yaxis.set_major_formatter("{x:g}")
    handles = [
        Line2D([], [], color=colour, linewidth=WIDTHS["validation"], label=arm)
        for arm, colour in ARM_COLOURS.items()
    ]
    handles += [
        Line2D([], [], color="#444444", linewidth=width, label=split)
        for split, width in WIDTHS.items()
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
            color=DEPTH_COLOURS.get(depth, OTHER_DEPTHS),
            marker=marker,
            label=network("residual", depth),
        )
    biases = np.linspace(errors.bias.min(), errors.bias.max(), 2)
    axes.plot(biases, np.exp(-biases), color="#444444", linestyle=":", label=r"$e^{-b}$")
    axes.set(xlabel="gate bias b", ylabel="relative error", yscale="log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend()
    return figure


def profiles(table: pd.DataFrame, value: str, label: str, log: bool = False) -> Figure:
    """``value`` against the block: rows of panels by depth, columns by gate kernel.

    Colour and marker tell the bias that gates started from. Lines are means over seeds, bands
    reach from the lowest to the highest. Where there is a column ``line``, categorical, lines of
    its first category are solid and those of its second dashed, without bands. Dotted verticals
    are the blocks that change shape.
    """
    if "line" not in table:
        table = table.assign(line=pd.Categorical([""] * len(table)))
    depths, kernels = sorted(table.depth.unique()), sorted(table.gate_kernel.unique())
    figure, grid = plt.subplots(
        len(depths),
        len(kernels),
        figsize=(7.2, 1.1 + 2.6 * len(depths)),
        sharex="row",
        sharey="row",
        squeeze=False,
        layout="constrained",
    )
    kinds = list(table.line.cat.categories)
    for panels, depth in zip(grid, depths, strict=True):
        for axes, kernel in zip(panels, kernels, strict=True):
            chosen = table[(table.depth == depth) & (table.gate_kernel == kernel)]
            _profile(axes, chosen, value, kinds)
            size = f"{kernel:.0f}×{kernel:.0f}"
            axes.set(title=f"{network('highway', depth)}, {size} gates", xlabel="block")
            axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
            if log:
                axes.set_yscale("log")
        panels[0].set_ylabel(label)
    handles = [
        Line2D([], [], color=colour, marker=marker, label=f"bias {bias:g}".replace("-", "−"))
        for bias, (colour, marker) in BIAS_STYLES.items()
        if bias in set(table.gate_bias)
    ]
    if len(kinds) > 1:
        handles += [
            Line2D([], [], color="#444444", linestyle=style, label=kind)
            for kind, style in zip(kinds, LINES, strict=True)
        ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return figure


def _profile(axes: plt.Axes, table: pd.DataFrame, value: str, kinds: list[str]) -> None:
    groups = table.groupby(["gate_bias", "line"], observed=True)
    for (bias, kind), lines in groups:
        first = kind == kinds[0]
        colour, marker = BIAS_STYLES[bias]
        seeds = lines.groupby("position")[value].agg(["mean", "min", "max"])
        _line_and_band(
            axes,
            seeds if first else seeds[["mean"]],
            color=colour,
            marker=marker if first else None,
            markersize=4,
            linewidth=1.4,
            linestyle=LINES[kinds.index(kind)],
        )
    for name, block in table.groupby("block"):
        if name.endswith(".1") and name != "stage1.1":
            axes.axvline(block.position.iloc[0], color="#444444", linestyle=":", linewidth=0.8)


def _line_and_band(axes: plt.Axes, seeds: pd.DataFrame, **style) -> None:
    """The ``mean`` over seeds, and a band from ``min`` to ``max`` where there are these."""
    axes.plot(seeds.index, seeds["mean"], **style)
    if "min" in seeds:
        axes.fill_between(
            seeds.index, seeds["min"], seeds["max"], color=style["color"], alpha=0.2, linewidth=0
        )


def carry_products(gates: pd.DataFrame) -> Figure:
    """The carry product up to each block, after training and before; crosses: constant gates.

    ``gates`` is a table of :func:`resnet_study.records.load_gates`; for the crosses see
    :func:`resnet_study.gate_statistics.constant_carry`.
    """
    figure = profiles(before_and_after(gates), "carry_product", "carry product", log=True)
    nets = gates.groupby(["depth", "gate_kernel"])
    panels = itertools.product(*(sorted(gates[name].unique()) for name in ("depth", "gate_kernel")))
    for axes, panel in zip(figure.axes, panels, strict=True):
        if panel not in nets.groups:
            continue
        for bias, positions in nets.get_group(panel).groupby("gate_bias").position:
            blocks = positions.max()
            product = constant_carry(bias, blocks)
            axes.plot(blocks + 0.4, product, "x", color=BIAS_STYLES[bias][0], markersize=7)
    return figure


def before_and_after(gates: pd.DataFrame) -> pd.DataFrame:
    """A table of gates with the ``line`` that :func:`profiles` draws solid, and dashed."""
    lines = {"end": "after training", "start": "before"}
    return gates.assign(line=pd.Categorical(gates.when.map(lines), list(lines.values())))
