"""Curves of any families beside each other, those of a file of their own among them."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from resnet_study.figures.style import WIDTHS, draw_curves, family_colour, label_curves, long_curves
from resnet_study.questions.words import label


def curves(runs: pd.DataFrame) -> Figure:
    """A panel for each depth, with a colour for each family: training error thin, validation bold.

    ``runs`` are curves as :func:`~resnet_study.pipeline.frames.load_curves` has them; lines are
    means over seeds, bands reach from the lowest to the highest.
    """
    depths, families = sorted(runs.depth.unique()), list(dict.fromkeys(runs.family))
    figure, panels = plt.subplots(
        1, len(depths), figsize=(7.2, 3.4), sharey=True, squeeze=False, layout="constrained"
    )
    for axes, depth in zip(panels[0], depths, strict=True):
        for family in families:
            chosen = runs[(runs.depth == depth) & (runs.family == family)]
            draw_curves(axes, long_curves(chosen), family_colour(family))
        label_curves(axes)
        axes.set_title(f"{depth} layers")
    for axes in panels[0, 1:]:
        axes.set_ylabel("")
    handles = [
        Line2D(
            [], [], color=family_colour(family), linewidth=width, label=f"{label(family)}, {split}"
        )
        for family in families
        for split, width in WIDTHS.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure
