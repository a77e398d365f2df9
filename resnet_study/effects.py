"""The effects that Fig. 2 is about, and the rules by which records decide them.

An effect is a difference of final errors between two networks, paired by seed, in
percentage points. Its sign is decided when there are enough seeds and the 95 % interval leaves
out zero.
"""

from dataclasses import dataclass

import pandas as pd

from resnet_study.statistics import Estimate, paired_difference

FEWEST_SEEDS = 3


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
        """The effect in ``runs``, a table of :func:`resnet_study.records.load_runs`."""

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
    """``higher`` or ``lower`` where the interval leaves out zero, else ``undecided``.

    Fewer seeds than ``FEWEST_SEEDS`` decide nothing: two agree by chance every other time.
    """
    if effect.n < FEWEST_SEEDS:
        return "undecided"
    if effect.low > 0:
        return "higher"
    return "lower" if effect.high < 0 else "undecided"


def verdict(effect: Effect, measured: Estimate) -> str:
    """What ``measured`` says of the post's claim: supported, refuted or not decided."""
    found = sign(measured)
    if found == "undecided":
        return "not decided"
    return "supported" if found == effect.claimed else "refuted"


def agreement(ours: Estimate, theirs: Estimate) -> str:
    """How a repetition stands to the original.

    ``same``: the same sign is decided, or neither is. ``compatible``: one is undecided
    and the intervals overlap. ``different``: anything else.
    """
    if sign(ours) == sign(theirs):
        return "same"
    overlap = ours.low <= theirs.high and theirs.low <= ours.high
    return "compatible" if "undecided" in (sign(ours), sign(theirs)) and overlap else "different"


def compare(ours: pd.DataFrame, theirs: pd.DataFrame) -> pd.DataFrame:
    """One row an effect: estimates of two tables of runs, verdicts, and their agreement."""
    rows = []
    for effect in FIG2_EFFECTS:
        mine, yours = effect.estimate(ours), effect.estimate(theirs)
        rows.append(
            {
                "effect": effect,
                "ours": mine,
                "theirs": yours,
                "our_verdict": verdict(effect, mine),
                "their_verdict": verdict(effect, yours),
                "agreement": agreement(mine, yours),
            }
        )
    return pd.DataFrame(rows)


def reproduced(comparison: pd.DataFrame) -> bool:
    """Whether what ours support theirs support too, and no effect is different."""
    supported = comparison[comparison.our_verdict == "supported"]
    return bool(
        (supported.their_verdict == "supported").all()
        and (comparison.agreement != "different").all()
    )


def identical_curves(ours: pd.DataFrame, theirs: pd.DataFrame) -> tuple[int, int]:
    """Of the runs in both tables of curves, how many have the same curve to the bit; of how many.

    Tables of :func:`resnet_study.records.load_curves`.
    """
    labels = ["recipe", "family", "depth", "shortcut", "seed"]
    mine = {name: table.reset_index(drop=True) for name, table in ours.groupby(labels)}
    yours = {name: table.reset_index(drop=True) for name, table in theirs.groupby(labels)}
    shared = mine.keys() & yours.keys()
    return sum(mine[name].equals(yours[name]) for name in shared), len(shared)
