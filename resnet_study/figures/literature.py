"""Figures of published trainings."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from resnet_study.figures.style import net_colour

VALIDATION = "validation"  # the test set that all report on
TEST_SETS = (VALIDATION, "ReaL", "V2", "Sketch", "R", "A")


def resnet_pairs(pairs: pd.DataFrame) -> Figure:
    """ResNet-18 against ResNet-34, pair by pair.

    Left: both errors on ImageNet's validation images, a row a pair, the largest gain on top.
    Right: the difference on six test sets, a point a pair, a line through their median. Weights
    that two sources tested are a pair in each.

    Args:
        pairs: a table of :func:`resnet_study.questions.literature.resnet_pairs`.
    """
    validated = pairs[pairs.test_set == VALIDATION].sort_values("difference", ascending=False)
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(7.2, 1.6 + 0.19 * len(validated)), layout="constrained", width_ratios=(3, 2)
    )
    _errors(left, validated)
    _differences(right, pairs)
    handles = [
        Line2D(
            [], [], ls="", marker="o", color=net_colour("residual", depth), label=f"ResNet-{depth}"
        )
        for depth in (18, 34)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return figure


def _errors(axes: plt.Axes, pairs: pd.DataFrame) -> None:
    """Two points a row, and the line between them."""
    rows = range(len(pairs))
    axes.hlines(rows, pairs.error, pairs.error_of_reference, color="#999999", linewidth=1.2)
    for depth, errors in {18: pairs.error_of_reference, 34: pairs.error}.items():
        axes.plot(errors, rows, "o", color=net_colour("residual", depth), markersize=5)
    axes.set_yticks(rows, map(_name, pairs.itertuples()), fontsize=8)
    axes.set_ylim(-0.7, len(pairs) - 0.3)
    axes.grid(axis="y", visible=False)
    axes.set(xlabel="error (%)", title="validation images")


def _name(pair) -> str:
    """``OpenMMLab: mmpretrain``, and the crops where they are not one."""
    who = pair.setting if pair.setting.startswith(pair.group) else f"{pair.group}: {pair.setting}"
    several = f", {pair.crops} crops" if pd.notna(pair.crops) and pair.crops > 1 else ""
    tested = ", by timm" if pair.source.startswith("wightman") and "timm" not in who else ""
    return f"{who}{several}{tested}"


def _differences(axes: plt.Axes, pairs: pd.DataFrame) -> None:
    """A column of points a test set, spread sidewise in the order of the pairs."""
    for place, test_set in enumerate(TEST_SETS):
        differences = pairs.difference[pairs.test_set == test_set]
        steps = range(len(differences))
        sidewise = [place + 0.5 * (step / max(1, len(steps) - 1) - 0.5) for step in steps]
        axes.plot(sidewise, differences, "o", color="#009E73", markersize=3.5, alpha=0.8)
        axes.hlines(differences.median(), place - 0.36, place + 0.36, color="black", linewidth=1.6)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set_xticks(range(len(TEST_SETS)), TEST_SETS, rotation=45, ha="right", fontsize=9)
    axes.set_ylim(top=0.4)
    axes.grid(axis="x", visible=False)
    axes.set(ylabel="ResNet-34 − ResNet-18 (points)", title="six test sets")
