from dataclasses import replace

import pandas as pd
import pytest

from resnet_study.figures import objections as objections_figures
from resnet_study.questions import objections as objections_questions
from resnet_study.questions.experiments import OBJECTIONS, Arm
from resnet_study.questions.objections import BEST, DEGRADATION, MEANS, RECIPE, SHORTCUT
from resnet_study.questions.words import POINTS
from resnet_study.training.recipes import get_recipe

DIGITS = get_recipe("digits")
USUAL = {("plain", 18): 5, ("plain", 34): 45, ("residual", 18): 2, ("residual", 34): 3}


def _rows(arm, error, seeds=(0, 1, 2)):
    """Rows as ``load_runs`` has them; errors of 34 layers are a little apart by seed."""
    run = arm.run(DIGITS, 0)
    shift = 0.1 if arm.depth == 34 else 0
    return [
        {
            "family": arm.family,
            "depth": arm.depth,
            "seed": seed,
            "rate": run.recipe.rate,
            "epochs": run.recipe.epochs,
            "width": run.recipe.width,
            "normalisation": run.normalisation,
            "training_error": None if error is None else error + shift * seed,
            "validation_error": None if error is None else error + 1,
            "diverged": error is None,
            "parameters": 1000,
            "multiply_adds": 9000,
        }
        for seed in seeds
    ]


def _runs(changes=None, seeds=(0, 1, 2)):
    """The recipe's nets, and with each objection the same errors, or those of ``changes``."""
    rows = []
    for name in (RECIPE, *OBJECTIONS):
        for net, error in (USUAL | (changes or {}).get(name, {})).items():
            rows += _rows(Arm(*net, **OBJECTIONS.get(name, {})), error, seeds)
    return pd.DataFrame(rows)


LONGER, WIDER, BARE = "3 × the epochs", "2 × the width", "no normalisation"


def test_each_objection_has_runs_of_its_own():
    runs = _runs()
    for name in (RECIPE, *OBJECTIONS):
        assert len(objections_questions.raised(runs, DIGITS, name)) == 4 * 3, name
    assert set(objections_questions.raised(runs, DIGITS, LONGER).epochs) == {60}
    assert set(objections_questions.raised(runs, DIGITS, WIDER).width) == {32}
    assert set(objections_questions.raised(runs, DIGITS, BARE).normalisation) == {"none"}
    assert set(objections_questions.raised(runs, DIGITS, "1/10 of the rate").rate) == {0.005}


def test_other_starts_have_no_part_in_the_recipes_effects():
    start = Arm("residual", 34, normalisation="zero-gamma")
    runs = pd.concat([_runs(), pd.DataFrame(_rows(start, 80))])
    assert len(objections_questions.raised(runs, DIGITS, RECIPE)) == 4 * 3
    found = objections_questions.remainders(runs, DIGITS, SHORTCUT)
    assert found[RECIPE].gap.mean == pytest.approx(-42)


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        ({}, ("remains", "remains")),
        ({("plain", 34): 60}, ("remains", "remains")),  # larger is no less
        ({("plain", 34): 12}, ("remains, smaller", "remains, smaller")),
        ({("plain", 34): 1}, ("turns round", "turns round")),
        ({("plain", 34): 4.9}, ("not decided", "remains, smaller")),
        ({("plain", 18): 89.9, ("plain", 34): 89.8}, ("both fail", "remains")),
        ({("plain", 18): 20.1, ("plain", 34): 19.99}, ("not decided", "remains, smaller")),  # one
        ({("plain", 18): 60, ("plain", 34): 90}, ("remains, smaller", "remains")),
        ({("plain", 18): None, ("plain", 34): None}, ("both fail", "remains")),
        ({("plain", 34): None}, ("remains", "remains")),  # diverged: 100 %
        ({("residual", 34): None}, ("remains", "turns round")),
    ],
)
def test_what_remains_of_an_effect_follows_the_rule(errors, expected):
    runs = _runs({LONGER: errors})
    found = [
        objections_questions.remainders(runs, DIGITS, effect) for effect in (DEGRADATION, SHORTCUT)
    ]
    assert tuple(one[LONGER].reading for one in found) == expected


def test_two_seeds_do_not_decide_what_remains():
    runs = _runs()
    runs = runs[(runs.epochs == 20) | (runs.seed < 2)]
    found = objections_questions.remainders(runs, DIGITS, DEGRADATION)
    assert found[LONGER].reading == "not recorded yet"
    assert objections_questions.summary(found) == "not recorded yet"
    assert found[RECIPE].reading == "remains"


def test_the_change_against_the_recipe_is_paired_by_seed():
    found = objections_questions.remainders(
        _runs({WIDER: {("plain", 34): 15}}), DIGITS, DEGRADATION
    )
    assert found[RECIPE].gap.mean == pytest.approx(40.1)
    assert found[WIDER].gap.mean == pytest.approx(10.1)
    assert (found[WIDER].change.mean, found[WIDER].change.n) == (pytest.approx(-30), 3)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "remains"),
        ({LONGER: {("plain", 34): 12}}, "remains"),  # smaller is enough
        ({BARE: {("plain", 18): 90, ("plain", 34): 89.9}}, "remains"),  # nothing to compare
        ({LONGER: {("plain", 34): 1}}, "remains in part"),
        ({name: {("plain", 34): 1} for name in OBJECTIONS}, "does not remain"),
        (
            {name: {("plain", 34): 1} for name in OBJECTIONS}
            | {BARE: {("plain", 18): 90, ("plain", 34): 89.9}},
            "does not remain",
        ),
    ],
)
def test_a_summary_is_over_all_objections(changes, expected):
    found = objections_questions.remainders(_runs(changes), DIGITS, DEGRADATION)
    assert objections_questions.summary(found) == expected


def test_each_net_is_taken_at_its_own_best_rate_and_length():
    changes = {
        LONGER: {("plain", 34): 20, ("residual", 34): 1},
        "1/10 of the rate": {("plain", 34): 15, ("residual", 34): None},
        WIDER: {("plain", 34): 0},  # another net, so no way to train this one
        BARE: {("plain", 34): 0},
    }
    runs = _runs(changes)
    assert set(MEANS) == {RECIPE, *OBJECTIONS} - {WIDER, BARE}
    assert objections_questions.best(runs, DIGITS, "plain", 34)[0] == "1/10 of the rate"
    assert objections_questions.best(runs, DIGITS, "residual", 34)[0] == LONGER
    found = objections_questions.remainders(runs, DIGITS, SHORTCUT)
    assert found[BEST].gap.mean == pytest.approx(1 - 15)
    assert found[BEST].reading == "remains, smaller"


def test_a_means_that_two_seeds_tried_is_not_the_best():
    few = _runs({LONGER: {("plain", 34): 1}})
    few = few[(few.epochs == 20) | (few.seed < 2)]
    assert objections_questions.best(few, DIGITS, "plain", 34)[0] == RECIPE
    name, nets = objections_questions.best(few.iloc[:0], DIGITS, "plain", 34)
    assert (name, len(nets)) == ("", 0)


TOO_FEW = "too few seeds to say"


def test_without_a_record_nothing_is_said():
    none = _runs().iloc[:0]
    found = objections_questions.remainders(none, DIGITS, DEGRADATION)
    assert {one.reading for one in found.values()} == {"not recorded yet"}
    assert objections_questions.shortcut_alone(none) == TOO_FEW


@pytest.mark.parametrize(
    ("bare", "skip", "expected"),
    [
        (3, 3, "trains without normalisation"),
        (90, 3, "trains without normalisation if its branches start at 0"),
        (90, 90, "does not train without normalisation"),
        (90, None, "does not train without normalisation"),
    ],
)
def test_shortcuts_alone_train_or_not(bare, skip, expected):
    rows = [
        *_rows(Arm("residual", 34), 2),
        *_rows(Arm("residual", 34, normalisation="none"), bare),
        *_rows(Arm("residual", 34, normalisation="skip-init"), skip),
    ]
    assert objections_questions.shortcut_alone(pd.DataFrame(rows)) == f"ResNet-34 {expected}"


def test_one_seed_that_fails_takes_it_from_shortcuts_alone():
    rows = pd.DataFrame(_rows(Arm("residual", 34, normalisation="none"), 3))
    assert objections_questions.shortcut_alone(rows).endswith("without normalisation")
    rows.loc[rows.seed == 2, "training_error"] = 90
    assert objections_questions.shortcut_alone(rows) == TOO_FEW  # SkipInit is not recorded
    skip = _rows(replace(Arm("residual", 34), normalisation="skip-init"), 3, seeds=(0, 1))
    both = pd.concat([rows, pd.DataFrame(skip)])
    assert objections_questions.shortcut_alone(both) == TOO_FEW


@pytest.fixture
def started():
    """The recipe's nets, and residual nets of every start; those of 34 layers without any fail."""
    rows = [row for net, error in USUAL.items() for row in _rows(Arm(*net), error)]
    for name, error in {"zero-gamma": 1, "skip-init": 2.5, "none": 90}.items():
        rows += _rows(Arm("residual", 34, normalisation=name), error)
    return pd.DataFrame(rows)


def test_starts_are_compared_with_the_usual_one(started):
    gaps = objections_questions.starts(started, DIGITS, 34)
    assert {name: round(gap.mean, 3) for name, gap in gaps.items()} == {
        "batch": 0,
        "zero-gamma": -2,
        "skip-init": -0.5,
        "none": 87,
    }


def test_a_table_of_starts_has_those_that_are_recorded(started):
    gaps = {depth: objections_questions.starts(started, DIGITS, depth) for depth in (18, 34)}
    table = objections_figures.start_table(started, gaps)
    told = dict(zip(table.network, table["training, less the usual start's"], strict=True))
    assert told == {
        "ResNet-18": "–",
        "ResNet-34": "–",
        "ResNet-34, zero-γ": "−2.00 (−2.00 to −2.00)",
        "ResNet-34, SkipInit": "−0.50 (−0.50 to −0.50)",
        "ResNet-34, no normalisation": "+87.00 (+87.00 to +87.00)",
    }


def test_a_table_of_remainders_says_what_is_missing():
    runs = _runs({WIDER: {("plain", 34): 15}})
    table = objections_figures.remainder_table(
        objections_questions.remainders(runs[runs.epochs == 20], DIGITS, DEGRADATION)
    ).set_index("changed")
    assert list(table.index) == [RECIPE, *OBJECTIONS, BEST]
    assert table.loc[RECIPE, "less the recipe's"] == "–"
    assert table.loc[WIDER, POINTS] == "+10.10 (+10.00 to +10.20)"
    assert table.loc[WIDER, "less the recipe's"] == "−30.00 (−30.00 to −30.00)"
    assert table.loc[WIDER, "what remains"] == "remains, smaller"
    assert tuple(table.loc[LONGER]) == ("not recorded yet", "–", 0, "–")


def test_a_table_of_objections_has_a_row_for_each_net():
    runs = _runs({LONGER: {("plain", 34): None}})
    cases = {name: objections_questions.raised(runs, DIGITS, name) for name in (RECIPE, LONGER)}
    table = objections_figures.objection_table(cases)
    assert len(table) == 8
    row = table[(table.changed == LONGER) & (table.network == "plain-34")].iloc[0]
    assert (row["training, %"], row.n, row.diverged) == ("–", 3, 3)
    assert row["multiply-adds"] == "9,000"
