import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from resnet_study.figures import objections, style
from resnet_study.questions.objections import DEGRADATION, SHORTCUT, Remainder
from resnet_study.statistics import Estimate

NETS = {("plain", 18): 5, ("plain", 34): 45, ("residual", 18): 2, ("residual", 34): 3}


@pytest.fixture(autouse=True)
def close_figures():
    style.use_style()
    yield
    plt.close("all")


def _case(**errors):
    """Three seeds of each net, a point apart; keywords such as plain_34 give the lowest."""
    rows = [
        (family, depth, seed, errors.get(f"{family}_{depth}", error) + seed)
        for (family, depth), error in NETS.items()
        for seed in range(3)
    ]
    return pd.DataFrame(rows, columns=["family", "depth", "seed", "training_error"])


def _labels(axes):
    return [text.get_text() for text in axes.get_yticklabels()]


def test_each_case_is_a_row_of_points_with_its_seeds():
    cases = {"the recipe": _case(), "longer": _case(plain_34=20)}
    (axes,) = objections.objection_errors(cases, chance=90).axes
    assert _labels(axes) == ["the recipe", "longer"]
    points = [line for line in axes.lines if line.get_marker() in ("o", "s")]
    told = [(round(float(p.get_ydata()[0])), float(p.get_xdata()[0])) for p in points]
    assert told == [(0, 6), (0, 46), (0, 3), (0, 4), (1, 6), (1, 21), (1, 3), (1, 4)]
    reaches = [tuple(line.get_xdata()) for line in axes.lines if line.get_linewidth() == 2]
    assert reaches[5] == (20, 22)
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first row on top


def test_a_run_that_diverged_is_drawn_at_100_percent():
    case = _case()
    case.loc[(case.family == "plain") & (case.depth == 34), "training_error"] = None
    (axes,) = objections.objection_errors({"the recipe": case}, chance=90).axes
    assert 100 in [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "s"]


def test_nets_that_are_not_recorded_are_left_out():
    case = _case()
    cases = {"the recipe": case[case.family == "plain"], "longer": case.iloc[:0]}
    (axes,) = objections.objection_errors(cases, chance=90).axes
    assert sum(line.get_marker() in ("o", "s") for line in axes.lines) == 2


def _remainder(effect, mean, reach=1.0, n=3):
    gap = Estimate(n, mean, 1.0, mean - reach, mean + reach, mean - reach, mean + reach)
    return Remainder(effect, gap, Estimate(n, 0.0, 1.0, -1.0, 1.0, -1.0, 1.0), both_fail=False)


def test_an_effect_that_remains_is_full_and_others_are_hollow():
    nothing = Estimate(0, *[float("nan")] * 4)
    found = {
        effect.name: {
            "the recipe": _remainder(effect, size),
            "longer": _remainder(effect, size / 100),
            "wider": Remainder(effect, nothing, nothing, both_fail=False),
        }
        for effect, size in {DEGRADATION: 40.0, SHORTCUT: -42.0}.items()
    }
    left, right = objections.remainders(found).axes
    assert left.get_title() == "plain-34 − plain-18"
    assert right.get_title() == "ResNet-34 − plain-34"
    assert _labels(left) == ["the recipe", "longer", "wider"]
    for axes, size in ((left, 40.0), (right, -42.0)):
        points = [container[0] for container in axes.containers]
        told = [
            (
                float(point.get_xdata()[0]),
                int(point.get_ydata()[0]),
                point.get_markerfacecolor() == point.get_color(),
            )
            for point in points
        ]
        assert told == [(size, 0, True), (size / 100, 1, False)]
        (bars,) = axes.containers[0][2]
        assert np.ravel(bars.get_segments()[0])[::2].tolist() == [size - 1, size + 1]


def test_one_seed_is_drawn_without_an_interval():
    nan = float("nan")
    one = Remainder(DEGRADATION, Estimate(1, 40.0, nan, nan, nan), Estimate(0, *[nan] * 4), False)
    found = {effect.name: {"the recipe": one} for effect in (DEGRADATION, SHORTCUT)}
    left, _ = objections.remainders(found).axes
    (bars,) = left.containers[0][2]
    assert np.ravel(bars.get_segments()[0])[::2].tolist() == [40, 40]
