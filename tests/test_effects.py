import pandas as pd
import pytest

from resnet_study.effects import (
    FIG2_EFFECTS,
    agreement,
    compare,
    identical_curves,
    reproduced,
    sign,
    verdict,
)
from resnet_study.statistics import Estimate

NETWORKS = [("plain", 18), ("plain", 34), ("residual", 18), ("residual", 34)]


def _estimate(low, high):
    return Estimate(5, (low + high) / 2, 1.0, low, high)


def _runs(**errors):
    """Runs of three seeds a network; keywords such as plain_34 give mean errors."""
    rows = []
    for family, depth in NETWORKS:
        mean = {"plain_18": 5, "plain_34": 50, "residual_18": 4, "residual_34": 2, **errors}[
            f"{family}_{depth}"
        ]
        for seed in range(3):
            error = mean + 0.1 * seed * (depth / 34)
            rows.append((family, depth, seed, error, error + 1))
    columns = ["family", "depth", "seed", "training_error", "validation_error"]
    return pd.DataFrame(rows, columns=columns)


# The claims hold in _runs(); here one of them is turned round, and there it cannot be seen.
REFUTING = {"plain_34": 1}
UNDECIDED = {"residual_34": 3.95}


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.1, 2, "higher"),
        (-2, -0.1, "lower"),
        (-1, 1, "undecided"),
        (0, 1, "undecided"),
        (-1, 0, "undecided"),
        (float("nan"), float("nan"), "undecided"),  # one seed has no interval
    ],
)
def test_the_sign_is_decided_where_the_interval_leaves_out_zero(low, high, expected):
    assert sign(_estimate(low, high)) == expected


def test_figure_2_is_about_claims_4_to_6_in_training_and_validation_error():
    told = [(e.claim, e.metric, e.minuend, e.subtrahend, e.claimed) for e in FIG2_EFFECTS]
    for metric in ("training_error", "validation_error"):
        assert ("C4", metric, ("plain", 34), ("plain", 18), "higher") in told
        assert ("C5", metric, ("residual", 34), ("residual", 18), "lower") in told
        assert ("C6", metric, ("residual", 34), ("plain", 34), "lower") in told
    assert len({effect.name for effect in FIG2_EFFECTS}) == len(FIG2_EFFECTS) == 6


def test_an_effect_is_the_difference_of_its_two_networks():
    effect = next(e for e in FIG2_EFFECTS if e.name == "plain_gap_validation")
    measured = effect.estimate(_runs(plain_34=30, plain_18=10))
    assert measured.n == 3
    assert measured.mean == pytest.approx(20 + 0.1 * (1 - 18 / 34))


def test_an_effect_is_paired_by_seed():
    effect = next(e for e in FIG2_EFFECTS if e.name == "plain_gap_training")
    runs = _runs()
    shuffled = runs.sample(frac=1, random_state=0)
    assert effect.estimate(shuffled) == effect.estimate(runs)
    missing = runs[~((runs.depth == 34) & (runs.seed == 1))]
    assert effect.estimate(missing).n == 2


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ["supported"] * 6),
        (REFUTING, ["refuted"] * 2 + ["supported"] * 2 + ["refuted"] * 2),
        (UNDECIDED, ["supported"] * 2 + ["not decided"] * 2 + ["supported"] * 2),
    ],
    ids=["as claimed", "plain-34 the best", "residual nets alike"],
)
def test_the_verdict_follows_from_the_sign(changes, expected):
    runs = _runs(**changes)
    assert [verdict(effect, effect.estimate(runs)) for effect in FIG2_EFFECTS] == expected


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ((1, 2), (8, 9), "same"),
        ((-2, -1), (-9, -8), "same"),
        ((-1, 1), (-3, 2), "same"),
        ((1, 3), (-1, 2), "compatible"),
        ((-1, 2), (1, 3), "compatible"),
        ((-3, -1), (-2, 1), "compatible"),
        ((2, 3), (-1, 1), "different"),
        ((1, 2), (-2, -1), "different"),
        ((-2, -1), (1, 2), "different"),
    ],
)
def test_agreement_compares_signs_and_intervals(ours, theirs, expected):
    assert agreement(_estimate(*ours), _estimate(*theirs)) == expected


def test_the_same_records_reproduce_the_study():
    table = compare(_runs(), _runs())
    assert len(table) == 6
    assert set(table.agreement) == {"same"}
    assert reproduced(table) is True


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ({}, {"plain_34": 40, "residual_34": 3}, True),  # other sizes, same signs
        ({}, REFUTING, False),
        ({}, UNDECIDED, False),  # ours support a claim that theirs do not
        (REFUTING, {}, False),
        (REFUTING, REFUTING, True),  # a refutation is reproduced too
        (UNDECIDED, UNDECIDED, True),
        (UNDECIDED, {}, False),  # intervals far apart
    ],
)
def test_a_study_is_reproduced_where_verdicts_agree(ours, theirs, expected):
    assert reproduced(compare(_runs(**ours), _runs(**theirs))) is expected


def test_comparison_tells_whose_is_whose():
    row = compare(_runs(), _runs(**REFUTING)).iloc[0]
    assert (row.our_verdict, row.their_verdict) == ("supported", "refuted")
    assert row.ours.mean > 0 > row.theirs.mean


def _curves(losses, seed=0, recipe="digits"):
    return pd.DataFrame({"iteration": range(len(losses)), "training_loss": losses}).assign(
        recipe=recipe, family="plain", depth=18, shortcut="A", seed=seed
    )


def test_identical_curves_are_counted_among_shared_runs():
    ours = pd.concat([_curves([1.0, 0.5], seed) for seed in range(4)])
    nearly = 0.5 + 2**-53
    theirs = pd.concat(
        [
            _curves([1.0, nearly], seed=1),
            _curves([1.0, 0.5], seed=0),
            _curves([1.0], seed=2),
            _curves([1.0, 0.5], seed=9),
            _curves([1.0, 0.5], seed=3, recipe="other"),
        ]
    )
    assert nearly != 0.5
    assert identical_curves(ours, theirs) == (1, 3)
