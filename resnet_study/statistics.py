"""Mean, spread and intervals over seeds."""

from dataclasses import dataclass
from math import isnan, nan, sqrt

import numpy as np
import pandas as pd
from scipy import special, stats

from resnet_study.errors import InputError

# Values from which a sign is decided. With six equal signs a sign-flip test, which assumes nothing
# of the spread, gives p = 2/64 = 0.031: the first n at which it can be below 5 %.
FEWEST = 6


@dataclass(frozen=True)
class Estimate:
    """A mean over ``n`` values: standard deviation (n − 1) and Student's 95 % interval.

    ``least`` and ``most`` are the extremes of the values, NaN if only their moments are known.
    With one value ``deviation``, ``low`` and ``high`` are NaN; with none, all are.
    """

    n: int
    mean: float
    deviation: float
    low: float
    high: float
    least: float = nan
    most: float = nan

    @property
    def decides(self) -> bool:
        """Whether there are values enough for a sign; fewer are exploratory."""
        return self.n >= FEWEST

    @property
    def standard_error(self) -> float:
        """Of the mean."""
        return self.deviation / sqrt(self.n)

    @property
    def reach(self) -> tuple[float, float]:
        """What is shown beside the mean: the interval if it decides, else the range."""
        return (self.low, self.high) if self.decides else (self.least, self.most)


def from_moments(n: int, mean: float, deviation: float, least=nan, most=nan) -> Estimate:
    """The estimate of a mean with Student's 95 % interval, from the moments of its values."""
    if n < 2:
        return Estimate(n, mean, nan, nan, nan, least, most)
    reach = float(special.stdtrit(n - 1, 0.975)) * deviation / sqrt(n)
    return Estimate(n, mean, deviation, mean - reach, mean + reach, least, most)


def estimate(values: pd.Series) -> Estimate:
    """Estimate the mean of one value a seed; missing values are left out."""
    sample = np.sort(np.asarray(values.dropna(), dtype=float))  # sorted: blind to file order
    if not len(sample):
        return Estimate(0, nan, nan, nan, nan)
    deviation = float(sample.std(ddof=1)) if len(sample) > 1 else nan
    extremes = float(sample[0]), float(sample[-1])
    return from_moments(len(sample), float(sample.mean()), deviation, *extremes)


def paired_difference(minuend: pd.Series, subtrahend: pd.Series) -> Estimate:
    """Estimate minuend − subtrahend, seed by seed; both are indexed by seed.

    Seeds that only one side has are left out.

    Raises:
        InputError: if a seed occurs twice on one side.
    """
    for side in (minuend, subtrahend):
        if side.index.has_duplicates:
            raise InputError(f"seeds {sorted(side.index)} are not unique; give one value a seed")
    return estimate(minuend - subtrahend)


def p_value(effect: Estimate, against: float = 0.0, alternative: str = "two-sided") -> float:
    """Student's t test of a mean: how often chance alone would be as far from ``against``.

    ``alternative``, as scipy has it: two-sided, or that the mean is ``less`` or ``greater``. NaN
    with fewer than two values.
    """
    if effect.n < 2:
        return nan
    if effect.deviation == 0:  # equal values: certain, unless they are at ``against``
        beyond = {"less": effect.mean < against, "greater": effect.mean > against}
        return 0.0 if beyond.get(alternative, effect.mean != against) else 1.0
    t = (effect.mean - against) / effect.standard_error
    tail = {"less": special.stdtr(effect.n - 1, t), "greater": special.stdtr(effect.n - 1, -t)}
    return float(tail.get(alternative, 2 * min(tail.values())))


def same_mean(one: Estimate, other: Estimate) -> float:
    """The p of Welch's t test that two estimates have one mean; NaN with fewer than two values."""
    if not one.deviation and not other.deviation:  # equal values on both sides: certain
        return float(one.mean == other.mean)
    moments = [part for side in (one, other) for part in (side.mean, side.deviation, side.n)]
    return float(stats.ttest_ind_from_stats(*moments, equal_var=False).pvalue)


def within(effect: Estimate, delta: float) -> float:
    """The p of an equivalence test, that a mean is within ±``delta``: two one-sided t tests."""
    sides = p_value(effect, delta, "less"), p_value(effect, -delta, "greater")
    return nan if any(map(isnan, sides)) else max(sides)


def drawn_again(values: np.ndarray, draws: int = 2000, seed: int = 0) -> tuple[float, float]:
    """Ends of the 95 % range of the mean where rows and columns are both drawn again.

    A bootstrap over both at once, for ``values`` (seeds, images): with few rows it is too narrow,
    and shows what the columns add.
    """
    random = np.random.default_rng(seed)
    rows, columns = values.shape
    means = np.empty(draws)
    for draw in range(draws):
        chosen = values[random.integers(rows, size=rows)].mean(axis=0)
        means[draw] = chosen[random.integers(columns, size=columns)].mean()
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)


def coverage(n: int, draws: int, interval: str, seed: int = 0) -> float:
    """How often a 95 % ``interval`` of n normal values holds their mean, over simulated ``draws``.

    ``student``, or ``percentile`` for the percentile bootstrap.
    """
    random = np.random.default_rng(seed)
    values = random.normal(size=(draws, n))
    if interval == "student":
        reach = special.stdtrit(n - 1, 0.975) * values.std(axis=1, ddof=1) / sqrt(n)
        return float((np.abs(values.mean(axis=1)) <= reach).mean())
    held = 0
    for sample in values:
        means = sample[random.integers(n, size=(1000, n))].mean(axis=1)
        low, high = np.percentile(means, (2.5, 97.5))
        held += low <= 0 <= high
    return held / draws
