"""What gradients say of C2 and C3: the rules, on measurements."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from statsmodels.stats.multitest import multipletests

from resnet_study.pipeline.measurements import MOMENTS
from resnet_study.questions.effects import FEWEST_SEEDS
from resnet_study.questions.verdicts import Answer, combine, read
from resnet_study.statistics import (
    Estimate,
    estimate,
    from_moments,
    p_value,
    paired_difference,
)


def load(tables: Iterable[tuple[dict, dict[str, pd.DataFrame]]], name: str) -> pd.DataFrame:
    """The table called ``name`` of several measurements, with columns family, depth, seed, …

    ``tables`` are pairs of settings and tables; a measurement without that table has no row.
    """
    labels = ("family", "depth", "normalisation", "seed")
    return pd.concat(
        [
            found[name].assign(**{label: chosen[label] for label in labels})
            for chosen, found in tables
            if name in found
        ],
        ignore_index=True,
    )


# The rules of C2 and C3, for nets with the depth that fails in Fig. 2. They were written after a
# look at the growth of plain-34, seed 0, and before any other net was watched. "Decades" is the
# log₁₀ of the gradient at the stem over that at the last block; for "vanishes", "explodes" and
# "stays in bounds" see ``multiplication.reading``, here over seeds.


def decades(grown: pd.DataFrame, iteration: int, **net: object) -> pd.Series:
    """log₁₀ of ``total`` by seed, in a table ``growth`` of :func:`load`, at one moment of a net."""
    chosen = grown[grown.iteration == iteration]
    for label, value in net.items():
        chosen = chosen[chosen[label] == value]
    return np.log10(chosen.set_index("seed").total.astype(float))


def decide_c2(grown: pd.DataFrame) -> tuple[Answer, dict[int, Estimate]]:
    """C2 for plain-34 with batch normalisation: the answer, and its decades by iteration.

    *same sign*: out of bounds at every moment. *in part*: out of bounds at the first, and in bounds
    at the last. *opposite sign*: in bounds throughout. Else *undecided*; *exploratory* with fewer
    than six seeds.
    """
    net = {"family": "plain", "depth": 34, "normalisation": "batch"}
    moments = {moment: estimate(decades(grown, moment, **net)) for moment in MOMENTS}
    readings = [reading(measured) for measured in moments.values()]
    if not all(measured.decides for measured in moments.values()):
        return Answer.EXPLORATORY, moments
    return answer_c2(readings), moments


def answer_c2(readings: list[str]) -> Answer:
    """The answer of :func:`decide_c2` from the readings at all moments."""
    out = [found in ("vanishes", "explodes") for found in readings]
    bounded = [found == "stays in bounds" for found in readings]
    if all(out):
        return Answer.SAME
    if all(bounded):
        return Answer.OPPOSITE
    return Answer.IN_PART if out[0] and bounded[-1] else Answer.UNDECIDED


def decide_c3(grown: pd.DataFrame) -> tuple[Answer, dict[str, Estimate]]:
    """C3 for 34 layers: the answer, and its gaps at the start by normalisation.

    A gap is the size of the residual net's decades less that of the plain one's, claimed lower both
    with batch normalisation and without.
    """
    gaps = {}
    for normalisation in ("batch", "none"):
        net = {"depth": 34, "normalisation": normalisation}
        residual, plain = (
            decades(grown, 0, family=family, **net).abs() for family in ("residual", "plain")
        )
        gaps[normalisation] = paired_difference(residual, plain)
    return combine(read(gap, "lower") for gap in gaps.values()), gaps


WITH = {"batch": "decades with BN", "none": "decades without BN"}


def judge_balance(balance: pd.DataFrame) -> tuple[Answer, dict[str, Estimate], float]:
    """C3 in nets that are drawn and not trained, by the registered rule.

    D is the imbalance, the size of ``decades``, of the residual net less the plain one's of the
    same draw, with normalisation and without; two t tests, adjusted by Holm's method. *same sign*
    if both are below 0, *in part* if one is and the other is not.

    Args:
        balance: the table of :func:`resnet_study.pipeline.balance.measure`.

    Returns:
        The answer, D by normalisation in words, and the adjusted p of the first.
    """
    sizes = balance.assign(size=balance.decades.abs()).pivot(
        index=["draw"], columns=["normalisation", "family"], values="size"
    )
    gaps = {name: paired_difference(sizes[name, "residual"], sizes[name, "plain"]) for name in WITH}
    adjusted = multipletests([p_value(gap) for gap in gaps.values()], method="holm")[1]
    answers = [read(gap, "lower", p) for gap, p in zip(gaps.values(), adjusted, strict=True)]
    found = combine(answers)
    if answers.count(Answer.SAME) == 1:
        found = Answer.IN_PART
    return found, {WITH[name]: gap for name, gap in gaps.items()}, float(adjusted[0])


def reading(decades: Estimate) -> str:
    """What the gradient does on its way from the last layer to the first, by a rule.

    ``vanishes`` if it shrinks to less than a tenth in the whole interval, or, of fewer than six
    values, with each; ``explodes`` if it grows to more than ten times; ``stays in bounds`` if
    neither end reaches that far; else ``not decided``, as with fewer than ``FEWEST_SEEDS``.
    ``decades`` is the log₁₀ of the ratio, over draws or seeds.
    """
    low, high = decades.reach
    if decades.n < FEWEST_SEEDS:
        return "not decided"
    if high < -1:
        return "vanishes"
    if low > 1:
        return "explodes"
    return "stays in bounds" if low >= -1 and high <= 1 else "not decided"


def fits_the_post(decades: Estimate, law: str) -> bool:
    """Whether the net does what the post says: vanishes or explodes, by a factor a layer.

    So exponentially: a straight line against the layer is the best of the laws of ``growth``.
    """
    return reading(decades) in ("vanishes", "explodes") and law == "l"


def distinct_nets(growth: pd.DataFrame) -> pd.DataFrame:
    """Nets of the table ``growth`` that differ: with normalisation the variance has no effect."""
    return growth[~(growth.normalised & (growth.initialisation == "lecun"))]


def with_readings(growth: pd.DataFrame) -> pd.DataFrame:
    """The table ``growth`` of ``multiplication`` with what the rules say of each net.

    Columns ``reading`` and ``fits``, see :func:`reading` and :func:`fits_the_post`. Intervals are
    Student's, from the moments: the measurement has those of a bootstrap, which are too narrow.
    """
    found = {}
    for quantity in ("factor", "decades"):
        moments = growth[[f"{quantity}_{name}" for name in ("n", "mean", "deviation")]]
        found[quantity] = [from_moments(*net) for net in moments.itertuples(index=False)]
    decades = found["decades"]
    intervals = {
        f"{quantity}_{end}": [getattr(value, end) for value in values]
        for quantity, values in found.items()
        for end in ("low", "high")
    }
    return growth.assign(
        **intervals,
        reading=[reading(value) for value in decades],
        fits=[fits_the_post(*pair) for pair in zip(decades, growth.law, strict=True)],
    )
