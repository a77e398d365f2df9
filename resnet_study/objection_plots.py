"""Figures of Fig. 2's nets with something else changed: their errors, and what remains of it."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from resnet_study.comparison_plots import FAMILY_COLOURS
from resnet_study.depth_effects import FAILURE, errors
from resnet_study.effects import select
from resnet_study.objections import DEGRADATION, SHORTCUT, Remainder
from resnet_study.tables import network

MARKERS = {18: "o", 34: "s"}
HEIGHT = 0.42  # inches a row


def objection_errors(cases: dict[str, pd.DataFrame], chance: float) -> Figure:
    """Final training error of the four nets in each case, by its name: a row a case.

    Points are means over seeds, lines reach from the lowest seed to the highest; a run that
    diverged counts 100 %. 18 layers are hollow, 34 full. The band is failure, dotted is
    ``chance``.
    """
    figure, axes = _rows(list(cases), width=7.2)
    axes.axvspan(FAILURE, 100, color="#888888", alpha=0.12, linewidth=0)
    axes.axvline(chance, color="#444444", linestyle=":", linewidth=1)
    nets = [(family, depth) for family in ("plain", "residual") for depth in MARKERS]
    for row, runs in enumerate(cases.values()):
        for place, (family, depth) in enumerate(nets):
            values = errors(select(runs, family, depth))
            if values.empty:
                continue
            look = _look(family, depth)
            height = row + 0.18 * (place - 1.5)
            axes.plot([values.min(), values.max()], [height] * 2, color=look["color"], linewidth=2)
            axes.plot(values.mean(), height, **look)
    axes.set(xlabel="training error (%)", xlim=(-2, 100))
    handles = [Line2D([], [], **_look(*net), label=network(*net)) for net in nets]
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return figure


def _look(family: str, depth: int) -> dict:
    colour = FAMILY_COLOURS[family]
    face = "white" if depth == 18 else colour
    return {
        "color": colour,
        "marker": MARKERS[depth],
        "markerfacecolor": face,
        "markersize": 7,
        "linestyle": "none",
    }


def remainders(found: dict[str, dict[str, Remainder]]) -> Figure:
    """What remains of the degradation, left, and of the shortcut's worth, right: a row a case.

    ``found`` are results of ``objections.remainders`` by the name of the effect. Points are
    means over seeds with their 95 % intervals, full where the effect remains; the line across
    is the recipe's.
    """
    titles = {
        DEGRADATION.name: f"{network('plain', 34)} − {network('plain', 18)}",
        SHORTCUT.name: f"{network('residual', 34)} − {network('plain', 34)}",
    }
    names = list(next(iter(found.values())))
    figure, panels = _rows(names, width=7.2, columns=2)
    for axes, (effect, cases) in zip(panels, found.items(), strict=True):
        axes.axvline(0, color="#444444", linewidth=1)
        usual = next(iter(cases.values())).gap
        if usual.n:
            axes.axvline(usual.mean, color="#444444", linestyle=":", linewidth=1)
        for row, case in enumerate(cases.values()):
            if not case.gap.n:
                continue
            colour = FAMILY_COLOURS["plain" if effect == DEGRADATION.name else "residual"]
            face = colour if case.reading.startswith("remains") else "white"
            reach = np.nan_to_num([[case.gap.mean - case.gap.low], [case.gap.high - case.gap.mean]])
            axes.errorbar(
                case.gap.mean,
                row,
                xerr=reach,
                fmt="o",
                color=colour,
                markerfacecolor=face,
                markersize=7,
                capsize=3,
            )
        axes.set(title=titles[effect], xlabel="training error, points")
    return figure


def _rows(names: list[str], width: float, columns: int = 1):
    """Axes with a named row each case, the first on top."""
    height = 1.3 + HEIGHT * len(names)
    figure, panels = plt.subplots(
        1, columns, figsize=(width, height), sharey=True, layout="constrained"
    )
    first = panels if columns == 1 else panels[0]
    first.set_yticks(range(len(names)), [name.replace(", ", ",\n") for name in names])
    first.set_ylim(len(names) - 0.5, -0.5)
    return figure, panels
