"""The registered rules as code: what the page says is what judges."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from resnet_study import paths
from resnet_study.pipeline.frames import load_runs
from resnet_study.questions import registered
from resnet_study.questions.experiments import EXPERIMENTS
from resnet_study.questions.registered import AS_GOOD, SCALES, judge, readings
from resnet_study.questions.verdicts import DELTA, Answer
from resnet_study.statistics import FEWEST, estimate, from_moments
from resnet_study.training.recipes import get_recipe

pytestmark = pytest.mark.slow

PAGE = (paths.ROOT / "book" / "registration.md").read_text(encoding="utf-8")
MEASURES = {measure.claim: measure for measure in SCALES["digits"].measures}
LARGE, NONE = from_moments(6, 20.0, 1.0), from_moments(6, 0.0, 0.1)
ROWS = {"training, clean images": registered.CLEAN, "validation": registered.VALIDATION}


def _judged(premise=LARGE, **effects):
    return judge({m: effects.get(claim, NONE) for claim, m in MEASURES.items()}, premise)


def test_the_measures_are_those_of_the_page():
    rows = re.findall(r"\| (C\d) \| (.+?) \| (.+?) \| (D .+?) \|", PAGE)
    assert {claim for claim, *_ in rows} == MEASURES.keys()
    for claim, text, metric, claimed in rows:
        measure = MEASURES[claim]
        assert measure.text.replace("nets ", "") == text
        assert measure.metric == ROWS[metric]
        expected = {"D > 0": "higher", "D < 0": "lower", "D no larger than δ": AS_GOOD}
        assert measure.claimed == expected[claimed]
    assert f"δ = {DELTA:.0f} point" in PAGE


@pytest.mark.parametrize("scale", SCALES.values(), ids=SCALES)
def test_every_net_of_a_measure_is_trained_by_its_experiments(scale):
    recipe = get_recipe(scale.recipe)
    trained = {run for name in scale.experiments for run in EXPERIMENTS[name].runs(scale.recipe)}
    for measure in scale.measures:
        weights = [weight for weight, _ in measure.terms]
        assert sum(weights) == 0
        for _, arm in measure.terms:
            assert {arm.run(recipe, seed) for seed in scale.seeds} <= trained
    assert len(scale.seeds) == FEWEST


def test_a_difference_must_be_real_after_holms_correction():
    weak = from_moments(6, 1.0, 0.8)  # p = 0.028 by itself
    assert registered.p_value(weak) < 0.05
    assert _judged(C4=weak)["C4"].answer is not Answer.SAME
    others = dict.fromkeys(set(MEASURES) - {"C4"}, LARGE) | {"C7": from_moments(6, -20.0, 1.0)}
    last = _judged(C4=weak, **others)["C4"]  # of six, which is not corrected
    assert last.adjusted == last.p and last.answer is Answer.SAME


def test_missing_measures_make_the_correction_no_weaker():
    weak = from_moments(6, 1.0, 0.55)
    empty = estimate(pd.Series([], dtype=float))
    others = dict.fromkeys(set(MEASURES) - {"C4"}, empty)
    found = _judged(C4=weak, **others)
    assert found["C4"].adjusted == pytest.approx(6 * found["C4"].p)
    assert found["C5"].answer is Answer.NOT_RECORDED


def test_five_of_six_seeds_are_not_judged_yet():
    assert _judged(C4=from_moments(5, 20.0, 0.1))["C4"].answer is Answer.NOT_RECORDED


@pytest.mark.parametrize(
    ("effect", "says"),
    [
        (from_moments(6, -3.0, 0.5), Answer.AS_GOOD),
        (from_moments(6, 0.0, 0.2), Answer.AS_GOOD),
        (from_moments(6, 3.0, 0.3), Answer.WORSE),
        (from_moments(6, 1.0, 2.0), Answer.UNDECIDED),
    ],
)
def test_as_good_means_no_worse_by_a_point(effect, says):
    assert _judged(C7=effect)["C7"].answer is says


@pytest.mark.parametrize(
    ("premise", "says"),
    [
        (LARGE, Answer.SAME),
        (NONE, Answer.NO_PREMISE),
        (from_moments(6, -20.0, 1.0), Answer.NO_PREMISE),
        (from_moments(3, 20.0, 1.0), Answer.NOT_RECORDED),
    ],
)
def test_a_reason_is_asked_for_only_where_there_is_a_deficit(premise, says):
    assert _judged(premise, C9=LARGE)["C9"].answer is says


def test_equal_and_real_are_told_apart():
    assert _judged(C5=NONE)["C5"].answer is Answer.NO_DIFFERENCE
    assert _judged(C5=LARGE)["C5"].answer is Answer.OPPOSITE


def test_on_the_records_a_reading_is_the_difference_of_its_nets():
    found = readings("digits")["C4"]
    assert found.effect.n == 6
    assert len(found.files) == 12
    seeds = {int(re.search(r"seed-(\d+)", path.name)[1]) for path in found.files}
    assert seeds == {30, 31, 32, 33, 34, 35}
    table = registered.load_runs(found.files).set_index(["depth", "seed"]).clean_training_error
    assert found.effect.mean == pytest.approx((table[34] - table[18]).mean())


def test_differences_image_by_image_have_the_mean_of_the_measure():
    found = registered.image_differences("digits", "C5")
    assert found.shape == (6, 360)
    assert found.mean() == pytest.approx(readings("digits")["C5"].effect.mean)
    assert set(np.unique(found)) <= {-100, 0, 100}


def test_a_run_that_diverged_counts_as_chance(monkeypatch):
    load = registered.load_runs

    def with_one_diverged(records):
        runs = load(records)
        runs.loc[runs.seed == 30, ["clean_training_error", "validation_error"]] = None
        return runs

    monkeypatch.setattr(registered, "load_runs", with_one_diverged)
    monkeypatch.setattr(registered, "_readings", registered._readings.__wrapped__)  # not remembered
    found = readings("digits")["C4"]
    assert found.effect.n == 6 and found.effect.least == 0  # 90 − 90


def test_what_is_missing_is_asked_for_and_counts_once_it_is_there(tmp_path):
    """Following the advice changes the answer: here the records are copied instead of trained."""
    scale = SCALES["digits"]
    (measure,) = (m for m in scale.measures if m.claim == "C4")
    assert readings("digits", tmp_path)["C4"].answer is Answer.NOT_RECORDED
    assert registered.missing("digits", tmp_path) == [
        "resnet-study run --experiment digits-again --recipe digits"
    ]
    for _, arm in measure.terms:
        for seed in scale.seeds:
            run = arm.run(get_recipe("digits"), seed)
            path = run.record_path(tmp_path)
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(run.record_path().read_bytes())
    assert readings("digits", tmp_path)["C4"].answer is Answer.SAME
    assert registered.missing("digits") == []


def test_the_premise_is_of_the_same_nets():
    for scale in SCALES.values():
        whole = [term for term in scale.premise.terms]
        (ninth,) = (m for m in scale.measures if m.claim == "C9")
        assert [(-weight, arm) for weight, arm in whole] == list(ninth.terms[2:])
        tenth = [(w, replace(arm, fraction=0.1, own_subset=True)) for w, arm in whole]
        assert tenth == list(ninth.terms[:2])


def test_other_nets_take_the_place_of_the_usual_ones_and_decide_nothing():
    found = readings("tiny-imagenet-50")
    assert not found["C4"].variants  # of plain nets alone
    runs = load_runs(EXPERIMENTS["start"].recorded(paths.RUNS, "tiny-imagenet-50"))
    for start, name in {"zero-gamma": "zero-γ", "small-gamma": "small γ"}.items():
        nets = runs[runs.normalisation == start].pivot(
            index="seed", columns="depth", values="validation_error"
        )
        by_hand = (nets[34] - nets[18]).mean()
        assert found["C5"].variants[name].mean == pytest.approx(by_hand)
        assert found["C8"].variants[name].n == FEWEST
    assert set(found["C5"].variants) == {"zero-γ", "small γ"}
    assert 0 < found["C7"].variants["the block of 2025"].n <= 3
