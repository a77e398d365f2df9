"""How often rules are wrong: recorded, and again in small."""

import pytest

from resnet_study.pipeline.measurements import get_measurement
from resnet_study.questions.claims import CLAIMS
from resnet_study.questions.simulation import false_decisions


@pytest.fixture(scope="module")
def recorded():
    return get_measurement("rules").tables()


def test_every_claims_whole_rule_decides_falsely_in_at_most_one_draw_of_twenty(recorded):
    table = recorded["false_decisions"]
    assert set(table.claim) == {claim.number for claim in CLAIMS}
    assert get_measurement("rules").settings["draws"] == 10_000
    assert (table[table.true == "no effect anywhere"].share <= 0.05).all()
    # The others are at 5 % by design, which 10,000 draws know to ±0.65 points at three deviations.
    assert (table.share <= 0.0565).all()


@pytest.mark.slow
def test_the_record_is_what_the_rules_of_today_do(recorded):
    again = false_decisions(100, seed=1).set_index(["claim", "true"])["share"]
    before = recorded["false_decisions"].set_index(["claim", "true"])["share"]
    assert again.index.equals(before.index)
    assert (again - before).abs().max() < 0.1


def test_students_interval_holds_what_it_says_and_the_bootstrap_does_not(recorded):
    table = recorded["coverage"].set_index("n")
    assert (table.student - 0.95).abs().max() < 0.01
    assert (table.percentile < 0.91).all()
    assert table.percentile[3] < 0.78
