"""What remains of Fig. 2 with something else changed: figures and tables."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from resnet_study.figures.style import FAMILY_COLOURS, INK
from resnet_study.figures.tables import final_errors
from resnet_study.questions.depth import FAILURE, errors
from resnet_study.questions.effects import select
from resnet_study.questions.objections import DEGRADATION, RECIPE, SHORTCUT, Remainder
from resnet_study.questions.words import (
    POINTS,
    kind,
    mean_and_interval,
    network,
)
from resnet_study.statistics import Estimate

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
    axes.axvline(chance, color=INK, linestyle=":", linewidth=1)
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
    means over seeds with their 95 % intervals, or their range with fewer than six, full where the
    effect remains; the line across is the recipe's.
    """
    titles = {
        DEGRADATION.name: f"{network('plain', 34)} − {network('plain', 18)}",
        SHORTCUT.name: f"{network('residual', 34)} − {network('plain', 34)}",
    }
    names = list(next(iter(found.values())))
    figure, panels = _rows(names, width=7.2, columns=2)
    for axes, (effect, cases) in zip(panels, found.items(), strict=True):
        axes.axvline(0, color=INK, linewidth=1)
        usual = next(iter(cases.values())).gap
        if usual.n:
            axes.axvline(usual.mean, color=INK, linestyle=":", linewidth=1)
        for row, case in enumerate(cases.values()):
            if not case.gap.n:
                continue
            colour = FAMILY_COLOURS["plain" if effect == DEGRADATION.name else "residual"]
            face = colour if case.reading.startswith("remains") else "white"
            low, high = case.gap.reach
            reach = np.nan_to_num([[case.gap.mean - low], [high - case.gap.mean]])
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


def remainder_table(found: dict[str, Remainder]) -> pd.DataFrame:
    """One row an objection: the effect with it, how it changes, and what remains.

    ``found`` is a result of :func:`resnet_study.questions.objections.remainders`.
    """
    return pd.DataFrame(
        [
            {
                "changed": name,
                "what remains": one.reading,
                POINTS: mean_and_interval(one.gap),
                "n": one.gap.n,
                "less the recipe's": "–" if name == RECIPE else mean_and_interval(one.change),
            }
            for name, one in found.items()
        ]
    )


def objection_table(cases: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """One row an objection and network: its errors and its size; ``cases`` are runs by its name."""
    rows = []
    for name, runs in cases.items():
        for _, nets in runs.groupby(["depth", "family"]):
            (row,) = final_errors(nets).to_dict("records")
            size = f"{nets.multiply_adds.iloc[0]:,}"
            rows.append({"changed": name, **row, "multiply-adds": size})
    return pd.DataFrame(rows)


def start_table(runs: pd.DataFrame, gaps: dict[int, dict[str, Estimate]]) -> pd.DataFrame:
    """One row a residual net of each start that is recorded: its errors, and its gap to the usual.

    ``runs`` were all trained by one recipe; ``gaps`` are results of
    :func:`resnet_study.questions.objections.starts` by depth.
    """
    rows = []
    for depth, by_start in gaps.items():
        for normalisation, measured in by_start.items():
            nets = select(runs, "residual", depth, normalisation=normalisation)
            if nets.empty:
                continue
            (row,) = final_errors(nets).to_dict("records")
            gap_in_words = "–" if normalisation == "batch" else mean_and_interval(measured)
            rows.append(
                {
                    "network": kind(row.pop("network"), normalisation),
                    "training, less the usual start's": gap_in_words,
                    "training, %": row.pop("training, %"),
                    "n": row.pop("n"),
                    **row,
                }
            )
    return pd.DataFrame(rows)
