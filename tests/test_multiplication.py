"""Repeated multiplication: factors that literature and formulae give, and what the rule says."""

from math import pi, sqrt

import pandas as pd
import pytest

from resnet_study.figures import multiplication, sources
from resnet_study.pipeline.measurements import MULTIPLICATION, get_measurement
from resnet_study.pipeline.multiplication import KNOBS, kinds, measure, norms_of_draws
from resnet_study.questions.gradients import distinct_nets, fits_the_post, reading, with_readings
from resnet_study.statistics import Estimate, from_moments

SMALL = {"depths": [4], "width": 16, "inputs": 8, "images": 32, "classes": 3, "draws": 2}


@pytest.fixture(scope="module")
def measured():
    return measure(**SMALL)


@pytest.fixture(scope="module")
def recorded():
    """The committed growth of the deepest nets, by their knobs."""
    growth = get_measurement("multiplication").tables()["growth"]
    return growth[growth.depth == growth.depth.max()].set_index(KNOBS)


def test_there_is_a_row_for_each_layer_and_net(measured):
    assert len(measured["growth"]) == len(kinds()) == 24
    layers = measured["profiles"].groupby(KNOBS).position.apply(list)
    assert layers[("relu", "he", False, False)] == [1, 2, 3, 4, 5]
    assert layers[("relu", "he", True, True)] == [1, 3, 5]  # stem and blocks of two layers


def test_decades_are_over_the_last_layer_and_within_their_draws(measured):
    profiles = measured["profiles"]
    last = profiles.groupby(KNOBS).tail(1)
    assert (last[["decades", "low", "high"]] == 0).all(axis=None)
    assert (profiles.low <= profiles.decades).all() and (profiles.decades <= profiles.high).all()
    first = profiles.groupby(KNOBS).head(1).set_index(KNOBS).decades
    totals = measured["growth"].set_index(KNOBS).decades_mean
    pd.testing.assert_series_equal(first, totals, check_names=False, atol=1e-6, rtol=0)


def test_a_draw_is_the_same_again_and_another_draw_is_not():
    options = {name: SMALL[name] for name in ("width", "inputs", "images", "classes")}
    one, again, other = (norms_of_draws(4, [draw], **options).gradient for draw in (0, 0, 1))
    assert one.equals(again) and not one.equals(other)


@pytest.mark.parametrize(
    ("net", "factor", "within"),
    [
        (("sigmoid", "lecun", False, False), 0.235, 0.005),
        (("tanh", "lecun", False, False), 0.96, 0.015),
        (("relu", "lecun", False, False), sqrt(1 / 2), 0.01),
        (("relu", "he", False, False), 0.995, 0.01),
        (("relu", "he", True, False), sqrt(pi / (pi - 1)), 0.015),
        # Twice the variance for two layers, and a little more: the ReLU after a sum with a
        # shortcut, which is never negative, lets more than half pass.
        (("relu", "he", False, True), sqrt(2) ** 0.5, 0.03),
    ],
)
def test_the_recorded_factors_are_those_of_the_literature(recorded, net, factor, within):
    assert recorded.factor_mean[net] == pytest.approx(factor, abs=within)


def test_with_batch_normalisation_the_initialisation_is_no_matter(recorded):
    for activation in ("sigmoid", "tanh", "relu"):
        one, other = (recorded.factor_mean[activation, i, True, False] for i in ("lecun", "he"))
        assert one == pytest.approx(other, rel=1e-3)


def _decades(low, high):
    return Estimate(6, (low + high) / 2, 0.1, low, high)


@pytest.mark.parametrize(
    ("low", "high", "says"),
    [
        (-9, -8, "vanishes"),
        (-1.2, -0.9, "not decided"),
        (-0.9, 0.9, "stays in bounds"),
        (0.9, 1.1, "not decided"),
        (1.1, 3, "explodes"),
    ],
)
def test_the_rule_reads_the_whole_interval(low, high, says):
    assert reading(_decades(low, high)) == says


def test_nets_with_normalisation_are_counted_once(recorded):
    nets = distinct_nets(recorded.reset_index())
    assert len(nets) == 18
    assert (nets[nets.normalised].initialisation == "he").all()


def test_intervals_of_the_record_are_students_from_its_moments(recorded):
    table = recorded.reset_index()
    for _, net in with_readings(table).iterrows():
        expected = from_moments(net.factor_n, net.factor_mean, net.factor_deviation)
        assert (net.factor_low, net.factor_high) == (expected.low, expected.high)


def test_two_draws_decide_nothing():
    assert reading(Estimate(2, -8.5, 0.1, -9, -8)) == "not decided"


def test_the_post_fits_only_what_changes_by_a_factor_a_layer():
    assert fits_the_post(_decades(-9, -8), "l") and fits_the_post(_decades(2, 3), "l")
    assert not fits_the_post(_decades(2, 3), "log(l)")
    assert not fits_the_post(_decades(-0.5, 0.5), "l")


def test_the_glance_has_a_panel_for_each_activation_with_and_without_shortcuts(measured):
    figure = multiplication.at_a_glance(measured["profiles"])
    assert len(figure.axes) == 6
    assert figure.axes[0].get_title() == "sigmoid, without shortcuts"
    lines = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 5]
    assert len(lines) == 3


def test_the_chart_to_play_with_holds_every_net_and_needs_no_network(measured):
    chart = multiplication.to_choose(measured["profiles"])
    html = sources.interactive_figure(chart, "fig-x", "Caption <b>", 'Alt "text"').data
    assert "http" not in html.replace("https://vega.github.io/schema/", "")  # a name, not fetched
    spec = chart.to_dict()
    menus = {menu["name"]: menu["bind"]["options"] for menu in spec["params"] if "bind" in menu}
    assert {name: len(options) for name, options in menus.items()} == {
        "chosen_depth": 1,
        "chosen_activation": 3,
        "chosen_initialisation": 2,
        "chosen_normalisation": 2,
        "chosen_shortcut": 2,
    }
    rows = max(len(rows) for rows in spec["datasets"].values())
    assert rows == len(measured["profiles"])
    assert "Caption &lt;b&gt;" in html and "Alt &quot;text&quot;" in html
    assert (
        sources.interactive_figure(chart, "fig-x", "", "").data
        == sources.interactive_figure(
            multiplication.to_choose(measured["profiles"]), "fig-x", "", ""
        ).data
    )  # nbval compares it


def test_the_menus_start_at_a_net_that_is_there(measured):
    spec = multiplication.to_choose(measured["profiles"]).to_dict()
    for menu in spec["params"]:
        if "bind" in menu:
            assert menu["value"] in menu["bind"]["options"]


def test_settings_have_depths_that_shortcuts_can_have():
    assert all(depth % 2 == 0 for depth in MULTIPLICATION["depths"])
