"""What a rule may answer, how answers are combined, and what they say of a claim.

Three scales of words, each an enum, so that a misspelt one is an error:

- :class:`Answer`: what a rule reads from the records at one scale. :func:`combine` makes one of
  several.
- :class:`Bearing`: what that says of the claim as it was made, by the checks of :class:`Check`.
- :class:`Verdict`: the word on the front page, by :func:`verdict`, from the literature's grade
  (:mod:`resnet_study.questions.literature`) and from ours only where it bears.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum

from resnet_study.questions.literature import Grade
from resnet_study.statistics import Estimate, p_value, within

DELTA = 1.0  # points of error: the smallest difference of interest, see the registration


class Word(StrEnum):
    """A word that is shown as its text, also where a page glues it."""

    __repr__ = str.__repr__


class Answer(Word):
    """What a rule may answer of a claim at one scale."""

    SAME = "same sign"
    OPPOSITE = "opposite sign"
    AS_GOOD = "at least as good"
    WORSE = "worse"
    NO_DIFFERENCE = "no difference larger than 1 point"
    IN_PART = "in part"
    MIXED = "mixed"
    UNDECIDED = "undecided"
    NO_PREMISE = "premise not met"
    EXPLORATORY = "exploratory"
    NOT_RECORDED = "not recorded yet"


FOR = {Answer.SAME, Answer.AS_GOOD}
AGAINST = {Answer.OPPOSITE, Answer.WORSE, Answer.NO_DIFFERENCE}
OPEN = {Answer.UNDECIDED, Answer.NO_PREMISE, Answer.EXPLORATORY, Answer.NOT_RECORDED}


class Check(Word):
    """What is asked of a training before it may speak about a claim."""

    OBJECT = "the claim's own data and nets"
    LENGTH = "iterations past the first point of the paper's curves"
    REGIME = "limited by capacity and not by memory"
    SIZES = "sizes matched"
    BRACKETED = "start and rate bracketed"


class Bearing(Word):
    """What a finding says of the claim as it was made."""

    DIRECT = "bears directly"
    IN_KIND = "bears in kind"
    NONE = "does not bear"


class Verdict(Word):
    """The word of the front page."""

    ESTABLISHED = "established"
    REPORTED_BY_FEW = "reported by few"
    REPORTED_ONCE = "reported once"
    CONTESTED = "contested"
    FALSE_IN_GENERAL = "known false in general"
    SEEN_IN_KIND = "seen in kind"
    SEEN_IN_PART = "seen in part"
    NOT_SEEN = "not seen"
    OPEN = "open"


def read(effect: Estimate, claimed: str, p: float | None = None) -> Answer:
    """What a difference says of a claim that it is ``higher`` or ``lower`` than 0.

    ``p`` is its two-sided p-value, by default without correction for other tests. A difference is
    real if p < 0.05; one that is not, and that an equivalence test holds within ±``DELTA``, is no
    difference larger than that.
    """
    if not effect.n:
        return Answer.NOT_RECORDED
    if not effect.decides:
        return Answer.EXPLORATORY
    if (p_value(effect) if p is None else p) < 0.05:
        return Answer.SAME if (effect.mean > 0) == (claimed == "higher") else Answer.OPPOSITE
    return Answer.NO_DIFFERENCE if within(effect, DELTA) < 0.05 else Answer.UNDECIDED


def combine(answers: Iterable[Answer | str]) -> Answer:
    """One answer of several, of which none is more than any other; blind to their order.

    - The answer that all share.
    - ``mixed`` if one is for the claim and another against it, or one is mixed.
    - ``in part`` if one is for it, or is so in part, and the others leave it open.
    - Else, of answers against and open ones, ``undecided``.

    Raises:
        ValueError: for what is no answer, and for none at all.
    """
    found = {Answer(answer) for answer in answers}
    if not found:
        raise ValueError("no answer to combine")
    if len(found) == 1:
        return found.pop()
    pro, contra = found & (FOR | {Answer.IN_PART}), found & AGAINST
    if Answer.MIXED in found or (pro and contra):
        return Answer.MIXED
    if pro <= FOR and pro == found:
        return Answer.SAME
    if contra == found:
        return Answer.OPPOSITE if Answer.OPPOSITE in found else Answer.UNDECIDED
    return Answer.IN_PART if pro else Answer.UNDECIDED


def bearing(checks: Mapping[Check, bool]) -> Bearing:
    """What a finding with these ``checks`` says of its claim: those that the claim asks for.

    All are met: directly. All but the object: in kind. Else it does not bear.
    """
    failed = {Check(check) for check, met in checks.items() if not met}
    if not failed:
        return Bearing.DIRECT
    return Bearing.IN_KIND if failed == {Check.OBJECT} else Bearing.NONE


def verdict(grade: Grade, findings: Iterable[tuple[Bearing, Answer]]) -> Verdict:
    """The word for a claim, from the literature and from our findings that bear on it.

    - The literature's grade, if it speaks to the claim; but *contested* if a finding of ours that
      bears directly answers otherwise.
    - If the literature does not, what ours that bear say together: *seen in kind* if for the
      claim, *seen in part* if for it in part or mixed, *not seen* if against it, else *open*.
    """
    bearing_on = [(Bearing(how), Answer(answer)) for how, answer in findings if how != Bearing.NONE]
    if grade is not Grade.UNREPORTED:
        against = any(how is Bearing.DIRECT and answer in AGAINST for how, answer in bearing_on)
        return Verdict.CONTESTED if against else Verdict[grade.name]
    spoken = [answer for _, answer in bearing_on if answer not in OPEN]
    if not spoken:
        return Verdict.OPEN
    found = combine(spoken)
    if found in FOR:
        return Verdict.SEEN_IN_KIND
    return Verdict.SEEN_IN_PART if found in (Answer.IN_PART, Answer.MIXED) else Verdict.NOT_SEEN
