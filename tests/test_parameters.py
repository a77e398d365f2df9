import ast
from types import SimpleNamespace

import nbformat
import pytest
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from resnet_study import paths
from resnet_study.errors import InputError
from resnet_study.pipeline import parameters
from resnet_study.pipeline.parameters import KINDS, check_parameters, convert, declarations

NOTEBOOKS = sorted(paths.NOTEBOOKS.glob("*.ipynb"))
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@pytest.mark.parametrize(
    ("value", "declared", "converted"),
    [
        ("digits", "str", "digits"),
        ("None", "str", "None"),
        (18, "int", 18),
        (18.0, "int", 18),
        ("18", "int", 18),
        ("1e3", "int", 1000),
        (10**30, "int", 10**30),
        (1, "float", 1.0),
        ("1e-3", "float", 0.001),
        ("-1e0", "float", -1.0),
        (".5", "float", 0.5),
        (True, "bool", True),
        ("false", "bool", False),
        ("True", "bool", True),
        (None, "Optional[int]", None),
        ("None", "Optional[str]", None),
        ("5e-1", "Optional[float]", 0.5),
        ("false", "Optional[bool]", False),
    ],
)
def test_what_can_be_meant_in_one_way_only_is_taken(value, declared, converted):
    found = convert("name", value, declared)
    assert found == converted
    assert type(found) is type(converted)


@pytest.mark.parametrize(
    ("value", "declared", "accepted"),
    [
        (True, "int", "a whole number"),
        (3.5, "int", "a whole number"),
        ("3.5", "int", "a whole number"),
        ("deep", "int", "a whole number"),
        ("0-2", "int", "a whole number"),
        ("0x10", "int", "a whole number"),
        ("9" * 5000, "int", "a whole number"),
        (float("inf"), "int", "a whole number"),
        (None, "int", "a whole number"),
        ([18], "int", "a whole number"),
        (False, "float", "a finite number"),
        ("fast", "float", "a finite number"),
        ("2020-01-01", "Optional[float]", "a finite number (float), or None"),
        ("nan", "float", "a finite number"),
        (float("inf"), "float", "a finite number"),
        (10**400, "float", "a finite number"),
        (None, "float", "a finite number"),
        ({}, "float", "a finite number"),
        ("no", "Optional[bool]", "true or false (bool), or None"),
        ("yes", "bool", "true or false"),
        ("", "bool", "true or false"),
        (0, "bool", "true or false"),
        (1.0, "bool", "true or false"),
        (None, "bool", "true or false"),
        ([False], "bool", "true or false"),
        (True, "str", "a text"),  # YAML's "on"
        (8, "str", "a text"),  # YAML's 010
        (202401, "str", "a text"),  # papermill's 2024_01
        (None, "str", "a text"),
        (["0", "1"], "Optional[str]", "a text"),
    ],
)
def test_anything_else_is_refused_in_one_line_with_what_is_accepted(value, declared, accepted):
    with pytest.raises(InputError) as refusal:
        convert("name", value, declared)
    said = str(refusal.value)
    assert said.startswith("parameter name is ")
    assert f"; accepted: {accepted}" in said
    assert "\n" not in said
    assert len(said) < 200


def _declared(path):
    """What the cell tagged ``parameters`` of a notebook declares."""
    cells = nbformat.read(path, as_version=4).cells
    marked = [cell.source for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    return declarations("\n".join(marked))


@pytest.fixture
def inside(monkeypatch):
    """Be the kernel that has run some cells; returns its variables."""

    def run(*cells):
        variables = {}
        for cell in cells:
            exec(cell, variables)
        shell = SimpleNamespace(
            user_ns=variables, history_manager=SimpleNamespace(input_hist_parsed=["", *cells])
        )
        monkeypatch.setattr(parameters, "_shell", lambda: shell)
        return variables

    return run


def _given(path, values):
    """Cells of a notebook until it checks what papermill gave it: those of the parameters alone."""
    given = parameterize_notebook(load_notebook_node(str(path)), values)
    cells = [c for c in given.cells if c.cell_type == "code"]
    tags = ("parameters", "injected-parameters")
    return [c.source for c in cells if set(tags) & set(c.metadata.get("tags", []))]


@every_notebook
def test_a_notebook_checks_its_parameters_before_it_does_anything(path):
    cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    marked = [i for i, c in enumerate(cells) if "parameters" in c.metadata.get("tags", [])]
    first = cells[marked[0] + 1 if marked else 0]
    statements = ast.parse(first.source).body
    kinds = (ast.Import, ast.ImportFrom)
    others = [ast.unparse(each) for each in statements if not isinstance(each, kinds)]
    assert others[0] == "check_parameters()"


@every_notebook
def test_a_notebook_declares_types_that_can_be_checked(path):
    kinds = {kind.removeprefix("Optional[").removesuffix("]") for kind in _declared(path).values()}
    assert kinds <= KINDS.keys()


@every_notebook
@pytest.mark.parametrize("name", ["famly", "Runs_dir", "Optional", "paths"])
def test_a_name_that_the_notebook_does_not_declare_is_refused(path, inside, name):
    inside("from typing import Optional", *_given(path, {name: "x"}))
    with pytest.raises(InputError, match=f"parameter '{name}' is unknown; accepted: .+"):
        check_parameters()


def test_the_values_have_their_types_after_the_check(inside):
    given = {"rate": "1e-3", "epochs": 1.0, "overwrite": "false", "match": "None"}
    found = inside("from typing import Optional", *_given(paths.NOTEBOOKS / "train.ipynb", given))
    check_parameters()
    assert {name: found[name] for name in given} == {
        "rate": 0.001,
        "epochs": 1,
        "overwrite": False,
        "match": None,
    }
    assert type(found["epochs"]) is int
    assert found["depth"] == 18


def test_a_value_of_another_type_is_refused(inside):
    given = {"overwrite": "maybe"}
    inside("from typing import Optional", *_given(paths.NOTEBOOKS / "train.ipynb", given))
    with pytest.raises(InputError, match="overwrite is 'maybe'; accepted: true or false"):
        check_parameters()


def test_what_papermill_adds_by_itself_is_no_mistake(inside):
    given = {"PAPERMILL_INPUT_PATH": "a.ipynb", "runs_dir": "runs"}
    inside(*_given(paths.NOTEBOOKS / "fig2.ipynb", given))
    check_parameters()


def test_cells_tried_out_by_hand_do_not_matter(inside):
    variables = inside("depth: int = 18\n", "x = 3", "depth: int = 34", "y = 4")
    parameters._shell().history_manager.input_hist_parsed.append("no python")
    check_parameters()
    assert variables["depth"] == 34


def test_a_script_without_a_kernel_has_nothing_to_check():
    check_parameters()


@every_notebook
def test_no_parameter_makes_a_notebook_tell_of_other_data_than_its_words_do(path):
    """Words, captions and labels name the digits; only train may be of any recipe.

    Those of add_block name no block but the residual one, so that it can be set beside any.
    """
    others = {"add_block": {"family"}}.get(path.stem, set())
    if path.stem != "train":
        assert _declared(path).keys() <= {"runs_dir", "measurements_dir", "seeds"} | others
