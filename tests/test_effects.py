import pandas as pd
import pytest

from resnet_study.models.options import Gates
from resnet_study.questions.data_size import data_size, slopes
from resnet_study.questions.effects import FIG2_EFFECTS, sign
from resnet_study.questions.highway import (
    HIGHWAY_EFFECTS,
    at_best_rate,
    highway_answer,
    highway_gaps,
)
from resnet_study.questions.verdicts import Answer, read
from resnet_study.reproduction import compare, identical_curves, reproduced
from resnet_study.statistics import Estimate

NETWORKS = [("plain", 18), ("plain", 34), ("residual", 18), ("residual", 34)]


def _estimate(low, high, n=6):
    """Of six values an interval, of fewer a range."""
    return Estimate(n, (low + high) / 2, 1.0, low, high, low, high)


def _runs(**errors):
    """Runs of six seeds a network; keywords such as plain_34 give mean errors."""
    rows = []
    for family, depth in NETWORKS:
        mean = {"plain_18": 5, "plain_34": 50, "residual_18": 4, "residual_34": 2, **errors}[
            f"{family}_{depth}"
        ]
        for seed in range(6):
            error = mean + 0.1 * seed * (depth / 34)
            rows.append((family, depth, seed, error, error + 1))
    columns = ["family", "depth", "seed", "training_error", "validation_error"]
    return pd.DataFrame(rows, columns=columns)


# The claims hold in _runs(); here one of them is turned round, and there it cannot be seen.
REFUTING = {"plain_34": 1}
UNDECIDED = {"residual_34": 3.88}


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
def test_a_sign_is_told_where_interval_or_range_leaves_out_zero(low, high, expected):
    assert sign(_estimate(low, high)) == sign(_estimate(low, high, n=3)) == expected


def test_two_seeds_have_no_sign():
    assert sign(_estimate(1, 2, n=2)) == "undecided"


def test_figure_2_is_about_claims_4_to_6_in_training_and_validation_error():
    told = [(e.claim, e.metric, e.minuend, e.subtrahend, e.claimed) for e in FIG2_EFFECTS]
    for metric in ("training_error", "validation_error"):
        assert ("C4", metric, ("plain", 34), ("plain", 18), "higher") in told
        assert ("C5", metric, ("residual", 34), ("residual", 18), "lower") in told
        assert ("C6", metric, ("residual", 34), ("plain", 34), "lower") in told
    assert len({effect.name for effect in FIG2_EFFECTS}) == len(FIG2_EFFECTS) == 6


def test_the_reproduction_is_about_the_highway_nets_gap_too():
    told = {(e.claim, e.metric, e.minuend, e.subtrahend, e.claimed) for e in HIGHWAY_EFFECTS}
    assert told == {
        ("C8", f"{split}_error", ("highway", depth), ("residual", depth), "higher")
        for split in ("training", "validation")
        for depth in (18, 34)
    }


def test_an_effect_is_the_difference_of_its_two_networks():
    effect = next(e for e in FIG2_EFFECTS if e.name == "plain_gap_validation")
    measured = effect.estimate(_runs(plain_34=30, plain_18=10))
    assert measured.n == 6
    assert measured.mean == pytest.approx(20 + 0.25 * (1 - 18 / 34))


def test_an_effect_is_paired_by_seed():
    effect = next(e for e in FIG2_EFFECTS if e.name == "plain_gap_training")
    runs = _runs()
    shuffled = runs.sample(frac=1, random_state=0)
    assert effect.estimate(shuffled) == effect.estimate(runs)
    missing = runs[~((runs.depth == 34) & (runs.seed == 1))]
    assert effect.estimate(missing).n == 5


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [Answer.SAME] * 6),
        (REFUTING, [Answer.OPPOSITE] * 2 + [Answer.SAME] * 2 + [Answer.OPPOSITE] * 2),
        (UNDECIDED, [Answer.SAME] * 2 + [Answer.NO_DIFFERENCE] * 2 + [Answer.SAME] * 2),
    ],
    ids=["as claimed", "plain-34 the best", "residual nets alike"],
)
def test_an_answer_follows_from_the_difference(changes, expected):
    runs = _runs(**changes)
    said = [read(effect.estimate(runs), effect.claimed) for effect in FIG2_EFFECTS]
    assert said == expected
    few = runs[runs.seed < 5]
    said = {read(effect.estimate(few), effect.claimed) for effect in FIG2_EFFECTS}
    assert said == {Answer.EXPLORATORY}


def test_the_same_records_reproduce_the_study():
    table = compare(_runs(), _runs())
    assert len(table) == len(FIG2_EFFECTS)  # no Highway net is among them
    assert table.agree.all()
    assert reproduced(table) is True


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ({}, {"plain_34": 50.01, "residual_34": 2.01}, True),
        ({}, REFUTING, False),
        ({}, UNDECIDED, False),
        (REFUTING, {}, False),
        (REFUTING, REFUTING, True),  # a refutation is reproduced too
        (UNDECIDED, UNDECIDED, True),
    ],
)
def test_a_study_is_reproduced_where_effects_agree(ours, theirs, expected):
    assert reproduced(compare(_runs(**ours), _runs(**theirs))) is expected


def test_three_seeds_that_spread_widely_do_not_contradict():
    wide = _runs()
    wide = wide[wide.seed < 3].copy()
    for error in ("training_error", "validation_error"):
        wide.loc[wide.depth == 34, error] += 20 * (wide.seed - 1)
    assert reproduced(compare(_runs(), wide))


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
    newer = theirs.assign(clean_training_error=1.0)  # which our older records do not have
    assert identical_curves(ours, newer) == (1, 3)


# Highway nets against residual ones. Rows are (family, depth, error) and what departs from the
# defaults; every error is that of six seeds, a little apart.

GATES = Gates(kernel=3, bias=-2)


def _highway_runs(*rows):
    table = []
    for family, depth, error, *changes in rows:
        for seed in range(6):
            training, validation = error if isinstance(error, tuple) else (error, error + 1)
            shift = 0.1 * seed * (family == "highway")
            labels = {"rate": 0.05, "fraction": 1.0, "match": None, "start": "drawn"}
            gates = {"gate_kernel": 3, "gate_bias": -2.0} if family == "highway" else {}
            row = {"family": family, "depth": depth, "seed": seed, **labels, **gates}
            row |= {"parameters": 1000, "multiply_adds": 9000}
            errors = {"training_error": training + shift, "validation_error": validation + shift}
            table.append(row | errors | (changes[0] if changes else {}))
    return pd.DataFrame(table)


def _pair(depth, highway, residual=5, **changes):
    return ("highway", depth, highway, changes), ("residual", depth, residual, changes)


def test_an_answer_on_highway_nets_takes_both_depths():
    higher = _highway_runs(*_pair(18, 7), *_pair(34, 8))
    found, gaps = highway_answer(higher, GATES, "validation_error", "higher")
    assert found is Answer.SAME
    assert gaps[18].mean == pytest.approx(2.25)
    assert gaps[34].n == 6
    assert highway_answer(higher, GATES, "training_error", "lower")[0] is Answer.OPPOSITE
    both_ways = _highway_runs(*_pair(18, 7), *_pair(34, 2))
    assert highway_answer(both_ways, GATES, "validation_error", "higher")[0] is Answer.MIXED


def test_each_family_is_taken_at_its_best_rate_by_training_error():
    rows = [
        ("highway", 18, (9, 9)),
        ("highway", 18, (2, 30), {"rate": 0.15}),  # best in training, worst in validation
        ("highway", 18, (3, 1), {"rate": 0.0167}),
        ("residual", 18, (5, 5)),
        ("residual", 18, (6, 1), {"rate": 0.15}),
    ]
    found, gaps = highway_answer(
        _highway_runs(*rows), GATES, "validation_error", "higher", depths=[18]
    )
    assert gaps[18].mean == pytest.approx(25.25)
    assert found is Answer.SAME


def test_a_rate_at_which_runs_diverge_is_not_the_best():
    runs = _highway_runs(("residual", 18, 50), ("residual", 18, 10, {"rate": 0.15}))
    runs.loc[runs.rate == 0.15, "training_error"] = [10, *[float("nan")] * 5]
    assert set(at_best_rate(runs).rate) == {0.05}


def test_other_gates_matches_and_fractions_have_no_part_in_the_answer():
    runs = _highway_runs(
        *_pair(18, 7),
        ("highway", 18, 1, {"gate_bias": -4.0}),
        ("highway", 18, 1, {"match": "parameters"}),
        ("highway", 18, 1, {"start": "contained"}),
        ("highway", 18, 1, {"fraction": 0.1}),
        ("residual", 18, 99, {"fraction": 0.1}),
    )
    _, gaps = highway_answer(runs, GATES, "training_error", "lower", depths=[18])
    assert gaps[18].mean == pytest.approx(2.25)


def test_every_gate_has_a_row_of_its_own_in_the_table_of_gaps():
    runs = _highway_runs(
        *_pair(18, 7),
        ("highway", 18, 1, {"gate_bias": -4.0}),
        ("highway", 18, 6, {"match": "parameters"}),
        ("highway", 18, 60, {"rate": 0.15}),
        *_pair(34, 5.5, residual=5),
    )
    table = highway_gaps(runs, rate=0.05, metric="training_error")
    told = {(r.depth, r.kernel, r.bias, r.match): (r.gap.mean, r.sign) for r in table.itertuples()}
    assert told == {
        (18, 3, -4.0, ""): (pytest.approx(-3.75), "lower"),
        (18, 3, -2.0, ""): (pytest.approx(2.25), "higher"),
        (18, 3, -2.0, "parameters"): (pytest.approx(1.25), "higher"),
        (34, 3, -2.0, ""): (pytest.approx(0.75), "higher"),
    }
    assert set(table.parameters) == {1000}


def test_a_slope_is_in_points_for_ten_times_the_data():
    gaps = pd.DataFrame({0.01: [5.0, 1.0], 0.1: [3.0, 2.0], 1.0: [1.0, None]})
    assert slopes(gaps).to_list() == pytest.approx([-2])


def _sizes(*gaps):
    """Runs at four fractions with these gaps in (training, validation) error."""
    pairs = zip((0.1, 0.25, 0.5, 1.0), gaps, strict=True)
    return _highway_runs(
        *(
            row
            for fraction, (training, validation) in pairs
            for row in _pair(18, (5 + training, 9 + validation), (5, 9), fraction=fraction)
        )
    )


@pytest.mark.parametrize(
    ("gaps", "reading", "expected"),
    [
        ([(-1, 8), (-1, 5), (-1, 3), (-1, 1)], "needs data", Answer.SAME),
        ([(2, 8), (2, 5), (2, 3), (2, 1)], "optimisation", Answer.OPPOSITE),
        ([(2, 2), (2, 2), (2, 2), (-2, 2)], "not decided", Answer.UNDECIDED),
        ([(-1, -2), (-1, -2), (-1, -2), (-1, -2)], "no need of data", Answer.NO_PREMISE),
        ([(-1, 1), (-1, 2), (-1, 4), (-1, 8)], "no need of data", Answer.OPPOSITE),
        ([(-1, 8), (-1, 5), (-1, 3), (-1, -3)], "needs data", Answer.NO_PREMISE),
    ],
)
def test_the_reading_of_data_sizes_follows_its_rule(gaps, reading, expected):
    measured = data_size(_sizes(*gaps), GATES, rate=0.05)
    assert list(measured.training) == [0.1, 0.25, 0.5, 1.0]
    assert (measured.reading, measured.answer) == (reading, expected)


def test_the_slope_of_the_gap_has_an_interval_over_seeds():
    measured = data_size(_sizes((-1, 8), (-1, 5), (-1, 3), (-1, 1)), GATES, rate=0.05)
    assert measured.validation_slope.n == 6
    assert measured.validation_slope.mean == pytest.approx(-7, abs=0.3)
    assert measured.training_slope.mean == pytest.approx(0)
    assert measured.validation[0.25].mean == pytest.approx(5.25)


def test_one_amount_of_data_has_no_slope():
    measured = data_size(_highway_runs(*_pair(18, 7)), GATES, rate=0.05)
    assert measured.validation_slope.n == 0
    assert measured.answer is Answer.OPPOSITE  # higher training error at every size there is


def test_without_a_highway_net_there_is_no_gap_but_a_table():
    residual = _highway_runs(("residual", 18, 5)).assign(gate_kernel=None, gate_bias=None)
    table = highway_gaps(residual, rate=0.05, metric="training_error")
    assert table.empty
    assert {"depth", "kernel", "bias", "match", "gap", "sign"} <= set(table.columns)


def test_a_reading_is_made_only_of_sizes_that_have_a_gap():
    fractions = (0.1, 0.25, 0.5, 1.0)
    assert data_size(_sizes((-1, 8), (-1, 5), (-1, 3), (-1, 1)), GATES, rate=0.05).covers(fractions)
    whole_only = _highway_runs(*_pair(18, 7), ("residual", 18, 5, {"fraction": 0.1}))
    measured = data_size(whole_only, GATES, rate=0.05)
    assert measured.covers([1.0])
    assert not measured.covers([0.1, 1.0])
    assert not measured.covers(fractions)
