"""The table of published trainings, its comparisons, and the grades computed from them."""

import re
import subprocess
import sys

import pandas as pd
import pytest

from resnet_study import paths
from resnet_study.errors import InputError
from resnet_study.figures.literature import TEST_SETS, VALIDATION
from resnet_study.figures.literature import resnet_pairs as draw_pairs
from resnet_study.questions import literature
from resnet_study.questions.literature import Grade, grade, load_literature, pairs

README = (paths.LITERATURE / "README.md").read_text()


@pytest.fixture(scope="module")
def table():
    return load_literature()


def test_each_row_says_what_was_measured_and_where_it_stands(table):
    assert len(table) > 200
    assert list(table) == list(literature.DTYPES)
    assert table[[*literature.TOLD, "depth", "error", "seen"]].notna().all(axis=None)
    files = table[table.repository.notna()]
    assert files.repository.str.fullmatch(r"[\w.-]+/[\w.-]+").all()
    assert files.commit.str.fullmatch(r"[0-9a-f]{40}").all()
    papers = table[table.repository.isna()]
    assert papers.place.str.match(r"(Table|Fig\.|section) \d").all()
    assert not table.duplicated(["source", "net", "test_set", "crops", "place"]).any()


def test_numbers_are_such_as_networks_have(table):
    assert table.error.between(3, 99).all()
    assert table.depth.between(18, 1202).all()
    assert table.parameters.dropna().between(0.2, 30).all()
    assert table.spread.dropna().between(0.01, 1).all()
    assert (table.n.notna() == (table.statistic != "not told")).all()
    assert (table.n[table.spread.notna()] > 1).all()
    assert set(table.test_set[table.data == "ImageNet-1k"]) == set(TEST_SETS)


def test_sources_and_words_are_those_of_bibliography_and_readme(table):
    entries = set(re.findall(r"@\w+\{(.+),", (paths.ROOT / "book" / "references.bib").read_text()))
    assert set(table.source) <= entries
    columns = README.split("## Columns")[1].split("## How")[0]
    assert all(re.search(rf"\b{column}\b", columns) for column in table)
    families = re.search(r"\| family \| (.+) \|", columns)[1]
    assert set(re.split(r", ", re.sub(r" \(.+?\)", "", families))) == set(table.family)
    assert all(f"| {value.value} |" in README for value in Grade)


def test_no_torch_is_needed():
    code = "import sys, resnet_study.questions.literature; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=paths.ROOT).returncode == 0


def test_the_papers_table_2_is_in_it(table):
    from resnet_study.questions.paper import TEN_CROP_ERRORS

    he = table[(table.source == "he2015deep") & (table.place == "Table 2")]
    assert (
        dict(zip(zip(he.family, he.depth, strict=True), he.error, strict=True)) == TEN_CROP_ERRORS
    )


# Reading


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("error", "much"),
        ("error", ""),
        ("error", "104"),
        ("source", ""),
        ("place", ""),
        ("commit", ""),
        ("repository", ""),
        ("seen", "hearsay"),
        ("metric", "top-5 error"),
        ("bound", "perhaps"),
        ("depth", "34.5"),
    ],
)
def test_a_row_that_says_too_little_is_refused(tmp_path, column, value):
    rows = pd.read_csv(paths.LITERATURE / "imagenet.csv", dtype="string").tail(2)
    rows.iloc[1, rows.columns.get_loc(column)] = value
    rows.to_csv(tmp_path / "rows.csv", index=False)
    with pytest.raises(InputError, match="rows.csv"):
        load_literature(tmp_path)


def test_other_columns_and_an_empty_folder_are_refused(tmp_path):
    with pytest.raises(InputError, match="has no table"):
        load_literature(tmp_path)
    rows = pd.read_csv(paths.LITERATURE / "imagenet.csv", dtype="string").drop(columns="note")
    rows.to_csv(tmp_path / "rows.csv", index=False)
    with pytest.raises(InputError, match="columns"):
        load_literature(tmp_path)


# Comparing


def _trainings(*rows):
    """Rows of (group, family, depth, error), each of one setting a group."""
    made = pd.DataFrame(rows, columns=["group", "family", "depth", "error"])
    same = {"data": "digits", "test_set": "test", "metric": "top-1 error", "crops": 1}
    return made.assign(
        source=made.group,
        setting="s",
        net=made.family + made.depth.astype(str),
        bound=False,
        **same,
    )


def test_a_difference_is_the_net_minus_its_reference_within_a_setting():
    found = pairs(
        _trainings(("a", "plain", 18, 30), ("a", "plain", 34, 32.5), ("b", "plain", 34, 1)),
        {"depth": 34},
        {"depth": 18},
    )
    assert found.difference.tolist() == [2.5]
    assert found[["net", "net_of_reference"]].values.tolist() == [["plain34", "plain18"]]


def test_crops_and_test_sets_are_not_mixed():
    rows = _trainings(("a", "plain", 18, 30), ("a", "plain", 34, 32))
    for column, value in (("crops", 10), ("test_set", "other"), ("setting", "other")):
        mixed = rows.copy()
        mixed.loc[1, column] = value
        assert pairs(mixed, {"depth": 34}, {"depth": 18}).empty, column


def test_several_references_are_refused():
    rows = _trainings(("a", "plain", 18, 30), ("a", "highway", 18, 31), ("a", "plain", 34, 32))
    with pytest.raises(InputError, match="several references"):
        pairs(rows, {"depth": 34}, {"depth": 18})


def test_a_bound_bounds_from_below_and_is_no_reference():
    rows = _trainings(("a", "plain", 34, 60), ("a", "residual", 34, 25), ("b", "plain", 34, 20))
    rows["bound"] = rows.family == "plain"
    plain, residual = {"family": "plain"}, {"family": "residual"}
    found = pairs(rows, plain, residual)
    assert found.difference.tolist() == [35] and found.bound.tolist() == [True]
    assert pairs(rows, residual, plain).empty
    failed = literature.beyond(rows, limit=60)
    assert literature.groups(failed, 1) == ["a"]  # at 60 and more; "above 20" leaves it open
    assert literature.groups(failed, -1) == ["a"]  # the residual net


# Grades


def _evidence(*differences):
    """One group a difference, named after its place."""
    made = {"group": [f"group {i}" for i in range(len(differences))], "difference": differences}
    return pd.DataFrame(made).assign(bound=False)


@pytest.mark.parametrize(
    ("differences", "general", "expected"),
    [
        ((), False, Grade.UNREPORTED),
        ((), True, Grade.UNREPORTED),
        ((0,), False, Grade.UNREPORTED),
        ((-2,), False, Grade.REPORTED_ONCE),
        ((-2, -1), False, Grade.REPORTED_BY_FEW),
        ((-2, -1, -3, -4), False, Grade.REPORTED_BY_FEW),
        ((-2, -1, -3, -4, -1), False, Grade.ESTABLISHED),
        ((-2, -1, -3, -4, -1), True, Grade.ESTABLISHED),
        ((-2, -1, -3, -4, -1, 0.1), False, Grade.CONTESTED),
        ((2, 1, 1), False, Grade.CONTESTED),
        ((-2, 1), True, Grade.CONTESTED),
        ((-2, -1, -3, -4, -1, 1, 2), True, Grade.FALSE_IN_GENERAL),
        ((-2, -1, -3, -4, -1, 1, 2), False, Grade.CONTESTED),
    ],
)
def test_the_grade_follows_the_written_rule(differences, general, expected):
    evidence = _evidence(*differences)
    assert grade(evidence, -1, general) is expected
    mirrored = evidence.assign(difference=-evidence.difference)
    assert grade(mirrored, 1, general) is expected


def test_groups_are_counted_and_not_rows():
    evidence = pd.concat([_evidence(-1)] * 7)
    assert grade(evidence, -1) is Grade.REPORTED_ONCE
    evidence = pd.concat([_evidence(-1), _evidence(2)])  # one group, both signs
    assert grade(evidence, -1) is Grade.CONTESTED


def test_a_sign_is_one_of_two():
    with pytest.raises(InputError, match="sign 0"):
        grade(_evidence(-1), 0)


def test_what_the_literature_says_of_the_claims(table):
    graded = literature.graded(table).set_index("claim").grade
    assert graded.to_dict() == {
        "C1": Grade.ESTABLISHED,
        "C2": Grade.UNREPORTED,
        "C3": Grade.UNREPORTED,
        "C4": Grade.REPORTED_ONCE,
        "C5": Grade.ESTABLISHED,
        "C6": Grade.REPORTED_ONCE,
        "C7": Grade.CONTESTED,
        "C8": Grade.CONTESTED,
        "C9": Grade.UNREPORTED,
    }


def test_resnet_34_is_better_in_all_public_pairs(table):
    found = literature.resnet_pairs(table)
    assert (found.difference < 0).all()
    assert found.groupby("test_set").size().to_dict() == {
        test_set: 24 if test_set == VALIDATION else 10 for test_set in TEST_SETS
    }


# The figure


def test_the_figure_has_each_pair_once_and_each_test_set(table):
    found = literature.resnet_pairs(table)
    left, right = draw_pairs(found).axes
    names = [label.get_text() for label in left.get_yticklabels()]
    assert len(names) == len(set(names)) == 24
    shallow, deep = (line.get_xdata() for line in left.lines)
    assert (deep < shallow).all()
    assert [label.get_text() for label in right.get_xticklabels()] == list(TEST_SETS)
    drawn = sum(len(line.get_ydata()) for line in right.lines if line.get_marker() == "o")
    assert drawn == len(found)
