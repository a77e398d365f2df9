from math import isnan, sqrt

import numpy as np
import pandas as pd
import pytest

from resnet_study.errors import InputError
from resnet_study.statistics import estimate, paired_difference

VALUES = pd.Series([4.0, 1.0, 7.0, 2.0, 6.0])


def test_mean_and_deviation_are_those_computed_by_hand():
    result = estimate(VALUES)
    assert result.n == 5
    assert result.mean == 4.0
    assert result.deviation == pytest.approx(sqrt((0 + 9 + 9 + 4 + 4) / 4))


def test_the_interval_holds_the_mean_and_stays_within_the_values():
    result = estimate(VALUES)
    assert 1 <= result.low < result.mean < result.high <= 7


def test_the_interval_is_the_percentile_bootstraps():
    samples = np.random.default_rng(5).choice(VALUES, (20_000, len(VALUES))).mean(axis=1)
    low, high = np.percentile(samples, [2.5, 97.5])
    result = estimate(VALUES)
    # Means of five of these values lie on a grid of 0.2: one step of it either way.
    assert (result.low, result.high) == pytest.approx((low, high), abs=0.21)


def test_the_interval_narrows_with_n():
    few, many = estimate(VALUES), estimate(pd.concat([VALUES] * 20))
    assert many.high - many.low < (few.high - few.low) / 3


def test_an_estimate_does_not_depend_on_the_order_and_never_varies():
    values = pd.Series(np.random.default_rng(1).normal(size=5))  # no two subsets mean the same
    assert estimate(values) == estimate(values)
    assert estimate(values.sort_values()) == estimate(values[::-1]) == estimate(values)


def test_equal_values_have_no_spread():
    result = estimate(pd.Series([2.0, 2.0, 2.0]))
    assert (result.mean, result.deviation, result.low, result.high) == (2, 0, 2, 2)


def test_missing_values_are_left_out():
    assert estimate(pd.concat([VALUES, pd.Series([None, float("nan")])])) == estimate(VALUES)


def test_one_value_has_a_mean_and_no_spread():
    result = estimate(pd.Series([3.0]))
    assert (result.n, result.mean) == (1, 3.0)
    assert all(map(isnan, (result.deviation, result.low, result.high)))


def test_no_value_has_no_mean():
    result = estimate(pd.Series([], dtype=float))
    assert result.n == 0
    assert all(map(isnan, (result.mean, result.deviation, result.low, result.high)))


def test_a_difference_is_paired_by_seed_and_not_by_position():
    minuend = pd.Series({0: 11.0, 1: 22.0, 2: 33.0})
    subtrahend = pd.Series({2: 30.0, 0: 10.0, 1: 20.0})
    assert paired_difference(minuend, subtrahend) == estimate(pd.Series([1.0, 2.0, 3.0]))


def test_a_seed_of_one_side_only_is_left_out():
    minuend = pd.Series({0: 11.0, 1: 22.0, 8: 99.0})
    subtrahend = pd.Series({0: 10.0, 1: 20.0, 9: 0.0})
    assert paired_difference(minuend, subtrahend) == estimate(pd.Series([1.0, 2.0]))


def test_a_seed_that_diverged_is_left_out():
    minuend = pd.Series({0: 11.0, 1: float("nan"), 2: 12.0})
    subtrahend = pd.Series({0: 10.0, 1: 20.0, 2: 10.0})
    assert paired_difference(minuend, subtrahend) == estimate(pd.Series([1.0, 2.0]))


@pytest.mark.parametrize("side", [0, 1])
def test_a_seed_that_comes_twice_is_refused(side):
    sides = [pd.Series({0: 1.0, 1: 2.0}), pd.Series({0: 1.0, 1: 2.0})]
    sides[side] = pd.Series([1.0, 2.0], index=[0, 0])
    with pytest.raises(InputError, match="not unique"):
        paired_difference(*sides)
