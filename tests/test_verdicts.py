"""Answers, bearings and verdicts: every pair of answers, and what is none."""

import itertools

import pandas as pd
import pytest

from resnet_study.questions.literature import Grade
from resnet_study.questions.verdicts import (
    AGAINST,
    FOR,
    OPEN,
    Answer,
    Bearing,
    Check,
    Verdict,
    bearing,
    combine,
    read,
    verdict,
)
from resnet_study.statistics import Estimate, estimate, from_moments

PRO, CONTRA = sorted(FOR), sorted(AGAINST)


def test_every_answer_is_for_a_claim_or_against_it_or_leaves_it_open_or_is_divided():
    assert FOR | AGAINST | OPEN | {Answer.IN_PART, Answer.MIXED} == set(Answer)
    assert not FOR & AGAINST and not FOR & OPEN and not AGAINST & OPEN


@pytest.mark.parametrize(("one", "other"), [*itertools.product(Answer, Answer)])
def test_two_answers_make_one_whichever_comes_first(one, other):
    found = combine([one, other])
    assert found is combine([other, one]) is combine([one, other, one])
    if one is other:
        assert found is one
        return
    pair = {one, other}
    against = pair & AGAINST
    towards = pair & (FOR | {Answer.IN_PART})
    if Answer.MIXED in pair or (against and towards):
        assert found is Answer.MIXED
    elif towards:  # never more than both say
        assert found is (Answer.SAME if pair <= FOR else Answer.IN_PART)
    elif pair <= AGAINST and Answer.OPPOSITE in pair:
        assert found is Answer.OPPOSITE
    else:
        assert found is Answer.UNDECIDED


@pytest.mark.parametrize("wrong", ["suported", "supported", "refuted", "", None])
def test_what_is_no_answer_is_refused(wrong):
    with pytest.raises(ValueError, match="not a valid Answer"):
        combine([Answer.SAME, wrong])
    with pytest.raises(ValueError, match="not a valid Answer"):
        verdict(Grade.UNREPORTED, [(Bearing.DIRECT, wrong)])


def test_nothing_combines_to_nothing():
    with pytest.raises(ValueError, match="no answer"):
        combine([])


SIX = from_moments(6, 2.0, 1.0)


@pytest.mark.parametrize(
    ("effect", "claimed", "says"),
    [
        (SIX, "higher", Answer.SAME),
        (SIX, "lower", Answer.OPPOSITE),
        (from_moments(6, -2.0, 1.0), "lower", Answer.SAME),
        (from_moments(6, 0.1, 0.5), "higher", Answer.NO_DIFFERENCE),
        (from_moments(6, 0.5, 2.0), "higher", Answer.UNDECIDED),
        (from_moments(5, 50.0, 0.1), "higher", Answer.EXPLORATORY),
        (estimate(pd.Series([], dtype=float)), "higher", Answer.NOT_RECORDED),
    ],
)
def test_a_difference_is_read_by_its_tests(effect, claimed, says):
    assert read(effect, claimed) is says


def test_a_corrected_p_decides_where_it_is_given():
    assert read(SIX, "higher", 0.049) is Answer.SAME
    assert read(SIX, "higher", 0.051) is Answer.UNDECIDED


def test_a_finding_bears_on_a_claim_by_the_checks_it_meets():
    met = dict.fromkeys(Check, True)
    assert bearing(met) is Bearing.DIRECT
    assert bearing(met | {Check.OBJECT: False}) is Bearing.IN_KIND
    for check in set(Check) - {Check.OBJECT}:
        assert bearing(met | {check: False}) is Bearing.NONE
        assert bearing(met | {check: False, Check.OBJECT: False}) is Bearing.NONE


@pytest.mark.parametrize("grade", [grade for grade in Grade if grade is not Grade.UNREPORTED])
@pytest.mark.parametrize("answer", Answer)
def test_ours_moves_the_literature_only_where_it_bears_directly_and_disagrees(grade, answer):
    for how in (Bearing.IN_KIND, Bearing.NONE):
        assert verdict(grade, [(how, answer)]).name == grade.name
    direct = verdict(grade, [(Bearing.DIRECT, answer)])
    assert direct.name == ("CONTESTED" if answer in AGAINST else grade.name)


@pytest.mark.parametrize(
    ("findings", "word"),
    [
        ([], Verdict.OPEN),
        ([(Bearing.NONE, Answer.SAME)], Verdict.OPEN),
        ([(Bearing.IN_KIND, Answer.EXPLORATORY)], Verdict.OPEN),
        ([(Bearing.IN_KIND, Answer.NO_PREMISE)], Verdict.OPEN),
        ([(Bearing.IN_KIND, Answer.SAME)], Verdict.SEEN_IN_KIND),
        ([(Bearing.IN_KIND, Answer.SAME), (Bearing.NONE, Answer.OPPOSITE)], Verdict.SEEN_IN_KIND),
        ([(Bearing.IN_KIND, Answer.SAME), (Bearing.IN_KIND, Answer.WORSE)], Verdict.SEEN_IN_PART),
        ([(Bearing.IN_KIND, Answer.IN_PART)], Verdict.SEEN_IN_PART),
        ([(Bearing.IN_KIND, Answer.OPPOSITE)], Verdict.NOT_SEEN),
    ],
)
def test_where_nothing_is_published_ours_gives_the_word_if_it_bears(findings, word):
    assert verdict(Grade.UNREPORTED, findings) is word


def test_every_grade_is_a_word_of_the_front_page():
    assert {grade.name for grade in Grade} - {"UNREPORTED"} <= set(Verdict.__members__)


def test_fewer_than_six_values_never_decide():
    for n in range(1, 6):
        certain = Estimate(n, 50.0, 0.0, 50.0, 50.0, 50.0, 50.0)
        assert read(certain, "higher") is Answer.EXPLORATORY


@pytest.mark.parametrize("kind", [Answer, Check, Bearing, Verdict])
def test_a_word_is_shown_as_its_text_also_where_a_page_glues_it(kind):
    for word in kind:
        assert repr(word) == repr(word.value)
