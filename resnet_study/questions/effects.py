"""The effects that the claims are about, and the rules by which records decide them.

An effect is a difference of final errors between two networks, paired by seed, in
percentage points.
"""

from dataclasses import dataclass

import pandas as pd

from resnet_study.statistics import Estimate, paired_difference

FEWEST_SEEDS = 3  # below it not even "with every seed" is said


@dataclass(frozen=True)
class Effect:
    """Final ``metric`` of network ``minuend`` minus that of ``subtrahend``."""

    name: str
    claim: str  # of the post, as the book numbers them
    metric: str  # a column of records.load_runs
    minuend: tuple[str, int]  # family, depth
    subtrahend: tuple[str, int]
    claimed: str  # the sign the post claims: "higher" or "lower"

    def estimate(self, runs: pd.DataFrame) -> Estimate:
        """The effect in ``runs``, a table of :func:`resnet_study.pipeline.frames.load_runs`."""

        def errors(family: str, depth: int) -> pd.Series:
            chosen = runs[(runs.family == family) & (runs.depth == depth)]
            return chosen.set_index("seed")[self.metric].astype(float)

        return paired_difference(errors(*self.minuend), errors(*self.subtrahend))


def _pair(name: str, claim: str, minuend: tuple, subtrahend: tuple, claimed: str) -> list[Effect]:
    """The same effect in training and in validation error."""
    return [
        Effect(f"{name}_{split}", claim, f"{split}_error", minuend, subtrahend, claimed)
        for split in ("training", "validation")
    ]


FIG2_EFFECTS = [
    *_pair("plain_gap", "C4", ("plain", 34), ("plain", 18), "higher"),
    *_pair("residual_gap", "C5", ("residual", 34), ("residual", 18), "lower"),
    *_pair("shortcut", "C6", ("residual", 34), ("plain", 34), "lower"),
]


def sign(effect: Estimate) -> str:
    """``higher`` or ``lower`` where all that is shown of it leaves out zero, else ``undecided``.

    Of six values or more that is the 95 % interval; of fewer it is their range, and the word means
    "with every seed". That describes and decides nothing: three equal signs come by chance one
    time in four. What is decided is read by :func:`resnet_study.questions.verdicts.read`.
    """
    low, high = effect.reach
    if effect.n < FEWEST_SEEDS:
        return "undecided"
    if low > 0:
        return "higher"
    return "lower" if high < 0 else "undecided"


# Highway nets against residual ones: claims C7 to C9. "Training error" is the running one of the
# last epoch, as in Fig. 2; every difference is Highway − residual, paired by seed, in points.


def select(runs: pd.DataFrame, family: str, depth: int, **labels: object) -> pd.DataFrame:
    """The rows of a network with these ``labels``, columns of ``load_runs``; None is no value."""
    chosen = runs[(runs.family == family) & (runs.depth == depth)]
    for name, value in labels.items():
        column = chosen[name]
        chosen = chosen[column.isna() if value is None else column == value]
    return chosen


def gap(highway: pd.DataFrame, residual: pd.DataFrame, metric: str) -> Estimate:
    """Final ``metric`` of ``highway`` − ``residual``, tables of one network each.

    Raises:
        InputError: if a seed occurs twice in one of them.
    """
    first, second = (t.set_index("seed")[metric].astype(float) for t in (highway, residual))
    return paired_difference(first, second)
