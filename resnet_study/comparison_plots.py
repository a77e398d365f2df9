"""Figures of Highway nets beside residual ones: by gate, by rate, by amount of data.

Points and lines are means over seeds; bars and bands reach from the lowest seed to the highest,
but for gaps, which have their 95 % intervals. A network without a record, or of which every run
diverged, is not drawn.
"""

from collections.abc import Iterable

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from resnet_study.effects import DataSize
from resnet_study.experiments import BIASES
from resnet_study.plots import WIDTHS, draw_curves, label_curves
from resnet_study.tables import NETWORKS, gate, percent

METRICS = {"training_error": "training", "validation_error": "validation"}
DEPTHS = (18, 34)
FAMILY_COLOURS = {"plain": "#6E6E6E", "residual": "#009E73", "highway": "#AA4499"}
FAMILY_MARKERS = {"plain": "x", "residual": "D", "highway": "o"}
KERNELS = {1: ("#332288", "s", "--", -0.07), 3: (FAMILY_COLOURS["highway"], "o", "-", 0.07)}
MARKERS = "ov^Psp"  # of gate biases
TICKS = (0, 1, 3, 10, 30, 100)


def errors_by_bias(runs: pd.DataFrame) -> Figure:
    """Final error against gate bias: training above, validation below, a column a depth.

    ``runs`` are :func:`resnet_study.effects.usual` ones. Plain and residual nets, which have no
    gate, are lines across, with bands.
    """
    figure, grid = _panels(METRICS, DEPTHS)
    for (metric, depth), axes in grid.items():
        for family in ("plain", "residual"):
            errors = _errors(runs[(runs.family == family) & (runs.depth == depth)], metric)
            if len(errors):
                colour = FAMILY_COLOURS[family]
                axes.axhline(errors.mean(), color=colour, linewidth=1.6)
                axes.axhspan(errors.min(), errors.max(), color=colour, alpha=0.25, linewidth=0)
        highway = runs[(runs.family == "highway") & (runs.depth == depth)]
        for kernel, (colour, marker, line, shift) in KERNELS.items():
            chosen = highway[highway.gate_kernel == kernel]
            draw_points(
                axes, chosen, "gate_bias", metric, shift, color=colour, marker=marker, ls=line
            )
        axes.set_xlabel("gate bias at the start" if metric == "validation_error" else "")
    handles = [
        *(
            Line2D([], [], color=FAMILY_COLOURS[family], label=NETWORKS[family])
            for family in ("plain", "residual")
        ),
        *(
            Line2D([], [], color=colour, marker=marker, ls=line, label=f"Highway, {k}×{k} gates")
            for k, (colour, marker, line, _) in KERNELS.items()
        ),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return figure


def errors_by_rate(runs: pd.DataFrame) -> Figure:
    """Final error against the learning rate, a line a family; panels as in ``errors_by_bias``."""
    figure, grid = _panels(METRICS, DEPTHS)
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

    ``curves`` are long ones of :func:`resnet_study.plots.long_curves`, one network a family and
    depth.
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
        _error_axis(grid[0])  # after the lines: seaborn takes means in the scale it finds
    grid[1].set_ylabel("")
    handles = [
        Line2D([], [], color=colour, linewidth=width, label=f"{NETWORKS[family]}, {split}")
        for family, colour in FAMILY_COLOURS.items()
        if family in set(curves.family)
        for split, width in WIDTHS.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=max(1, len(handles) // 2))
    return figure


def errors_by_fraction(runs: pd.DataFrame, logarithmic: bool = True) -> Figure:
    """Final error against the share of the training images, left training, right validation.

    ``runs`` of one depth and rate: residual nets and Highway nets of any biases.
    """
    figure, grid = _panels([""], METRICS, logarithmic)
    biases = _looks(runs.gate_bias.dropna())
    for (_, metric), axes in grid.items():
        residual = runs[runs.family == "residual"]
        look = {"color": FAMILY_COLOURS["residual"], "marker": FAMILY_MARKERS["residual"]}
        draw_points(axes, residual, "fraction", metric, label=NETWORKS["residual"], **look)
        for bias, look in biases.items():
            chosen = runs[runs.gate_bias == bias]
            draw_points(axes, chosen, "fraction", metric, label=_highway(chosen), **look)
        _fraction_axis(axes, runs.fraction.unique())
        axes.set_title(METRICS[metric])
    grid["", "validation_error"].set_ylabel("")
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


def gap_points(sizes: Iterable[DataSize]) -> pd.DataFrame:
    """What :func:`gaps_by_fraction` draws: one row a gate, kind of error and fraction."""
    return pd.DataFrame(
        [
            {
                "gate_kernel": size.gates.kernel,
                "gate_bias": size.gates.bias,
                "error": split,
                "fraction": fraction,
                **{name: getattr(gap, name) for name in ("n", "mean", "low", "high")},
            }
            for size in sizes
            for split in METRICS.values()
            for fraction, gap in getattr(size, split).items()
        ]
    )


def gaps_by_fraction(sizes: Iterable[DataSize]) -> Figure:
    """The gaps Highway − ResNet against the share of the training images, with intervals."""
    sizes = list(sizes)
    figure, panels = plt.subplots(1, 2, figsize=(7.2, 3.6), sharex=True, layout="constrained")
    looks = _looks(size.gates.bias for size in sizes)
    for axes, split in zip(panels, METRICS.values(), strict=True):
        axes.axhline(0, color=FAMILY_COLOURS["residual"], linewidth=1.6)
        for place, size in enumerate(sizes):
            gaps = {f: gap for f, gap in getattr(size, split).items() if gap.n}
            if not gaps:
                continue
            means = np.array([gap.mean for gap in gaps.values()])
            reach = np.array([(gap.low, gap.high) for gap in gaps.values()]).T
            axes.errorbar(
                np.array(list(gaps)) * 1.06 ** (place - (len(sizes) - 1) / 2),
                means,
                yerr=np.nan_to_num(np.abs(reach - means)),  # one seed has no interval
                capsize=2.5,
                label=f"Highway, gate {gate(size.gates.kernel, size.gates.bias)}",
                **looks[size.gates.bias],
            )
        _fraction_axis(axes, {f for size in sizes for f in size.training})
        axes.set_title(split)
    panels[0].set_ylabel("Highway − ResNet (points)")
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


def _panels(rows: Iterable, columns: Iterable, logarithmic: bool = True) -> tuple[Figure, dict]:
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
        line[0].set_ylabel(f"{METRICS.get(row, '')} error (%)".strip())
    if logarithmic:
        _error_axis(grid[0, 0])  # which the others share
    return figure, {
        (row, column): axes
        for row, line in zip(rows, grid, strict=True)
        for column, axes in zip(columns, line, strict=True)
    }


def _error_axis(axes: plt.Axes) -> None:
    """From 0 to 100 %: logarithmic above 1 %, so that nets that fail and that do well both show."""
    axes.set_yscale("symlog", linthresh=1, linscale=0.4)
    axes.set_yticks(TICKS, [str(tick) for tick in TICKS])
    axes.minorticks_off()
    axes.set_ylim(0, 110)


def _fraction_axis(axes: plt.Axes, fractions: Iterable[float]) -> None:
    ticks = sorted(fractions)
    axes.set_xscale("log")
    axes.set_xticks(ticks, [percent(fraction) for fraction in ticks])
    axes.minorticks_off()
    axes.margins(x=0.12)
    axes.set_xlabel("share of the training images")


def _errors(runs: pd.DataFrame, metric: str) -> pd.Series:
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


def _looks(biases: Iterable[float]) -> dict[float, dict]:
    """Colour and marker of each bias, from the one closest to zero on: the same in every figure."""
    colours = matplotlib.colormaps["plasma"](np.linspace(0.55, 0, len(BIASES)))
    looks = {
        bias: {"color": matplotlib.colors.to_hex(colour), "marker": marker}
        for bias, colour, marker in zip(BIASES, colours, MARKERS, strict=True)
    }
    return {bias: looks[bias] for bias in sorted(set(biases), reverse=True)}


def _highway(runs: pd.DataFrame) -> str:
    return f"Highway, gate {gate(runs.gate_kernel.iloc[0], runs.gate_bias.iloc[0])}"
