import pandas as pd
import pytest

from resnet_study.questions.depth import answer_at, fails, outcome, overfitting, seen_at, trains
from resnet_study.questions.verdicts import Answer

PLAIN, USUAL, ZERO = ("plain", "batch"), ("residual", "batch"), ("residual", "zero-gamma")


def _runs(nets, depth=110):
    """Runs of one depth: family and normalisation to training errors, seed by seed."""
    return pd.DataFrame(
        [
            (family, depth, normalisation, seed, error)
            for (family, normalisation), errors in nets.items()
            for seed, error in enumerate(errors)
        ],
        columns=["family", "depth", "normalisation", "seed", "training_error"],
    )


@pytest.mark.parametrize(
    ("errors", "does_train", "does_fail", "words"),
    [
        ([1, 2, 19.9], True, False, "all 3 seeds train"),
        ([1, 2, 20], False, False, "2 of 3 seeds train"),
        ([1, 30, 20], False, False, "1 of 3 seeds trains"),
        ([90, 20, 40], False, True, "none of 3 seeds trains"),
        ([90, None, 40], False, True, "none of 3 seeds trains"),  # one diverged
        ([1, None, 2], False, False, "2 of 3 seeds train"),
        ([1, 2], None, False, "all 2 seeds train"),
        ([1], None, False, "the one seed trains"),
        ([90], False, None, "the one seed fails"),
        ([90, 80], False, None, "none of 2 seeds trains"),
        ([], None, None, "not recorded yet"),
    ],
)
def test_one_seed_can_say_no_and_three_can_say_yes(errors, does_train, does_fail, words):
    nets = _runs({PLAIN: errors})
    assert (trains(nets), fails(nets), outcome(nets)) == (does_train, does_fail, words)


GOOD, BAD, SPLIT = [1, 2, 3] * 2, [90, 89, 90] * 2, [1, 90, 90] * 2


@pytest.mark.parametrize(
    ("plain", "usual", "zero", "expected"),
    [
        (BAD, GOOD, GOOD, Answer.SAME),
        (BAD, GOOD, [], Answer.SAME),
        (BAD, BAD, GOOD, Answer.IN_PART),
        (BAD, SPLIT, GOOD, Answer.IN_PART),
        (BAD, [1], GOOD, Answer.IN_PART),  # one seed shows nothing
        (BAD, [], GOOD, Answer.IN_PART),
        (BAD, BAD, BAD, Answer.OPPOSITE),
        (GOOD, GOOD, GOOD, Answer.OPPOSITE),  # no shortcut was needed
        (SPLIT, GOOD, GOOD, Answer.MIXED),
        (BAD, SPLIT, SPLIT, Answer.MIXED),
        (BAD, BAD, SPLIT, Answer.MIXED),
        ([90, 90], GOOD, GOOD, Answer.EXPLORATORY),
        (BAD[:3], GOOD[:3], GOOD[:3], Answer.EXPLORATORY),
        (BAD, [1, 2], [], Answer.EXPLORATORY),
        ([], GOOD, GOOD, Answer.NOT_RECORDED),
        (GOOD, [], [], Answer.NOT_RECORDED),
    ],
)
def test_what_a_depth_says_of_c1_follows_its_rule(plain, usual, zero, expected):
    runs = _runs({PLAIN: plain, USUAL: usual, ZERO: zero})
    others = _runs({PLAIN: GOOD, USUAL: BAD, ZERO: BAD}, depth=56)
    assert answer_at(pd.concat([runs, others]), 110) == expected


@pytest.mark.parametrize(
    ("plain", "usual", "zero", "seen"),
    [
        (BAD, GOOD, GOOD, "the residual net trains and the plain one fails"),
        (BAD, BAD, GOOD, "the residual net trains with zero-γ and the plain one fails"),
        (GOOD, BAD, BAD, "the plain net trains too"),
        (BAD, BAD, BAD, "no net trains"),
        (SPLIT, GOOD, GOOD, "seeds disagree, or are too few"),
    ],
)
def test_what_is_seen_at_a_depth_is_told_in_words(plain, usual, zero, seen):
    assert seen_at(_runs({PLAIN: plain[:3], USUAL: usual[:3], ZERO: zero[:3]}), 110) == seen


def _net(training, validation, seeds=3):
    """A net whose errors are a little higher with each seed."""
    return pd.DataFrame(
        [(seed, training + seed, validation + seed) for seed in range(seeds)],
        columns=["seed", "training_error", "validation_error"],
    )


@pytest.mark.parametrize(
    ("deep", "expected"),
    [
        ((5, 12), "overfits"),
        ((4, 12), "overfits"),  # better in training, worse in validation
        ((6, 12), "trains less well"),
        ((6, 9), "trains less well"),
        ((5, 10), "no overfitting seen"),
        ((4, 9), "no overfitting seen"),
    ],
)
def test_a_net_overfits_if_it_is_worse_in_validation_alone(deep, expected):
    assert overfitting(_net(*deep), _net(5, 10)) == expected


def test_two_seeds_do_not_decide_whether_a_net_overfits():
    assert overfitting(_net(5, 12, seeds=2), _net(5, 10)) == "not decided"
