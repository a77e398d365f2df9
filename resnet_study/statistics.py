"""Mean, spread and intervals over seeds."""

from dataclasses import dataclass
from math import nan

import numpy as np
import pandas as pd
from scipy.stats import bootstrap

from resnet_study.errors import InputError


@dataclass(frozen=True)
class Estimate:
    """A mean over ``n`` seeds: standard deviation (n − 1) and 95 % bootstrap interval.

    With one value ``deviation``, ``low`` and ``high`` are NaN; with none, ``mean`` too.
    """

    n: int
    mean: float
    deviation: float
    low: float
    high: float


def estimate(values: pd.Series) -> Estimate:
    """Estimate the mean of one value a seed; missing values are left out.

    The interval is the percentile bootstrap's (``scipy.stats.bootstrap``), with a fixed
    seed. It cannot reach beyond the smallest and the largest value, so on a handful of
    seeds it is too narrow: read it together with n and the deviation.
    """
    sample = np.sort(np.asarray(values.dropna(), dtype=float))  # sorted: blind to file order
    n = len(sample)
    if n < 2:
        return Estimate(n, float(sample[0]) if n else nan, nan, nan, nan)
    interval = bootstrap(
        (sample,), np.mean, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    return Estimate(
        n,
        float(sample.mean()),
        float(sample.std(ddof=1)),
        float(interval.low),
        float(interval.high),
    )


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
