"""Watching a training: the tables, and that the net watched is the net of the run."""

import numpy as np
import pytest

from resnet_study.anatomy import BATCH, LAGS, LINES, MOMENTS, measure, settings
from resnet_study.recipes import get_recipe
from resnet_study.records import read_record
from resnet_study.runs import Run, perform

SHORT = {"epochs": 2, "width": 2}
SMALL = settings("residual", 8, seed=1) | {"moments": [0, 2, 23, 46], "batch": 32}


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
