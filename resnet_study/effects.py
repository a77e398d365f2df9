"""The effects that the claims are about, and the rules by which records decide them.

An effect is a difference of final errors between two networks, paired by seed, in
percentage points. Its sign is decided when there are enough seeds and the 95 % interval leaves
out zero.
"""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from resnet_study.highway import Gates
from resnet_study.statistics import Estimate, estimate, paired_difference

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

# With one gate, the published one, as `make reproduce` trains it.
HIGHWAY_EFFECTS = [
    *_pair("highway_18", "C8", ("highway", 18), ("residual", 18), "higher"),
    *_pair("highway_34", "C8", ("highway", 34), ("residual", 34), "higher"),
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
    for effect in (*FIG2_EFFECTS, *HIGHWAY_EFFECTS):
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
    """Whether what ours support of Fig. 2 theirs support too, and no effect is different.

    Gaps between Highway nets and ResNets are a few images wide: what five seeds decide of them,
    three need not.
    """
    of_fig2 = comparison.effect.isin(FIG2_EFFECTS)
    supported = comparison[of_fig2 & (comparison.our_verdict == "supported")]
    return bool(
        (supported.their_verdict == "supported").all()
        and (comparison.agreement != "different").all()
    )


def identical_curves(ours: pd.DataFrame, theirs: pd.DataFrame) -> tuple[int, int]:
    """Of the runs in both tables of curves, how many have the same curve to the bit; of how many.

    Tables of :func:`resnet_study.records.load_curves`. What older records lack is not compared.
    """
    labels = ["recipe", "family", "depth", "shortcut", "seed"]
    mine, yours = dict(list(ours.groupby(labels))), dict(list(theirs.groupby(labels)))
    shared = mine.keys() & yours.keys()
    return sum(_equal(mine[name], yours[name]) for name in shared), len(shared)


def _equal(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Whether two curves are the same to the bit, in the columns that both have."""
    one, other = (table.dropna(axis=1, how="all").reset_index(drop=True) for table in (one, other))
    both = one.columns.intersection(other.columns)
    return one[both].equals(other[both])


# Highway nets against residual ones: claims C7 to C9. The rules below were written down before
# the first of their runs was trained. "Training error" is the running one of the last epoch, as in
# Fig. 2; every difference is Highway − residual, paired by seed, in points.


def select(runs: pd.DataFrame, family: str, depth: int, **labels: object) -> pd.DataFrame:
    """The rows of a network with these ``labels``, columns of ``load_runs``; None is no value."""
    chosen = runs[(runs.family == family) & (runs.depth == depth)]
    for name, value in labels.items():
        column = chosen[name]
        chosen = chosen[column.isna() if value is None else column == value]
    return chosen


def gate_labels(gates: Gates) -> dict[str, object]:
    """The labels by which the runs of these gates are found."""
    return {"gate_kernel": gates.kernel, "gate_bias": gates.bias}


def at_best_rate(chosen: pd.DataFrame) -> pd.DataFrame:
    """The rows of the rate whose mean training error is lowest; a run that diverged counts 100 %.

    By training error, because nothing is chosen on the images that validate.
    """
    if chosen.empty:
        return chosen
    means = chosen.training_error.astype(float).fillna(100).groupby(chosen.rate).mean()
    return chosen[chosen.rate == means.idxmin()]


def usual(table: pd.DataFrame, rate: float) -> pd.DataFrame:
    """Rows of runs or curves at this ``rate``, with whole widths, all data, drawn at the start."""
    whole = (table.fraction == 1) & table.match.isna() & (table.start == "drawn")
    return table[whole & (table.rate == rate)]


def with_gates(table: pd.DataFrame, gates: Gates) -> pd.DataFrame:
    """Rows of runs or curves of Highway nets with ``gates``, and of nets without any."""
    same = (table.gate_kernel == gates.kernel) & (table.gate_bias == gates.bias)
    return table[same | table.gate_kernel.isna()]


def at_best_rates(runs: pd.DataFrame, gates: Gates) -> pd.DataFrame:
    """Rows of each network at its best rate (:func:`at_best_rate`), Highway nets with ``gates``.

    As in :func:`highway_verdict`, whole widths and all data.
    """
    whole = runs[(runs.fraction == 1) & runs.match.isna() & (runs.start == "drawn")]
    networks = with_gates(whole, gates).groupby(["depth", "family"])
    return pd.concat([at_best_rate(network) for _, network in networks])


def gap(highway: pd.DataFrame, residual: pd.DataFrame, metric: str) -> Estimate:
    """Final ``metric`` of ``highway`` − ``residual``, tables of one network each.

    Raises:
        InputError: if a seed occurs twice in one of them.
    """
    first, second = (t.set_index("seed")[metric].astype(float) for t in (highway, residual))
    return paired_difference(first, second)


def highway_gaps(runs: pd.DataFrame, rate: float, metric: str) -> pd.DataFrame:
    """One row a gate: its gap to the residual net of the same depth, both trained at ``rate``.

    Columns depth, kernel, bias, match (empty for whole widths), parameters, multiply_adds, gap
    (an Estimate), sign; no row if there is no Highway net.
    """
    columns = ["depth", "kernel", "bias", "match", "parameters", "multiply_adds", "gap", "sign"]
    whole = runs[(runs.rate == rate) & (runs.fraction == 1) & (runs.start == "drawn")]
    highway = whole[whole.family == "highway"]
    matches = highway.match.fillna("").rename("match")
    rows = []
    for (depth, kernel, bias, match), nets in highway.groupby(
        ["depth", "gate_kernel", "gate_bias", matches]
    ):
        measured = gap(nets, select(whole, "residual", depth), metric)
        rows.append(
            {
                "depth": depth,
                "kernel": int(kernel),
                "bias": bias,
                "match": match,
                "parameters": nets.parameters.iloc[0],
                "multiply_adds": nets.multiply_adds.iloc[0],
                "gap": measured,
                "sign": sign(measured),
            }
        )
    return pd.DataFrame(rows, columns=columns)


def overall(verdicts: Iterable[str]) -> str:
    """The verdict that all share; ``mixed`` if two contradict each other; else ``not decided``."""
    found = set(verdicts)
    if len(found) == 1:
        return found.pop()
    return "mixed" if {"supported", "refuted"} <= found else "not decided"


def highway_verdict(
    runs: pd.DataFrame, gates: Gates, metric: str, claimed: str, depths: Iterable[int] = (18, 34)
) -> tuple[str, dict[int, Estimate]]:
    """The rule of C7 and C8: the verdict, and the gap it rests on at each depth.

    Each family is taken at its best rate (see :func:`at_best_rate`) of those trained, with whole
    widths and all of the data, and the Highway net with ``gates``. At each depth the sign of the
    gap supports the claim, refutes it, or is not decided; :func:`overall` makes one of them.

    - **C8**, ResNets outperform Highway nets: validation error, claimed ``higher``.
    - **C7** has two parts. That the Highway net's functions contain the ResNet's is proved by
      ``containment.contain`` and its test, and no record can decide it. That it therefore "should
      be at least as good" is a claim about what training finds: training error, claimed
      ``lower``. Equality would be "not decided", which is as much as seeds can say of it.
    """
    gaps = {}
    for depth in depths:
        whole = {"fraction": 1, "match": None, "start": "drawn"}
        highway = at_best_rate(select(runs, "highway", depth, **whole, **gate_labels(gates)))
        residual = at_best_rate(select(runs, "residual", depth, **whole))
        gaps[depth] = gap(highway, residual, metric)
    signs = [sign(measured) for measured in gaps.values()]
    verdicts = [
        "not decided" if found == "undecided" else "supported" if found == claimed else "refuted"
        for found in signs
    ]
    return overall(verdicts), gaps


def containment_gaps(runs: pd.DataFrame, gates: Gates, metric: str) -> pd.DataFrame:
    """Highway nets with ``gates``, drawn and contained, against ResNets and each other.

    One row a depth and pair of nets: depth, minuend, subtrahend (names), parameters and
    multiply_adds of the minuend, gap (an Estimate), sign.
    """
    columns = ["depth", "minuend", "subtrahend", "parameters", "multiply_adds", "gap", "sign"]
    rows = []
    for depth in sorted(runs.depth.unique()):
        nets = {
            "Highway, contained": select(
                runs, "highway", depth, start="contained", **gate_labels(gates)
            ),
            "Highway, drawn": select(runs, "highway", depth, start="drawn", **gate_labels(gates)),
            "ResNet": select(runs, "residual", depth),
        }
        for minuend, subtrahend in itertools.combinations(nets, 2):
            if nets[minuend].empty or nets[subtrahend].empty:
                continue
            measured = gap(nets[minuend], nets[subtrahend], metric)
            size = nets[minuend].iloc[0]
            rows.append(
                (
                    depth,
                    minuend,
                    subtrahend,
                    size.parameters,
                    size.multiply_adds,
                    measured,
                    sign(measured),
                )
            )
    return pd.DataFrame(rows, columns=columns)


@dataclass(frozen=True)
class DataSize:
    """How the gap of one gate changes with the amount of data, at equal iterations.

    Gaps are by fraction of the training images, ascending; a slope is the change of the gap, in
    points, for ten times the data: a line fitted to each seed, then a mean over seeds.
    """

    gates: Gates
    training: dict[float, Estimate]
    validation: dict[float, Estimate]
    training_slope: Estimate
    validation_slope: Estimate

    @property
    def reading(self) -> str:
        """Which explanation of a deficit the gaps fit; the rule of C9.

        - ``optimisation``: the training error is higher at every size.
        - ``needs data``: the training error is higher at no size, the validation error is higher
          at the smallest, and its gap closes as data grow (the slope is lower than zero).
        - ``no need of data``: the training error is higher at no size, and the validation gap
          either is below zero at the smallest size or opens as data grow.
        - ``not decided``: anything else.
        """
        training = [sign(measured) for measured in self.training.values()]
        smallest = sign(next(iter(self.validation.values())))
        slope = sign(self.validation_slope)
        if all(found == "higher" for found in training):
            return "optimisation"
        if "higher" not in training:
            if smallest == "higher" and slope == "lower":
                return "needs data"
            if smallest == "lower" or slope == "higher":
                return "no need of data"
        return "not decided"

    def covers(self, fractions: Iterable[float]) -> bool:
        """Whether there is a gap at each of ``fractions``: without, there is nothing to read."""
        return all(size in self.training and self.training[size].n for size in fractions)

    @property
    def verdict(self) -> str:
        """What the reading says of C9, that Highway nets need more data.

        Several gates have the verdict that they share, see :func:`overall`.
        """
        verdicts = {"needs data": "supported", "not decided": "not decided"}
        return verdicts.get(self.reading, "refuted")


def data_size(runs: pd.DataFrame, gates: Gates, rate: float, depth: int = 18) -> DataSize:
    """Gaps and slopes of Highway nets with ``gates`` over all fractions in ``runs``."""
    at_rate = runs[(runs.rate == rate) & runs.match.isna()]
    found = {}
    for metric in ("training_error", "validation_error"):
        gaps, by_seed = {}, {}
        for fraction in sorted(at_rate.fraction.unique()):
            highway = select(at_rate, "highway", depth, fraction=fraction, **gate_labels(gates))
            residual = select(at_rate, "residual", depth, fraction=fraction)
            gaps[fraction] = gap(highway, residual, metric)
            first, second = (t.set_index("seed")[metric].astype(float) for t in (highway, residual))
            by_seed[fraction] = first - second
        found[metric] = gaps, estimate(slopes(pd.DataFrame(by_seed)))
    training, validation = found["training_error"], found["validation_error"]
    return DataSize(gates, training[0], validation[0], training[1], validation[1])


def slopes(gaps: pd.DataFrame) -> pd.Series:
    """Slope of each row against log10 of the columns, fractions; rows without a gap left out."""
    whole = gaps.dropna()
    size = np.log10(np.asarray(whole.columns, dtype=float))
    size = size - size.mean()
    return (whole * size).sum(axis=1) / (size**2).sum()
