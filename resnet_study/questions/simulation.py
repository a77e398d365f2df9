"""How often our rules decide where there is nothing to decide, and our intervals miss."""

import gc
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from resnet_study.questions.depth import answer_at
from resnet_study.questions.gradients import WITH, judge_balance
from resnet_study.questions.registered import AS_GOOD, SCALES, judge
from resnet_study.questions.verdicts import DELTA, Answer, combine
from resnet_study.statistics import FEWEST, Estimate, coverage, estimate, from_moments

DECIDED = {Answer.SAME, Answer.OPPOSITE, Answer.IN_PART, Answer.AS_GOOD, Answer.WORSE}
SPREAD = 1.5  # points, the deviation of a paired difference between seeds: as in our records
MEASURES = {measure.claim: measure for measure in SCALES["digits"].measures}
LARGE = from_moments(FEWEST, 10 * SPREAD, SPREAD)  # an effect that nobody misses
# What all other measures show where they show something, so that Holm's method is least strict.
ELSEWHERE = {
    claim: from_moments(FEWEST, -10 * SPREAD, SPREAD) if measure.claimed == AS_GOOD else LARGE
    for claim, measure in MEASURES.items()
}
HERE = "no effect here, large ones elsewhere"
NOWHERE = "no effect anywhere"


def measure(draws: int, seeds: list[int]) -> dict[str, pd.DataFrame]:
    """The tables ``false_decisions`` and ``coverage``, of 95 % intervals by numbers of seeds.

    ``coverage`` has n, and how often Student's interval (``student``) and that of a percentile
    bootstrap (``percentile``) hold the mean of n normal values.
    """
    intervals = ("student", "percentile")
    held = [{"n": n} | {name: coverage(n, draws, name) for name in intervals} for n in seeds]
    return {"false_decisions": false_decisions(draws), "coverage": pd.DataFrame(held)}


def false_decisions(draws: int, seed: int = 0) -> pd.DataFrame:
    """How often each claim's whole rule decides falsely.

    One row a claim and case: ``claim``, what is ``true`` in the simulation, what it would be
    ``false`` to say, and the ``share`` of draws in which the rule says it. Differences are normal
    with a deviation of ``SPREAD``.
    """
    rows = []
    gc.freeze()  # statsmodels collects garbage at every call
    try:
        for number, (claim, true, false, wrong) in enumerate(_cases()):
            random = np.random.default_rng([seed, number])
            share = float(np.mean([wrong(random) for _ in range(draws)]))
            rows.append((claim, true, false, share))
    finally:
        gc.unfreeze()
    table = pd.DataFrame(rows, columns=["claim", "true", "false", "share"])
    return table.sort_values("claim", kind="stable", ignore_index=True)


Wrong = Callable[[np.random.Generator], bool]  # draws once; whether the rule speaks falsely


def _cases() -> Iterator[tuple[str, str, str, Wrong]]:
    yield "C1", "all nets train alike", "shortcuts are needed", _depths
    yield "C3", "equal balance", "any difference", _balance
    yield "C6", HERE, "any difference", _both
    for claim, measure in MEASURES.items():
        false, word = (DECIDED, "any difference")
        if measure.claimed == AS_GOOD:
            false, word = ({Answer.WORSE}, "worse")
            yield claim, "worse by δ", "at least as good", _says(claim, DELTA, {Answer.AS_GOOD})
        else:
            equal = {Answer.NO_DIFFERENCE}
            yield claim, "a difference of δ", "no difference", _says(claim, DELTA, equal)
        yield claim, NOWHERE, word, _says_nowhere(claim, false)
        yield claim, HERE, word, _says(claim, 0, false)


def _drawn(random: np.random.Generator, mean: float) -> Estimate:
    return estimate(pd.Series(random.normal(mean, SPREAD, FEWEST)))


def _answers(effects: dict[str, Estimate]) -> dict[str, Answer]:
    """By the registered rule, where the premise of C9 is met."""
    told = ELSEWHERE | effects
    judged = judge({measure: told[claim] for claim, measure in MEASURES.items()}, LARGE)
    return {claim: reading.answer for claim, reading in judged.items()}


def _says(claim: str, mean: float, false: set[Answer]) -> Wrong:
    return lambda random: _answers({claim: _drawn(random, mean)})[claim] in false


def _says_nowhere(claim: str, false: set[Answer]) -> Wrong:
    return lambda random: _answers({name: _drawn(random, 0) for name in MEASURES})[claim] in false


def _both(random):
    answers = _answers({claim: _drawn(random, 0) for claim in ("C4", "C5")})
    return combine([answers["C4"], answers["C5"]]) in DECIDED


def _balance(random):
    draws = range(20)
    table = pd.DataFrame(
        [
            (draw, family, name, random.normal(3, 0.3))
            for draw in draws
            for name in WITH
            for family in ("plain", "residual")
        ],
        columns=["draw", "family", "normalisation", "decades"],
    )
    return judge_balance(table)[0] in DECIDED


def _depths(random):
    """Six seeds of each net, each of which trains with the probability that misleads most."""
    rows = [
        (family, normalisation, seed, 0.0 if random.random() < 0.5 else 90.0)
        for family, normalisation in (
            ("plain", "batch"),
            ("residual", "batch"),
            ("residual", "zero-gamma"),
        )
        for seed in range(FEWEST)
    ]
    runs = pd.DataFrame(rows, columns=["family", "normalisation", "seed", "training_error"])
    answer = answer_at(runs.assign(depth=110), 110)
    return answer in (Answer.SAME, Answer.IN_PART)
