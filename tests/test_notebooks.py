import copy
import os
import re
import subprocess
import sys

import jupytext
import nbformat
import papermill
import pytest
from conftest import files_below

from resnet_study import paths
from resnet_study.errors import InputError
from resnet_study.pipeline.notebooks import execute, parse_parameters
from resnet_study.pipeline.records import read_record

pytestmark = pytest.mark.slow

TRAIN = paths.NOTEBOOKS / "train.ipynb"
TINY = {"family": "plain", "depth": 18, "epochs": 1, "width": 1, "device": "cpu"}
COMMITTED = (
    "add_block",
    "claims",
    "summary",
    "block",
    "fig2",
    "highway",
    "containment",
    "data_size",
    "depth",
    "gates",
    "gradients",
    "multiplication",
    "objections",
    "pictures",
    "reproduction",
    "shortcut",
    "speed",
    "story_depth",
    "story_gradients",
    "story_highway",
    "story_open",
    "story_shortcut",
    "train",
)
NOTEBOOKS = sorted(paths.NOTEBOOKS.glob("*.ipynb"))
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)

# A failing comparison is looked for by pytest-in-pytest: not with the outer run's options.
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}


def _nbval(option, *notebooks):
    """Run nbval over ``notebooks`` in their own folder: (exit status, what it said)."""
    folder = notebooks[0].parent
    done = subprocess.run(
        [sys.executable, "-m", "pytest", option, "-p", "no:cacheprovider", "-p", "no:xdist"]
        + ["--rootdir", folder, "-c", os.devnull, *notebooks],
        capture_output=True,
        text=True,
        cwd=folder,
        env=CLEAN | {"OMP_NUM_THREADS": "1"},
    )
    return done.returncode, done.stdout + done.stderr


def _papermill(output, yaml, **parameters):
    """The plain command, as a user would type it, with ``yaml`` besides."""
    options = [text for pair in parameters.items() for text in ("-p", *map(str, pair))]
    return subprocess.run(
        [sys.executable, "-m", "papermill", TRAIN, output, *options, "-y", yaml],
        capture_output=True,
        text=True,
        cwd=output.parent,
    )


@pytest.fixture
def no_kernel(monkeypatch):
    """Fail the test as soon as a notebook is executed."""

    def start(*arguments, **options):
        pytest.fail("a kernel was about to start")

    monkeypatch.setattr(papermill, "execute_notebook", start)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("depth", "34", 34),
        ("family", "plain", "plain"),
        ("epochs", "3", 3),
        ("epochs", "None", None),
        ("rate", "0.1", 0.1),
        ("rate", "1e-3", 0.001),
        ("overwrite", "True", True),
        ("overwrite", "false", False),
        ("recipe", "None", "None"),  # a text, where a text is declared
    ],
)
def test_a_parameter_is_read_as_the_type_that_the_notebook_declares(name, text, value):
    parsed = parse_parameters(TRAIN, {name: text})
    assert parsed == {name: value}
    assert type(parsed[name]) is type(value)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("famly", "plain", ["famly", "family, depth, seed"]),
        ("Depth", "34", ["Depth", "depth"]),
        ("depth", "deep", ["depth", "deep", "int"]),
        ("depth", "3.5", ["depth", "3.5", "int"]),
        ("depth", "None", ["depth", "None", "int"]),
        ("epochs", "few", ["epochs", "few", "int"]),
        ("rate", "fast", ["rate", "fast", "float"]),
        ("overwrite", "maybe", ["overwrite", "maybe", "bool"]),
        ("overwrite", "1", ["overwrite", "1", "bool"]),
    ],
)
def test_a_misspelt_or_ill_typed_parameter_is_refused_before_a_kernel_starts(
    command, tmp_path, no_kernel, name, text, words
):
    status, out, err = command("execute", TRAIN, tmp_path / "out.ipynb", "-p", name, text)
    assert status == 2
    assert out == ""
    assert err.count("\n") == 1
    for word in words:
        assert word in err
    assert not files_below(tmp_path)


def test_a_missing_notebook_is_refused(command, tmp_path, no_kernel):
    status, _, err = command("execute", tmp_path / "none.ipynb", tmp_path / "out.ipynb")
    assert status == 2
    assert err.count("\n") == 1
    assert "none.ipynb does not exist" in err
    assert not files_below(tmp_path)


def _notebook(*cells, **metadata):
    """The text of a notebook."""
    return nbformat.writes(nbformat.v4.new_notebook(cells=list(cells), metadata=metadata))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"no notebook", ["is no notebook"]),
        (b"", ["is no notebook"]),
        (b"\xff\xfe", ["is no notebook"]),
        (b"[]", ["is no notebook"]),
        (b"{}", ["is no notebook"]),
        (b"[" * 10**5, ["is no notebook"]),
        (b'{"cells": 3, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}', ["is no notebook"]),
        (
            b'{"cells": [], "metadata": {}, "nbformat": 5, "nbformat_minor": 0}',
            ["no notebook", "5"],
        ),
        (
            b'{"cells": [], "metadata": {"kernelspec": "python3"}, "nbformat": 4, '
            b'"nbformat_minor": 5}',
            ["is no notebook"],
        ),
        (
            _notebook(kernelspec={"name": "ir", "display_name": "R", "language": "R"}).encode(),
            ["is a notebook of R; accepted: python"],
        ),
        (_notebook(language_info={"name": "julia"}).encode(), ["of julia; accepted: python"]),
        (_notebook().encode(), ["parameter 'depth' of other.ipynb is unknown", "none"]),
        (
            _notebook(
                nbformat.v4.new_code_cell("depth: = 3", metadata={"tags": ["parameters"]})
            ).encode(),
            ["the parameters of", "cannot be read"],
        ),
        (
            _notebook(
                nbformat.v4.new_code_cell("depth: list = []", metadata={"tags": ["parameters"]})
            ).encode(),
            ["depth is declared as list; accepted: Optional or not, str, int, float, bool"],
        ),
    ],
)
def test_a_file_that_is_no_notebook_of_ours_is_refused(
    command, tmp_path, no_kernel, content, words
):
    path = tmp_path / "other.ipynb"
    path.write_bytes(content)
    status, _, err = command("execute", path, tmp_path / "out.ipynb", "-p", "depth", "3")
    assert status == 2
    assert err.count("\n") == 1
    assert "other.ipynb" in err or "declared" in err
    for word in words:
        assert word in err
    assert files_below(tmp_path).keys() == {path}


def test_a_folder_is_no_notebook(command, tmp_path, no_kernel):
    status, _, err = command("execute", tmp_path, tmp_path / "out.ipynb")
    assert status == 2
    assert err == f"resnet-study: {tmp_path} is no notebook; accepted: a file\n"


def test_a_notebook_needs_no_kernel_of_its_own_and_no_parameters(tmp_path):
    path = tmp_path / "bare.ipynb"
    path.write_text(_notebook(nbformat.v4.new_code_cell("%matplotlib inline")))
    assert parse_parameters(path, {}) == {}


def test_a_good_parameter_reaches_the_notebook(command, tmp_path):
    options = [text for pair in TINY.items() for text in ("-p", *map(str, pair))]
    output = tmp_path / "out.ipynb"
    status, out, err = command(
        "execute", TRAIN, output, *options, "-p", "runs_dir", tmp_path / "runs"
    )
    assert status == 0, err
    assert str(output) in out
    (record,) = (tmp_path / "runs").rglob("*.json")
    config = read_record(record)["config"]
    assert (config["family"], config["depth"], config["recipe"]["epochs"]) == ("plain", 18, 1)
    nbformat.validate(nbformat.read(output, as_version=4))
    assert files_below(tmp_path).keys() == {output, record}


def test_plain_papermill_trains_and_records(tmp_path):
    yaml = "{rate: 1e-3, seed: 7.0}"  # a text, as YAML has it, and no whole number
    done = _papermill(tmp_path / "out.ipynb", yaml, **TINY, runs_dir=tmp_path / "runs")
    assert done.returncode == 0, done.stderr
    (record,) = (tmp_path / "runs").rglob("*.json")
    assert read_record(record)["config"]["seed"] == 7
    assert read_record(record)["config"]["recipe"]["rate"] == 0.001
    cells = nbformat.read(tmp_path / "out.ipynb", as_version=4).cells
    assert any("image/svg+xml" in o.get("data", {}) for c in cells for o in c.get("outputs", []))


def test_plain_papermill_refuses_a_misspelt_parameter_and_trains_nothing(tmp_path):
    output = tmp_path / "out.ipynb"
    done = _papermill(output, "famly: plain", **TINY, runs_dir=tmp_path / "runs")
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("InputError: parameter 'famly' is unknown; accepted: recipe, family")
    assert files_below(tmp_path).keys() == {output}
    cells = nbformat.read(output, as_version=4).cells
    (error,) = (o for c in cells for o in c.get("outputs", []) if o.output_type == "error")
    assert error.traceback == [last]


def test_a_notebook_that_fails_leaves_one_line_and_no_output(command, tmp_path):
    output = tmp_path / "deep" / "out.ipynb"
    status, _, err = command(
        "execute", TRAIN, output, "-p", "family", "plian", "-p", "runs_dir", tmp_path / "runs"
    )
    assert status == 2
    assert "'plian' is unknown; accepted: plain, residual" in err
    assert err.startswith("resnet-study: ")
    assert err.count("\n") == 1
    assert not files_below(tmp_path)


def test_a_notebook_that_fails_leaves_an_older_output_alone(tmp_path):
    notebook, output = tmp_path / "failing.ipynb", tmp_path / "out.ipynb"
    cell = nbformat.v4.new_code_cell("raise ValueError('two\\nlines')")
    content = nbformat.v4.new_notebook(cells=[cell], metadata=nbformat.read(TRAIN, 4).metadata)
    nbformat.write(content, notebook)
    output.write_text("older")
    with pytest.raises(InputError, match="failing.ipynb failed: ValueError: two"):
        execute(notebook, output, {})
    assert files_below(tmp_path).keys() == {notebook, output}
    assert output.read_text() == "older"


def test_an_output_that_cannot_be_written_is_told(tmp_path, no_kernel):
    (tmp_path / "file").touch()
    for output in (tmp_path / "file" / "out.ipynb", tmp_path):
        with pytest.raises(InputError, match="cannot write"):
            execute(TRAIN, output, {})


def test_every_parameter_of_train_is_typed_and_documented():
    declared = papermill.inspect_notebook(str(TRAIN))
    assert {"recipe", "family", "depth", "seed", "shortcut", "epochs", "device", "runs_dir"} <= (
        declared.keys()
    )
    for parameter in declared.values():
        assert parameter["inferred_type_name"] not in ("", "None"), parameter
        assert len(parameter["help"]) > 3, parameter


def _cells(notebook):
    kept = ("tags", "mystnb")
    return [
        (cell.cell_type, cell.source, {k: v for k, v in cell.metadata.items() if k in kept and v})
        for cell in notebook.cells
    ]


@every_notebook
def test_a_notebook_and_its_script_are_in_step(path):
    script = jupytext.read(path.with_suffix(".py"))
    assert _cells(nbformat.read(path, as_version=4)) == _cells(script)


def test_no_script_is_without_its_notebook():
    assert {path.stem for path in paths.NOTEBOOKS.glob("*.py")} == {path.stem for path in NOTEBOOKS}
    assert {path.stem for path in NOTEBOOKS} == set(COMMITTED)


@every_notebook
def test_a_committed_notebook_was_executed_from_top_to_bottom_without_an_error(path):
    cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert any("data" in output for output in outputs)
    for output in outputs:
        assert output.output_type != "error"
        assert output.get("name") != "stderr", output


@every_notebook
def test_a_committed_notebook_has_no_noise(path):
    notebook = nbformat.read(path, as_version=4)
    assert not {"papermill", "widgets"} & notebook.metadata.keys()
    assert "version" not in notebook.metadata.get("language_info", {})
    for cell in notebook.cells:
        assert not {"papermill", "execution"} & cell.metadata.keys()
        assert "injected-parameters" not in cell.metadata.get("tags", [])
    text = path.read_text()
    assert not re.search(r"/tmp/|/home/|/root/|0x[0-9a-f]{8}", text)  # of one machine, or one run


def test_the_committed_notebooks_give_the_same_outputs_again():
    """Strictly, and figures included. At its defaults, train loads a committed record."""
    figures = [paths.NOTEBOOKS / f"{name}.ipynb" for name in COMMITTED]
    status, said = _nbval("--nbval", *figures)
    assert status == 0, said[-5000:]
    assert " passed" in said
    assert "failed" not in said


def _altered(path, folder):
    """A copy of a notebook in which the last number of its first table is another."""
    notebook = nbformat.read(path, as_version=4)
    tables = [
        output.data
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "<td>" in output.get("data", {}).get("text/html", "")
    ]
    before = copy.deepcopy(tables[0])
    html = tables[0]["text/html"]
    *_, last = re.finditer(r"\d(?=\D*</td>)", html)
    digit = str((int(last.group()) + 1) % 10)
    tables[0]["text/html"] = html[: last.start()] + digit + html[last.end() :]
    assert tables[0] != before
    nbformat.write(notebook, folder / path.name)
    return folder / path.name


def test_an_altered_number_in_a_figure_notebook_is_found(tmp_path):
    status, said = _nbval("--nbval", _altered(paths.NOTEBOOKS / "fig2.ipynb", tmp_path))
    assert status == 1, said[-5000:]
    assert "1 failed" in said


def test_the_train_notebook_runs_under_nbval_with_a_tiny_budget(tmp_path):
    tiny = tmp_path / "tiny.ipynb"
    parameters = {**TINY, "runs_dir": str(tmp_path / "runs")}
    papermill.execute_notebook(str(TRAIN), str(tiny), parameters, prepare_only=True)
    status, said = _nbval("--nbval-lax", tiny)
    assert status == 0, said[-5000:]
    (record,) = (tmp_path / "runs").rglob("*.json")
    assert read_record(record)["config"]["recipe"]["epochs"] == 1
