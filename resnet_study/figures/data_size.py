"""Errors by the amount of data: figures and tables."""

from collections.abc import Iterable
from dataclasses import asdict

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from resnet_study.figures.style import (
    FAMILY_COLOURS,
    FAMILY_MARKERS,
    PANELS,
    bias_looks,
    draw_points,
    error_panels,
)
from resnet_study.questions.data_size import DataSize
from resnet_study.questions.words import (
    NETWORKS,
    NOT_RECORDED,
    POINTS,
    gate,
    mean_and_interval,
    percent,
)


def errors_by_fraction(runs: pd.DataFrame, logarithmic: bool = True) -> Figure:
    """Final error against the share of the training images, left training, right validation.

    ``runs`` of one depth and rate: residual nets and Highway nets of any biases.
    """
    figure, grid = error_panels([""], PANELS, logarithmic)
    biases = bias_looks(runs.gate_bias.dropna())
    for (_, metric), axes in grid.items():
        residual = runs[runs.family == "residual"]
        look = {"color": FAMILY_COLOURS["residual"], "marker": FAMILY_MARKERS["residual"]}
        draw_points(axes, residual, "fraction", metric, label=NETWORKS["residual"], **look)
        for bias, look in biases.items():
            chosen = runs[runs.gate_bias == bias]
            draw_points(axes, chosen, "fraction", metric, label=_highway(chosen), **look)
        _fraction_axis(axes, runs.fraction.unique())
        axes.set_title(PANELS[metric])
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
                **asdict(gap),
            }
            for size in sizes
            for split in PANELS.values()
            for fraction, gap in getattr(size, split).items()
        ]
    )


def gaps_by_fraction(sizes: Iterable[DataSize]) -> Figure:
    """The gaps Highway − ResNet against the share of the training images, with their reach."""
    sizes = list(sizes)
    figure, panels = plt.subplots(1, 2, figsize=(7.2, 3.6), sharex=True, layout="constrained")
    looks = bias_looks(size.gates.bias for size in sizes)
    for axes, split in zip(panels, PANELS.values(), strict=True):
        axes.axhline(0, color=FAMILY_COLOURS["residual"], linewidth=1.6)
        for place, size in enumerate(sizes):
            gaps = {f: gap for f, gap in getattr(size, split).items() if gap.n}
            if not gaps:
                continue
            means = np.array([gap.mean for gap in gaps.values()])
            reach = np.array([gap.reach for gap in gaps.values()]).T
            axes.errorbar(
                np.array(list(gaps)) * 1.06 ** (place - (len(sizes) - 1) / 2),
                means,
                yerr=np.nan_to_num(np.abs(reach - means)),  # one seed has neither
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


def _fraction_axis(axes: plt.Axes, fractions: Iterable[float]) -> None:
    ticks = sorted(fractions)
    axes.set_xscale("log")
    axes.set_xticks(ticks, [percent(fraction) for fraction in ticks])
    axes.minorticks_off()
    axes.margins(x=0.12)
    axes.set_xlabel("share of the training images")


def _highway(runs: pd.DataFrame) -> str:
    return f"Highway, gate {gate(runs.gate_kernel.iloc[0], runs.gate_bias.iloc[0])}"


def fraction_table(sizes: Iterable[DataSize]) -> pd.DataFrame:
    """One row a gate and fraction of the data: the gaps Highway − ResNet, in points."""
    return pd.DataFrame(
        [
            {
                "gate": gate(size.gates.kernel, size.gates.bias),
                "data": percent(fraction),
                f"training, {POINTS}": mean_and_interval(size.training[fraction]),
                f"validation, {POINTS}": mean_and_interval(size.validation[fraction]),
                "n": size.validation[fraction].n,
            }
            for size in sizes
            for fraction in size.training
        ]
    )


def slope_table(sizes: Iterable[DataSize], fractions: Iterable[float]) -> pd.DataFrame:
    """One row a gate: slopes of its gaps, in points for ten times the data, and what they say.

    Where a gap at one of ``fractions`` is missing there is nothing to read yet.
    """
    rows = []
    for size in sizes:
        whole = size.covers(fractions)
        rows.append(
            {
                "gate": gate(size.gates.kernel, size.gates.bias),
                "C9": size.answer if whole else NOT_RECORDED,
                "reading": size.reading if whole else NOT_RECORDED,
                f"training, {POINTS} a decade": mean_and_interval(size.training_slope),
                f"validation, {POINTS} a decade": mean_and_interval(size.validation_slope),
                "n": size.validation_slope.n,
            }
        )
    return pd.DataFrame(rows)
