"""Watching a training: the tables, and that the net watched is the net of the run."""

import numpy as np
import pandas as pd
import pytest

from resnet_study.figures import gradients
from resnet_study.pipeline.anatomy import LAGS, LINES, measure
from resnet_study.pipeline.measurements import BATCH, MOMENTS, anatomy_settings
from resnet_study.pipeline.perform import perform
from resnet_study.pipeline.records import read_record
from resnet_study.pipeline.run import Run
from resnet_study.questions.gradients import answer_c2, decades, decide_c2, judge_balance, load
from resnet_study.questions.verdicts import Answer
from resnet_study.training.recipes import get_recipe

SHORT = {"epochs": 2, "width": 2}
SMALL = anatomy_settings("residual", 8, seed=1) | {"moments": [0, 2, 23, 46], "batch": 32}


@pytest.fixture(scope="module")
def measured():
    return measure(**SMALL, **SHORT)


def test_the_net_that_is_watched_is_the_net_of_the_run(measured, tmp_path):
    run = Run(get_recipe("digits", **SHORT), "residual", 8, seed=1)
    curve = read_record(perform(run, device="cpu", runs_dir=tmp_path))["curve"]
    assert measured["curve"].to_dict("list") == curve


def test_norms_and_growth_have_every_moment_and_layer(measured):
    norms = measured["norms"]
    assert list(norms.iteration.unique()) == [0, 2, 23, 46]
    for _, table in norms.groupby("iteration"):
        assert table.position.tolist() == [1, 3, 5, 7]
    assert (norms.gradient > 0).all() and (norms.activation > 0).all()
    growth = measured["growth"].set_index("iteration")
    first, last = (norms[norms.position == p].set_index("iteration").gradient for p in (1, 7))
    assert np.allclose(growth.total, first / last)
    assert growth.total.nunique() == 4  # training moves it


def test_lesions_and_responses_are_of_the_trained_net(measured):
    lesions = measured["lesions"]
    assert lesions.block.tolist() == ["stages.0.0", "stages.1.0", "stages.2.0"]
    assert (lesions.whole == measured["curve"].validation_error.iloc[-1]).all()
    assert len(measured["responses"]) == 7  # the stem's and two of each block


def test_shattering_is_measured_at_both_ends_of_the_training(measured):
    shattering = measured["shattering"]
    assert set(shattering["when"]) == {"start", "end"}
    for _, table in shattering.groupby(["when", "line"]):
        assert table.lag.tolist() == LAGS
    assert len(shattering) == 2 * LINES * len(LAGS)
    assert shattering.correlation.between(-1, 1).all()


def test_a_net_without_normalisation_has_no_responses():
    tables = measure(**(SMALL | {"normalisation": "none", "moments": [0]}), epochs=1, width=2)
    assert "responses" not in tables and len(tables["lesions"]) == 3
    assert list(tables["growth"].iteration) == [0]


def test_a_training_that_diverges_has_what_was_there_before():
    tables = measure(**SMALL, epochs=2, width=2, rate=1e30)
    assert set(tables) == {"norms", "growth", "curve", "shattering"}
    assert set(tables["shattering"]["when"]) == {"start"}


def test_moments_are_those_of_the_digits_recipe():
    recipe = get_recipe("digits")
    steps = -(-1437 // recipe.batch)
    assert {0, steps, 2 * steps, steps * recipe.epochs} <= set(MOMENTS)
    assert BATCH <= 1437


def _growth(totals, **net):
    """A table of one net: totals by iteration, one a seed."""
    labels = {"family": "plain", "depth": 34, "normalisation": "batch"} | net
    return pd.DataFrame(
        {"iteration": iteration, "seed": seed, "total": total, **labels}
        for iteration, seeds in totals.items()
        for seed, total in enumerate(seeds)
    )


def test_tables_of_several_trainings_are_told_apart(measured):
    chosen = SMALL | {"family": "plain"}
    both = load([(SMALL, measured), (chosen, {"growth": measured["growth"]})], "growth")
    assert both.groupby("family").size().to_dict() == {"plain": 4, "residual": 4}
    assert set(both.seed) == {1} and set(both.normalisation) == {"batch"}
    only = load([(SMALL, measured), (chosen, {"growth": measured["growth"]})], "lesions")
    assert set(only.family) == {"residual"}


def test_decades_are_by_seed_and_of_one_net_and_moment():
    grown = pd.concat(
        [_growth({0: [100, 10], 5: [1, 1]}), _growth({0: [1e6, 1e6]}, family="residual")]
    )
    assert decades(grown, 0, family="plain").to_dict() == {0: 2, 1: 1}
    assert decades(grown, 5, family="plain").to_dict() == {0: 0, 1: 0}


@pytest.mark.parametrize(
    ("readings", "says"),
    [
        (["explodes", "explodes"], Answer.SAME),
        (["explodes", "vanishes"], Answer.SAME),
        (["explodes", "not decided", "stays in bounds"], Answer.IN_PART),
        (["stays in bounds", "stays in bounds"], Answer.OPPOSITE),
        (["stays in bounds", "explodes"], Answer.UNDECIDED),
        (["explodes", "not decided"], Answer.UNDECIDED),
        (["not decided", "stays in bounds"], Answer.UNDECIDED),
    ],
)
def test_what_gradients_in_time_say_of_c2(readings, says):
    assert answer_c2(readings) == says


def test_three_watched_seeds_explore():
    grown = pd.concat([_growth({moment: [1e3, 2e3, 3e3]}, depth=34) for moment in MOMENTS])
    assert decide_c2(grown)[0] is Answer.EXPLORATORY


def _balance(**gaps):
    """20 draws whose residual nets are so many decades less in balance than the plain ones."""
    rows = [
        (draw, family, name, 2.0 + 0.01 * draw * (family == "plain") + (family == "residual") * gap)
        for name, gap in gaps.items()
        for draw in range(20)
        for family in ("plain", "residual")
    ]
    return pd.DataFrame(rows, columns=["draw", "family", "normalisation", "decades"])


@pytest.mark.parametrize(
    ("batch", "none", "says"),
    [
        (-1, -1, Answer.SAME),
        (-1, 1, Answer.IN_PART),
        (-1, 0.095, Answer.IN_PART),
        (1, 1, Answer.OPPOSITE),
        (0.095, 0.095, Answer.NO_DIFFERENCE),
    ],
)
def test_the_registered_rule_of_c3(batch, none, says):
    answer, gaps, p = judge_balance(_balance(batch=batch, none=none))
    assert answer == says
    assert gaps["decades with BN"].n == 20
    assert (p < 0.05) == (abs(batch) == 1)


def test_vanishing_and_exploding_are_as_far_from_balance():
    turned = _balance(batch=-1, none=-1).assign(decades=lambda table: -table.decades)
    assert judge_balance(turned)[0] is Answer.SAME


def test_the_table_of_gradients_reads_each_net_and_counts_its_seeds():
    grown = _growth({0: [1e3, 1e3, 2e3], 23: [1, 2, 3]})
    errors = _growth({20: [40, 50, 60]}).rename(columns={"total": "training_error"})
    errors = errors.assign(epoch=20)
    (row,) = gradients.gradient_table(grown, errors, [0, 23]).to_dict("records")
    assert row["iteration 0"].endswith(") ↑")
    assert row["iteration 23"].endswith(") =")
    assert (row["network"], row["n"], row["training error, %"]) == ("plain-34", 3, "50.00 ± 10.00")


def test_figures_have_a_line_for_each_net_and_moment(measured):
    plain = {**measured, "growth": measured["growth"] * [1, 1, 2]}
    found = [(SMALL, measured), (SMALL | {"family": "plain"}, plain)]
    growth = gradients.growth(load(found, "growth"))
    assert [len(axes.lines) for axes in growth.axes] == [2, 0]
    profiles = gradients.profiles(load(found, "norms"), 8, [0, 46])
    assert [len(axes.lines) for axes in profiles.axes] == [2, 2]
    assert profiles.axes[0].get_title() == "plain-8"
    shattering = gradients.shattering(load(found, "shattering"))
    assert [axes.get_title() for axes in shattering.axes] == ["before training", "after training"]
