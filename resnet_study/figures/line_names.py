"""Names of lines, written beside them: a reader need not go to a legend and back."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

Lines = dict[str, tuple[pd.Series, dict]]  # name: heights by what is across, and the line's look

STEP = 4  # pixels between two places that a name may begin at
LETTER = (7.0, 14.0)  # its width and height in pixels, about
APART = 4.0  # pixels between a name and its line


def name_lines(figure: Figure, panels: dict[plt.Axes, Lines]) -> None:
    """Write the name of each line beside it, where there is room between the others.

    Names that have room in no panel go to a legend; a line without heights has no name. What else
    is drawn must be there already, since it moves the limits.
    """
    figure.draw_without_rendering()  # settles limits and places
    written, looks = set(), {}
    for axes, lines in panels.items():
        there = {name: (h.dropna().astype(float), look) for name, (h, look) in lines.items()}
        there = {name: (heights, look) for name, (heights, look) in there.items() if len(heights)}
        looks |= {name: look for name, (_, look) in there.items()}
        written |= _write_names(axes, there)
    handles = [Line2D([], [], label=n, **look) for n, look in looks.items() if n not in written]
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=3)


def _write_names(axes: plt.Axes, lines: Lines) -> set[str]:
    """Those names that there is room for."""
    frame = axes.get_window_extent()
    across = np.arange(frame.x0, frame.x1, STEP)
    drawn = {name: _on_page(axes, heights, across) for name, (heights, _) in lines.items()}
    written = set()
    for name, (_, look) in lines.items():
        others = [line for other, line in drawn.items() if other != name]
        count = int(LETTER[0] * len(name) / STEP)
        place = _free_place(drawn[name], others, count, (frame.y0, frame.y1))
        if place is None:
            continue
        start, edge, below = place
        middle = across[start + count // 2]
        at = axes.transData.inverted().transform((middle, edge))
        vertical = "top" if below else "bottom"
        axes.text(*at, name, ha="center", va=vertical, color=look["color"], fontsize="small")
        box = np.full_like(across, np.nan)  # in the way of the names that follow
        box[start : start + count] = edge + LETTER[1] / 2 * (-1 if below else 1)
        drawn[f"{name}, written"] = box
        written.add(name)
    return written


def _on_page(axes: plt.Axes, heights: pd.Series, across: np.ndarray) -> np.ndarray:
    """A line's pixels upwards at those ``across``, so that distances are what the eye sees."""
    points = axes.transData.transform(list(heights.items()))
    return np.interp(across, *points.T, left=np.nan, right=np.nan)


def _free_place(
    line: np.ndarray, others: list[np.ndarray], count: int, limits: tuple[float, float]
) -> tuple[int, float, bool] | None:
    """Where a name of ``count`` steps begins, its edge towards the line, and whether it is below.

    The more room to other lines the better, up to the height of two letters; and the flatter the
    line there. None if there is no room.
    """
    best, chosen = -np.inf, None
    for start in range(len(line) - count):
        part = slice(start, start + count)
        if np.isnan(line[part]).any():
            continue
        for below in (False, True):
            edge = line[part].min() - APART if below else line[part].max() + APART
            low, high = (edge - LETTER[1], edge) if below else (edge, edge + LETTER[1])
            if low < limits[0] or high > limits[1]:
                continue
            beside = np.concatenate([other[part] for other in others] or [[]])
            rooms = np.maximum(low - beside, beside - high)
            room = np.nanmin(rooms, initial=2 * LETTER[1])
            worth = room - np.ptp(line[part])
            if room >= 0 and worth > best:
                best, chosen = worth, (start, edge, below)
    return chosen
