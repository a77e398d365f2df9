"""The status page, rendered alone; ``test_book.py`` renders it in the book."""

import re
from types import SimpleNamespace

import pytest
import status_page
from bs4 import BeautifulSoup

from resnet_study import paths
from resnet_study.errors import InputError
from resnet_study.pipeline import notebooks
from resnet_study.pipeline.benchmarks import find_results
from resnet_study.pipeline.executions import load_executions, log_execution
from resnet_study.pipeline.records import RecordError, find_records, read_record

pytestmark = pytest.mark.slow

RUNS = [read_record(path) for path in find_records()]
MEASURED = [read_record(path) for path in find_records(paths.MEASUREMENTS)]
NOTEBOOKS = re.search(r"^NOTEBOOKS := (.*)$", (paths.ROOT / "Makefile").read_text(), re.M)[
    1
].split()


@pytest.fixture(scope="module")
def tables(generated_site):
    """Rows of every table of the page, by its name: texts by the titles of their columns."""
    page = BeautifulSoup((generated_site / "book" / "status.html").read_text(), "html.parser")
    found = {}
    for table in page.find_all("table"):
        assert {cell.get("scope") for cell in table.thead.find_all("th")} == {"col"}
        titles = [cell.get_text() for cell in table.thead.find_all("th")]
        found[table["id"].removeprefix("status-")] = [
            dict(zip(titles, [cell.get_text() for cell in tr.find_all("td")], strict=True))
            for tr in table.tbody.find_all("tr")
        ]
    return found


def _n(row):
    return int(row["n"].replace(",", ""))


def _count(rows):
    return sum(map(_n, rows))


def test_the_page_shows_every_table_and_none_is_empty(tables):
    assert tables.keys() == status_page.TABLES.keys()
    assert all(tables.values())


def test_every_notebook_of_the_makefile_was_timed(tables):
    """``make notebooks`` times them."""
    assert sorted(NOTEBOOKS) == sorted(path.stem for path in paths.NOTEBOOKS.glob("*.ipynb"))
    assert {row["notebook"] for row in tables["notebooks"]} == set(NOTEBOOKS)
    for row in tables["notebooks"]:
        assert float(row["seconds"]) > 0
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", row["date"])
        assert row["processor"]
    assert {"torch", "numpy", "matplotlib"} <= {row["package"] for row in tables["packages"]}


def test_make_notebooks_times_the_notebooks():
    (command,) = re.findall(
        r"resnet-study execute (?:.|\\\n)*?&&", (paths.ROOT / "Makefile").read_text()
    )
    log = paths.EXECUTIONS.relative_to(paths.ROOT).as_posix()
    assert f"--log {log}" in command


def test_every_result_has_a_machine_and_a_commit(tables):
    everything = len(RUNS) + len(MEASURED) + len(find_results())
    assert _count(tables["machines"]) == _count(tables["commits"]) == everything
    trainings = [row for row in tables["machines"] if row["kind"] == "training"]
    assert _count(trainings) == len(RUNS)
    packages = [run["provenance"]["packages"]["torch"] for run in RUNS]
    assert {row["torch"] for row in trainings} == set(packages)
    of_trainings = [row for row in tables["commits"] if row["kind"] == "training"]
    commits = {row["commit"] for row in of_trainings}
    assert commits == {run["provenance"]["commit"][:7] for run in RUNS}
    started = [run["provenance"]["started"][:10] for run in RUNS]
    days = [row["first"] for row in of_trainings]
    assert days == sorted(days)
    assert days[0] == min(started)
    assert max(row["last"] for row in of_trainings) == max(started)


def test_every_training_has_the_fingerprint_of_its_data(tables):
    listed = {
        (row["data set"], row["fraction"], row["drawn by seed"]): (row["SHA-256"], _n(row))
        for row in tables["data"]
    }
    assert len(listed) == len(tables["data"])  # a part of the data has one fingerprint
    assert sum(n for _, n in listed.values()) == len(RUNS)
    for run in RUNS:
        recipe = run["config"]["recipe"]
        fraction = f"{recipe.get('fraction', 1):.0%}".replace("%", " %")
        drawn_by = str(run["config"]["seed"]) if recipe.get("own_subset") else ""
        fingerprint, _ = listed[recipe["data"], fraction, drawn_by]
        assert run["provenance"]["data"].startswith(fingerprint)


def test_costs_add_up_to_the_seconds_of_all_records(tables):
    *rows, total = tables["costs"]
    assert total["kind"] == "total"
    on = {"cpu": 0.0, "cuda": 0.0}
    for record in RUNS + MEASURED:
        on[record["provenance"]["device"]["type"]] += record["seconds"]
    assert float(total["core hours"]) == pytest.approx(on["cpu"] / 3600, abs=0.0051)
    assert float(total["GPU minutes"]) == pytest.approx(on["cuda"] / 60, abs=0.51)
    assert _n(total) == _count(rows) == len(RUNS) + len(MEASURED)
    on_cpu = [run for run in RUNS if run["provenance"]["device"]["type"] == "cpu"]
    for recipe in {run["config"]["recipe"]["name"] for run in on_cpu}:
        of_recipe = [run for run in on_cpu if run["config"]["recipe"]["name"] == recipe]
        shown = [row for row in rows if row["recipe"] == recipe and row["kind"] == "training"]
        hours = sum(float(row["core hours"]) for row in shown)
        seconds = sum(run["seconds"] for run in of_recipe)
        assert hours == pytest.approx(seconds / 3600, abs=0.0051 * len(shown))


def test_a_gpu_is_counted_in_minutes_and_a_core_in_hours():
    def cost(device, processes, threads):
        device = {"type": device, "name": "a device"}
        changed = {"device": device, "processes": processes, "threads": threads}
        record = {**RUNS[0], "seconds": 600, "provenance": RUNS[0]["provenance"] | changed}
        row = status_page._row("training", record)
        return row["core_hours"], row["gpu_minutes"]

    assert cost("cuda", processes=2, threads=1) == (0, 20)
    assert cost("cpu", processes=1, threads=3) == (0.5, 0)


def test_a_table_that_does_not_exist_is_refused():
    machine = SimpleNamespace(reporter=None)
    directive = status_page.Status("status", ["cots"], {}, [], 1, 0, "", None, machine)
    with pytest.raises(InputError, match="'cots' is unknown; accepted: machines, commits"):
        directive.run()


@pytest.fixture
def notebook(tmp_path):
    path = tmp_path / "notebooks" / "figures.ipynb"
    path.parent.mkdir()
    path.touch()
    return path


def test_the_log_keeps_the_last_execution_of_every_notebook_that_there_is(tmp_path, notebook):
    log, other = tmp_path / "log.json", notebook.with_name("other.ipynb")
    other.touch()
    for path, seconds in ((notebook, 1.23), (other, 4), (notebook, 5.67)):
        log_execution(path, seconds, log)
    found = load_executions(log)
    assert {name: each["seconds"] for name, each in found.items()} == {"figures": 5.7, "other": 4}
    assert found["figures"]["packages"].keys() >= {"torch", "matplotlib", "papermill"}
    other.unlink()
    log_execution(notebook, 1, log)
    assert load_executions(log).keys() == {"figures"}


def test_a_log_changed_by_hand_is_refused(tmp_path, notebook):
    log = tmp_path / "log.json"
    log_execution(notebook, 123, log)
    log.write_text(log.read_text().replace("123", "12"))
    with pytest.raises(RecordError, match="altered"):
        load_executions(log)


def test_the_command_logs_what_it_executed_and_only_where_it_is_told(
    command, tmp_path, notebook, monkeypatch
):
    monkeypatch.setattr(notebooks, "parse_parameters", lambda *arguments: {})
    monkeypatch.setattr(notebooks, "execute", lambda *arguments: None)
    assert command("execute", notebook, tmp_path / "out.ipynb")[0] == 0
    assert list(tmp_path.iterdir()) == [notebook.parent]
    log = tmp_path / "log.json"
    assert command("execute", notebook, tmp_path / "out.ipynb", "--log", log)[0] == 0
    assert load_executions(log).keys() == {"figures"}


def test_a_notebook_that_fails_is_not_logged(command, tmp_path, notebook, monkeypatch):
    def fail(*arguments):
        raise InputError("it failed")

    monkeypatch.setattr(notebooks, "parse_parameters", lambda *arguments: {})
    monkeypatch.setattr(notebooks, "execute", fail)
    assert (
        command("execute", notebook, tmp_path / "o.ipynb", "--log", tmp_path / "log.json")[0] == 2
    )
    assert not (tmp_path / "log.json").exists()
