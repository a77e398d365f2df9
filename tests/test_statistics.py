from math import isnan, sqrt

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from resnet_study.errors import InputError
from resnet_study.statistics import (
    coverage,
    drawn_again,
    estimate,
    from_moments,
    p_value,
    paired_difference,
    same_mean,
    within,
)

VALUES = pd.Series([4.0, 1.0, 7.0, 2.0, 6.0])


def test_mean_and_deviation_are_those_computed_by_hand():
    result = estimate(VALUES)
    assert result.n == 5
    assert result.mean == 4.0
    assert result.deviation == pytest.approx(sqrt((0 + 9 + 9 + 4 + 4) / 4))


def test_the_interval_is_students():
    result = estimate(VALUES)
    low, high = stats.ttest_1samp(VALUES, 0).confidence_interval(0.95)
    assert (result.low, result.high) == pytest.approx((low, high))


@pytest.mark.parametrize("n", [3, 6, 10])
def test_the_interval_holds_the_mean_as_often_as_it_says_and_a_bootstrap_does_not(n):
    assert coverage(n, 4000, "student") == pytest.approx(0.95, abs=0.012)
    assert coverage(n, 300, "percentile") < 0.93


def test_six_values_decide_and_five_show_their_range():
    five, six = estimate(VALUES), estimate(pd.concat([VALUES, pd.Series([5.0])]))
    assert not five.decides and five.reach == (1.0, 7.0)
    assert six.decides and six.reach == (six.low, six.high)


def test_an_estimate_can_be_made_of_its_moments():
    result = estimate(VALUES)
    assert from_moments(5, result.mean, result.deviation, 1.0, 7.0) == result


@pytest.mark.parametrize("alternative", ["two-sided", "less", "greater"])
def test_a_p_value_is_that_of_a_t_test(alternative):
    expected = stats.ttest_1samp(VALUES, 3.0, alternative=alternative).pvalue
    assert p_value(estimate(VALUES), 3.0, alternative) == pytest.approx(expected)


def test_equal_values_are_certain():
    same = estimate(pd.Series([2.0] * 6))
    assert p_value(same) == p_value(same, 1.0, "greater") == 0.0
    assert p_value(same, 2.0) == p_value(same, 1.0, "less") == 1.0
    assert isnan(p_value(estimate(pd.Series([2.0]))))


def test_equivalence_takes_both_sides():
    near, far = estimate(VALUES - 4), estimate(VALUES)
    assert within(near, 4.0) == max(p_value(near, 4.0, "less"), p_value(near, -4.0, "greater"))
    assert within(near, 4.0) < 0.05 < within(far, 4.0)
    assert isnan(within(estimate(pd.Series([2.0])), 1.0))


def test_rows_and_columns_drawn_again_add_their_spread():
    random = np.random.default_rng(0)
    of_rows, of_columns = random.normal(size=(8, 1)), random.normal(size=(1, 400))
    narrow = drawn_again(np.broadcast_to(of_columns, (8, 400)))
    wide = drawn_again(of_rows + of_columns)
    assert narrow[1] - narrow[0] == pytest.approx(2 * 1.96 / 20, rel=0.15)
    assert wide[1] - wide[0] > 3 * (narrow[1] - narrow[0])
    assert wide[0] < (of_rows + of_columns).mean() < wide[1]


def test_two_means_are_compared_by_welch():
    one, other = VALUES, pd.Series([9.0, 14.0, 30.0])
    expected = stats.ttest_ind(one, other, equal_var=False).pvalue
    assert same_mean(estimate(one), estimate(other)) == pytest.approx(expected)
    certain = estimate(pd.Series([1.0, 1.0]))
    assert same_mean(certain, certain) == 1
    assert same_mean(certain, estimate(pd.Series([2.0, 2.0]))) == 0


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
