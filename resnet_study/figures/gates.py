"""Gates of trained Highway nets, block by block: figures and tables."""

import itertools
import math

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from resnet_study.figures.style import INK, line_and_band
from resnet_study.questions.words import (
    gate,
    mean_and_range,
    network,
)


def constant_carry(bias: float, blocks: int) -> float:
    r"""Carry product of gates that are σ(``bias``) whatever they see.

    :math:`(1 - \sigma(b))^n` with ``bias`` b and n ``blocks``.
    """
    return (1 + math.exp(bias)) ** -blocks


def summarise(gates: pd.DataFrame, lesions: pd.DataFrame) -> pd.DataFrame:
    """One row a run: the gates of all its blocks as a few numbers.

    Tables of :func:`resnet_study.pipeline.frames.load_gates` and ``load_lesions``; a run is told
    by depth, gate_kernel, gate_bias and seed. Columns ending in ``_start`` and ``_end`` are means
    over the blocks of ``transform``, ``deviation``, ``class_share`` and ``bias``;
    ``carry_product`` is that of all ``blocks``, which gates that do not look at their input would
    start with as ``carry_product_constant``; ``worst`` is the block whose lesion costs most,
    ``worst_cost`` and ``worst_recalibrated`` the points of validation error it costs, and
    ``harmless`` the share of blocks whose lesion, recalibrated, costs nothing.
    """
    run = ["depth", "gate_kernel", "gate_bias", "seed"]
    means = ["transform", "deviation", "class_share", "bias"]
    by_run = gates.groupby([*run, "when"])
    table = by_run[means].mean().join(by_run.carry_product.last()).unstack("when")
    table.columns = [f"{name}_{when}" for name, when in table.columns]
    sizes = ["parameters", "multiply_adds"]
    table = table.join(gates.groupby(run)[sizes].first())
    table["blocks"] = gates.groupby(run).position.max()
    biases = table.index.get_level_values("gate_bias")
    table["carry_product_constant"] = [
        constant_carry(bias, blocks) for bias, blocks in zip(biases, table.blocks, strict=True)
    ]
    worst = lesions.loc[lesions.groupby(run).cost.idxmax()].set_index(run)
    names = {"block": "worst", "cost": "worst_cost", "cost_recalibrated": "worst_recalibrated"}
    table = table.join(worst[list(names)].rename(columns=names))
    harmless = (lesions.cost_recalibrated <= 0).groupby([lesions[name] for name in run]).mean()
    return table.join(harmless.rename("harmless")).reset_index()


# After Okabe & Ito too, darker where a white page would swallow a colour, and with a marker each.
BIAS_STYLES = {
    0: ("#D55E00", "X"),
    -1: ("#8C6400", "^"),
    -2: ("#117799", "v"),
    -3: ("#0072B2", "D"),
    -4: ("#B2508C", "s"),
    -6: (INK, "o"),
}
LINES = ("-", "--")


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
            Line2D([], [], color=INK, linestyle=style, label=kind)
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
        line_and_band(
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
            axes.axvline(block.position.iloc[0], color=INK, linestyle=":", linewidth=0.8)


def carry_products(gates: pd.DataFrame) -> Figure:
    """The carry product up to each block, after training and before; crosses: constant gates.

    ``gates`` is a table of :func:`resnet_study.pipeline.frames.load_gates`; for the crosses see
    :func:`resnet_study.figures.gates.constant_carry`.
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


def gate_table(summary: pd.DataFrame, columns: dict[str, str]) -> pd.DataFrame:
    """One row a gate of :func:`resnet_study.figures.gates.summarise`: columns by their titles.

    Means over seeds, with the lowest and the highest.
    """
    rows = []
    for (depth, kernel, bias), runs in summary.groupby(["depth", "gate_kernel", "gate_bias"]):
        rows.append(
            {
                "network": network("highway", depth),
                "gate": gate(kernel, bias),
                **{title: mean_and_range(runs[name]) for name, title in columns.items()},
                "n": len(runs),
                "parameters": f"{runs.parameters.iloc[0]:,}",
                "multiply-adds": f"{runs.multiply_adds.iloc[0]:,}",
            }
        )
    return pd.DataFrame(rows)
