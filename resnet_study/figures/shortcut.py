"""Figures of what a shortcut changes in trained nets: responses, lesions, the loss around them."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from resnet_study.figures.line_names import name_lines
from resnet_study.figures.style import INK, net_colour
from resnet_study.questions.words import NETWORKS, network, scientific

FAMILIES = ("plain", "residual")
# Without viridis' yellow end, which a white page swallows, and a dark one once it is inverted.
COLOURS = ListedColormap(plt.get_cmap("viridis")(np.linspace(0, 0.75, 256)))


def _band(axes: Axes, table: pd.DataFrame, x: str, y: str, **style) -> None:
    """Mean of ``y`` over seeds, and a band from the lowest to the highest."""
    seeds = table.groupby(x)[y].agg(["mean", "min", "max"])
    axes.plot(seeds.index, seeds["mean"], **style)
    axes.fill_between(
        seeds.index, seeds["min"], seeds["max"], color=style["color"], alpha=0.2, linewidth=0
    )


def responses(table: pd.DataFrame) -> Figure:
    """Deviation of each layer's response, as in Fig. 7 of He et al. 2015; a line for each depth.

    The axis is logarithmic: layers of a net that hardly trains respond far more than others.
    """
    figure, panels = plt.subplots(1, 2, figsize=(7.2, 3.4), sharey=True, layout="constrained")
    depths = sorted(table.depth.unique())
    for axes, family in zip(panels, FAMILIES, strict=True):
        for depth in depths:
            chosen = table[(table.family == family) & (table.depth == depth)]
            colour = net_colour(family, depth)
            _band(axes, chosen, "position", "deviation", color=colour)
        axes.set(title=NETWORKS[family], xlabel="layer", yscale="log")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    panels[0].set_ylabel("deviation of the response")
    handles = [
        Line2D([], [], color=net_colour("plain", depth), label=f"{depth} layers")
        for depth in depths
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(depths))
    return figure


def lesions(table: pd.DataFrame, depth: int) -> Figure:
    """Validation error without each block in turn: as it is dashed, recalibrated solid.

    ``table`` has the columns of ``diagnostics.lesions`` and ``whole``, the error of the whole net,
    which is a line across. Stages begin where a line goes down.
    """
    figure, panels = plt.subplots(1, 2, figsize=(7.2, 3.3), sharey=True, layout="constrained")
    looks = {"as it is": ("error", "--"), "recalibrated": ("recalibrated", "-")}
    drawn = {}
    for axes, family in zip(panels, FAMILIES, strict=True):
        chosen = table[(table.family == family) & (table.depth == depth)]
        names = {name: place for place, name in enumerate(dict.fromkeys(chosen.block), start=1)}
        chosen = chosen.assign(place=chosen.block.map(names))
        axes.set(title=network(family, depth), xlabel="block taken out", ylim=(0, 100))
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        drawn[axes] = {}
        for name, (column, style) in looks.items():
            look = {"color": net_colour(family, depth), "linestyle": style}
            _band(axes, chosen, "place", column, **look)
            drawn[axes][name] = (chosen.groupby("place")[column].mean(), look)
        across = {"color": INK, "linestyle": ":"}
        axes.axhline(chosen.whole.mean(), **across)
        drawn[axes]["whole net"] = (chosen.groupby("place").whole.mean(), across)
        for name, place in names.items():
            if name.endswith(".0") and name != "stages.0.0":
                axes.axvline(place, color="#888888", linewidth=0.8, linestyle=":")
    panels[0].set_ylabel("validation error (%)")
    name_lines(figure, drawn)
    return figure


def _decades(landscape: pd.DataFrame) -> pd.DataFrame:
    """log₁₀ of the loss, b by rows and a by columns; infinite losses are missing."""
    decades = np.log10(landscape.pivot(index="b", columns="a", values="loss").astype(float))
    return decades.where(np.isfinite(decades))


def contours(landscapes: dict[str, pd.DataFrame]) -> Figure:
    """Contours of the loss around nets, by their titles, on one scale of levels."""
    tables = {title: _decades(landscape) for title, landscape in landscapes.items()}
    levels = _levels(tables)
    figure, panels = plt.subplots(
        1, len(tables), figsize=(7.2, 3.9), sharex=True, sharey=True, layout="constrained"
    )
    for axes, (title, table) in zip(panels, tables.items(), strict=True):
        drawn = axes.contour(
            table.columns, table.index, table, levels=levels, cmap=COLOURS, linewidths=1.3
        )
        axes.clabel(drawn, levels[::2], fmt=lambda level: scientific(10**level), fontsize=8)
        axes.plot(0, 0, "+", color=INK, markersize=9)
        axes.set(title=title, xlabel="along the first direction", aspect="equal")
        axes.grid(visible=False)
    panels[0].set_ylabel("along the second")
    return figure


def relief(landscapes: dict[str, pd.DataFrame]) -> Figure:
    """The same as surfaces over the plane, logarithmic, on one scale."""
    tables = {title: _decades(landscape) for title, landscape in landscapes.items()}
    levels = _levels(tables)
    figure = plt.figure(figsize=(7.2, 3.6), layout="constrained")
    for place, (title, table) in enumerate(tables.items(), start=1):
        axes = figure.add_subplot(1, len(tables), place, projection="3d")
        a, b = np.meshgrid(table.columns, table.index)
        axes.plot_surface(
            a,
            b,
            table.to_numpy(),
            cmap=COLOURS,
            vmin=levels[0],
            vmax=levels[-1],
            rcount=len(table),
            ccount=len(table),
            linewidth=0,
        )
        axes.set(title=title, zlim=(levels[0], levels[-1]), zlabel="log₁₀ loss")
        axes.set_xticks([-1, 0, 1])
        axes.set_yticks([-1, 0, 1])
    return figure


def _levels(tables: dict[str, pd.DataFrame]) -> np.ndarray:
    """Levels of log₁₀ loss that all ``tables`` share, four a decade."""
    low = min(table.min(axis=None) for table in tables.values())
    high = max(table.max(axis=None) for table in tables.values())
    return np.arange(np.floor(4 * low), np.ceil(4 * high) + 1) / 4
