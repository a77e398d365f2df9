"""Gradients in fully connected nets: figures and table."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from resnet_study.figures.style import NEUTRAL
from resnet_study.questions.words import (
    scientific,
)

INITIALISATION_NAMES = {"lecun": "variance 1/N", "he": "variance 2/N (He)"}
# Colour-blind safe, by initialisation; with batch normalisation the initialisation is no matter.
COLOURS = dict(zip(("lecun", "he", "normalised"), NEUTRAL, strict=True))
ACTIVATION_NAMES = {"sigmoid": "sigmoid", "tanh": "tanh", "relu": "ReLU"}
NORMALISATION_NAMES = {False: "none", True: "batch normalisation"}
SHORTCUT_NAMES = {False: "none", True: "identity"}


def at_a_glance(profiles: pd.DataFrame) -> Figure:
    """Gradient by layer at the largest depth: a row for each activation, shortcuts at the right.

    ``profiles`` is the table of :func:`resnet_study.pipeline.multiplication.measure`; bands reach
    from the lowest to the highest draw. Each panel has its own axis of gradients.
    """
    deepest = profiles[profiles.depth == profiles.depth.max()]
    figure, grid = plt.subplots(
        len(ACTIVATION_NAMES), 2, figsize=(7.2, 7.6), sharex=True, layout="constrained"
    )
    for panels, (activation, name) in zip(grid, ACTIVATION_NAMES.items(), strict=True):
        for axes, shortcut in zip(panels, (False, True), strict=True):
            chosen = deepest[(deepest.activation == activation) & (deepest.shortcut == shortcut)]
            _lines(axes, chosen)
            axes.set_title(f"{name}, {'with' if shortcut else 'without'} shortcuts")
        panels[0].set_ylabel("gradient, decades")
    for axes in grid[-1]:
        axes.set_xlabel("layer")
    handles = [
        Line2D([], [], color=COLOURS[key], label=label)
        for key, label in (INITIALISATION_NAMES | {"normalised": "batch normalisation"}).items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def _lines(axes: plt.Axes, profiles: pd.DataFrame) -> None:
    axes.axhspan(-1, 1, color="#888888", alpha=0.15, linewidth=0)
    for initialisation in INITIALISATION_NAMES:
        chosen = profiles[(profiles.initialisation == initialisation) & ~profiles.normalised]
        _line(axes, chosen, COLOURS[initialisation])
    normalised = profiles[profiles.normalised & (profiles.initialisation == "he")]
    _line(axes, normalised, COLOURS["normalised"])


def _line(axes: plt.Axes, profile: pd.DataFrame, colour: str) -> None:
    axes.plot(profile.position, profile.decades, color=colour)
    axes.fill_between(
        profile.position, profile.low, profile.high, color=colour, alpha=0.25, linewidth=0
    )


def to_choose(profiles: pd.DataFrame):
    """An Altair chart of one net's gradient by layer; menus choose the net, a click draws it.

    The band reaches from the lowest to the highest draw, the shaded region is a factor of ten
    either way.
    """
    import altair as alt  # for the book; a training does without it

    named = pd.DataFrame(
        {
            "depth": profiles.depth,
            "activation": profiles.activation.map(ACTIVATION_NAMES),
            "initialisation": profiles.initialisation.map(INITIALISATION_NAMES),
            "normalisation": profiles.normalised.map(NORMALISATION_NAMES),
            "shortcut": profiles.shortcut.map(SHORTCUT_NAMES),
            "layer": profiles.position,
            **{name: profiles[name].round(3) for name in ("decades", "low", "high")},
        }
    )
    start = {
        "depth": int(named.depth.max()),
        "activation": "ReLU",
        "initialisation": INITIALISATION_NAMES["he"],
        "normalisation": "batch normalisation",
        "shortcut": "none",
    }
    menus = [
        alt.param(
            name=f"chosen_{name}",
            value=value,
            bind=alt.binding_select(options=named[name].unique().tolist(), name=f"{name} "),
        )
        for name, value in start.items()
    ]
    chosen = " && ".join(f"datum.{name} == chosen_{name}" for name in start)
    x = alt.X("layer:Q", title="layer, from the input")
    y = alt.Y("decades:Q", title="gradient over that of the last layer, decades")
    bounds = alt.Chart(pd.DataFrame({"from": [-1], "to": [1]})).mark_rect(
        color="#888888", opacity=0.15
    )
    base = alt.Chart(named).transform_filter(chosen)
    tooltip = ["layer:Q", "decades:Q", "low:Q", "high:Q"]
    return (
        alt.layer(
            bounds.encode(y=alt.Y("from:Q"), y2="to:Q"),
            base.mark_area(opacity=0.3, color=COLOURS["lecun"]).encode(
                x, alt.Y("low:Q"), y2="high:Q"
            ),
            base.mark_line(color=COLOURS["lecun"], point={"size": 20}).encode(
                x, y, tooltip=tooltip
            ),
        )
        .add_params(*menus)
        .properties(width="container", height=300, background="transparent")
        .configure(font="sans-serif")
        .configure_axis(labelFontSize=12, titleFontSize=13)
    )


def growth_table(growth: pd.DataFrame) -> pd.DataFrame:
    """One row a net: the table ``growth`` of :func:`resnet_study.pipeline.multiplication.measure`
    as text.

    With columns ``reading`` and ``fits``, what the rules of that module say of it.
    """
    return pd.DataFrame(
        {
            "activation": growth.activation.replace("relu", "ReLU"),
            "variance": growth.initialisation.map({"lecun": "1/N", "he": "2/N"}),
            "BN": growth.normalised.map({False: "no", True: "yes"}),
            "shortcuts": growth.shortcut.map({False: "no", True: "yes"}),
            "reading": growth.reading,
            "fits the post": growth.fits.map({False: "no", True: "yes"}),
            "factor a layer [95 %]": [
                f"{mean:.3f} [{low:.3f}, {high:.3f}]"
                for mean, low, high in zip(
                    growth.factor_mean, growth.factor_low, growth.factor_high, strict=True
                )
            ],
            "n": growth.factor_n.astype(int),
            "in total": [scientific(10**decades) for decades in growth.decades_mean],
            "law": growth.law,
        }
    )
