"""What goes on inside nets while they train: figures and table."""

from collections.abc import Iterable

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from resnet_study.figures.line_names import name_lines
from resnet_study.figures.style import FAMILY_COLOURS, net_colour
from resnet_study.questions.gradients import decades, reading
from resnet_study.questions.words import (
    NETWORKS,
    mean_and_deviation,
    mean_and_interval,
    network,
)
from resnet_study.statistics import estimate

STYLES = {"plain": "-", "residual": "--"}


def profiles(norms: pd.DataFrame, depth: int, moments: list[int]) -> Figure:
    """Gradient by layer at several ``moments``: plain nets left, residual ones right.

    ``norms`` is the table of that name of :func:`resnet_study.questions.gradients.load`. Lines are
    geometric means over seeds, of the gradient over that of the last block; early moments are
    violet, late ones green.
    """
    colours = plt.get_cmap("viridis")(np.linspace(0, 0.7, len(moments)))
    figure, panels = plt.subplots(1, 2, figsize=(7.2, 3.4), sharey=True, layout="constrained")
    drawn = {}
    for axes, family in zip(panels, STYLES, strict=True):
        chosen = norms[(norms.family == family) & (norms.depth == depth)]
        axes.axhspan(-1, 1, color="#888888", alpha=0.15, linewidth=0)
        lines = {}
        for moment, colour in zip(moments, colours, strict=True):
            by_seed = chosen[chosen.iteration == moment].pivot(
                index="position", columns="seed", values="gradient"
            )
            decades = np.log10(by_seed / by_seed.iloc[-1]).mean(axis=1)
            axes.plot(decades.index, decades, color=colour)
            name = f"iteration {moment}" if moment else "before the first step"
            lines[name] = (decades, {"color": colour})
        axes.set(title=network(family, depth), xlabel="layer (input left)")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        drawn[axes] = lines
    panels[0].set_ylabel("gradient ÷ last block's")
    panels[0].yaxis.set_major_locator(MaxNLocator(integer=True))
    panels[0].yaxis.set_major_formatter(lambda decade, _: f"×{10**decade:g}")
    name_lines(figure, drawn)
    return figure


def growth(grown: pd.DataFrame) -> Figure:
    """Decades from the last block to the stem against the iteration, for each net.

    A panel for nets with batch normalisation and one for nets without. Lines are means over seeds,
    bands reach from the lowest seed to the highest; iteration 0 stands at the left.
    """
    kinds = {"batch": "with batch normalisation", "none": "without"}
    figure, panels = plt.subplots(1, 2, figsize=(7.2, 4), layout="constrained")
    for axes, (normalisation, title) in zip(panels, kinds.items(), strict=True):
        chosen = grown[grown.normalisation == normalisation]
        axes.axhspan(-1, 1, color="#888888", alpha=0.15, linewidth=0)
        for (family, depth), nets in chosen.groupby(["family", "depth"]):
            seeds = np.log10(nets.pivot(index="iteration", columns="seed", values="total"))
            colour = net_colour(family, depth)
            axes.plot(seeds.index, seeds.mean(axis=1), STYLES[family], color=colour)
            axes.fill_between(
                seeds.index,
                seeds.min(axis=1),
                seeds.max(axis=1),
                color=colour,
                alpha=0.2,
                linewidth=0,
            )
        axes.set_xscale("symlog", linthresh=1)
        axes.set_xticks([0, 1, 10, 100], ["0", "1", "10", "100"])
        axes.set(title=title, xlabel="iteration", xlim=(0, grown.iteration.max()))
    panels[0].set_ylabel("stem over last block, decades")
    depths = sorted(grown.depth.unique())
    handles = [
        Line2D([], [], color=FAMILY_COLOURS[name], linestyle=style, label=NETWORKS[name])
        for name, style in STYLES.items()
    ]
    handles += [
        Line2D([], [], color=net_colour("plain", depth), label=f"{depth} layers")
        for depth in depths
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure


def shattering(correlations: pd.DataFrame) -> Figure:
    """Lag 1 of the autocorrelation of input gradients against depth, at the start and the end.

    Points are means over lines and seeds, bars reach from the lowest seed to the highest.
    """
    first = correlations[correlations.lag == 1]
    figure, panels = plt.subplots(1, 2, figsize=(7.2, 3.4), sharey=True, layout="constrained")
    titles = {"start": "before training", "end": "after training"}
    markers = {"plain": "s", "residual": "o"}
    for axes, (when, title) in zip(panels, titles.items(), strict=True):
        for family, marker in markers.items():
            nets = first[(first["when"] == when) & (first.family == family)]
            seeds = nets.groupby(["depth", "seed"]).correlation.mean().unstack()
            middle = seeds.mean(axis=1)
            axes.errorbar(
                range(len(middle)),
                middle,
                yerr=[middle - seeds.min(axis=1), seeds.max(axis=1) - middle],
                fmt=f"{marker}-",
                color=FAMILY_COLOURS[family],
                capsize=3,
                label=NETWORKS[family],
            )
            axes.set_xticks(range(len(middle)), middle.index)
        axes.set(title=title, xlabel="layers")
    panels[0].set_ylabel("correlation of neighbours")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


ARROWS = {"explodes": "↑", "vanishes": "↓", "stays in bounds": "=", "not decided": "?"}


def gradient_table(
    grown: pd.DataFrame, errors: pd.DataFrame, moments: Iterable[int]
) -> pd.DataFrame:
    """One row a net: decades of its gradient at ``moments``, how it ends, and n.

    After the decades stands what they mean, by ``ARROWS``.

    ``grown`` and ``errors`` are tables ``growth`` and ``curve`` of
    :func:`resnet_study.questions.gradients.load`; see ``reading`` of ``multiplication``.
    """
    rows = []
    for (depth, family, normalisation), nets in grown.groupby(
        ["depth", "family", "normalisation"], sort=True
    ):
        label = {"family": family, "depth": depth, "normalisation": normalisation}
        row = {"network": network(family, depth), "BN": "yes" if normalisation == "batch" else "no"}
        for moment in moments:
            measured = estimate(decades(nets, moment, **label))
            arrow = ARROWS[reading(measured)]
            row[f"iteration {moment}"] = f"{mean_and_interval(measured)} {arrow}"
        ends = errors[(errors[list(label)] == pd.Series(label)).all(axis=1)]
        last = ends[ends.epoch == ends.epoch.max()].training_error
        rows.append(row | {"training error, %": mean_and_deviation(estimate(last)), "n": len(last)})
    return pd.DataFrame(rows)
