import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest
from filelock import FileLock

from resnet_study import paths
from resnet_study.cli import parse_duration
from resnet_study.errors import InputError
from resnet_study.models.options import Gates
from resnet_study.pipeline.perform import perform
from resnet_study.pipeline.queue import Executions, Place, train_missing
from resnet_study.pipeline.records import find_records, read_record
from resnet_study.pipeline.run import Run
from resnet_study.questions.experiments import EXPERIMENTS
from resnet_study.training.recipes import get_recipe

pytestmark = pytest.mark.slow

RUNS = EXPERIMENTS["fig2"].runs(seeds=(0, 1), epochs=1, width=1)


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path / "runs", tmp_path / "data", device="cpu")


@pytest.fixture
def trained(monkeypatch):
    """Names of the runs trained; training is stood in for, in this process."""
    names, lock = [], threading.Lock()

    def execute(executions, notebook, output, given):
        known = {(run.family, run.depth, run.seed): run for run in RUNS}
        run = known[given["family"], given["depth"], given["seed"]]
        assert (given["epochs"], given["width"]) == (1, 1)  # what departs from the recipe
        with lock:  # torch's random state is one for the process
            names.append(run.name)
            perform(run, device=given["device"], runs_dir=given["runs_dir"])

    monkeypatch.setattr(Executions, "run", execute)
    return names


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("9m", 540), ("2h", 7200), ("1h30m", 5400), ("1h1m1s", 3661), ("0s", 0)],
)
def test_a_duration_is_read(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "9", "soon", "9 m", "-9m", "9m1h", "1.5h", "m"])
def test_a_duration_that_cannot_be_read_is_refused(text):
    with pytest.raises(InputError, match="accepted: such as 90s, 9m, 1h30m"):
        parse_duration(text)


@pytest.mark.parametrize("jobs", [0, -1])
def test_a_queue_of_no_jobs_is_refused(jobs):
    with pytest.raises(InputError, match="accepted: 1 or more"):
        Place(jobs=jobs)


@pytest.mark.parametrize("jobs", [1, 3])
def test_what_is_missing_is_trained_and_nothing_else(place, trained, jobs):
    place = replace(place, jobs=jobs)
    perform(RUNS[2], device="cpu", runs_dir=place.runs_dir)
    said = []
    assert train_missing(RUNS, place, said.append) == {}
    assert sorted(trained) == sorted(run.name for run in RUNS if run != RUNS[2])
    assert {run.state(place.runs_dir) for run in RUNS} == {"recorded"}
    assert len(said) == 1 + 7
    assert "7 of 8" in said[0]
    trained.clear()
    train_missing(RUNS, place, said.append)
    assert trained == []


def test_one_job_at_a_time_trains_in_the_order_given(place, trained):
    train_missing(RUNS[::-1], place, lambda text: None)
    assert trained == [run.name for run in RUNS[::-1]]


def test_nothing_is_started_when_time_is_up(place, trained):
    place = replace(place, deadline=time.time() + 1)
    assert list(train_missing(RUNS, place, lambda text: None)) == RUNS
    assert trained == []


def test_a_run_that_another_queue_trains_is_left_to_it(place, trained):
    busy = RUNS[0].record_path(place.runs_dir)
    busy.parent.mkdir(parents=True)
    with FileLock(busy.with_name(f".{RUNS[0].name}.lock")):
        said = []
        assert train_missing(RUNS[:2], place, said.append) == {RUNS[0]: "busy"}
    assert trained == [RUNS[1].name]
    assert any(RUNS[0].name in line and "busy" in line for line in said)


def test_a_run_through_the_notebook_leaves_a_record_and_a_log(place, monkeypatch):
    monkeypatch.chdir(paths.ROOT / "resnet_study")  # which has a queue.py
    (run,) = EXPERIMENTS["fig2"].runs(seeds=(3,), epochs=1, width=2)[:1]
    before = {path: path.read_bytes() for path in paths.NOTEBOOKS.iterdir() if path.is_file()}
    assert train_missing([run], place, print) == {}
    assert read_record(run.record_path(place.runs_dir))["config"] == run.config
    assert len(find_records(place.runs_dir)) == 1
    assert len(list(place.logs.rglob("*.ipynb"))) == 1
    assert {path: path.read_bytes() for path in before} == before


def test_a_highway_run_reaches_the_notebook_with_all_that_it_is(place):
    recipe = get_recipe("digits", epochs=1, width=8, fraction=0.5)
    gates = Gates(kernel=1, bias=-3, normalised=True, relu="inside")
    run = Run(recipe, "highway", 8, seed=1, gates=gates, match="multiply_adds")
    assert train_missing([run], place, print) == {}
    assert read_record(run.record_path(place.runs_dir))["config"] == run.config


def test_a_training_that_fails_is_told_in_one_line_and_the_others_go_on(place):
    place.data_dir.write_text("a file, where the pictures should be")
    one, other = (
        EXPERIMENTS["fig2"].runs(recipe, (0,), epochs=1, width=1)[0]
        for recipe in ("tiny-imagenet-20", "digits")
    )
    said = []
    assert train_missing([one, other], place, said.append) == {one: "failed"}
    (line,) = (line for line in said if "failed" in line)
    assert "\n" not in line
    assert f"train.ipynb failed, see {place.logs}" in line
    assert str(place.data_dir) in line
    assert other.state(place.runs_dir) == "recorded"


def processes_that_name(text):
    """Ids of running processes in whose command line ``text`` stands."""
    listed = subprocess.run(["pgrep", "-f", text], capture_output=True, text=True).stdout
    return {int(word) for word in listed.split()}


def until(holds, seconds=60):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGKILL])
def test_a_queue_that_is_ended_ends_its_trainings_saved(tmp_path, number):
    place = Place(tmp_path / "runs")
    command = [sys.executable, "-m", "resnet_study", "run", "--experiment", "fig2"]
    command += ["--recipe", "digits", "--seeds", "0", "--jobs", "1", "--width", "1"]
    command += ["--epochs", "100000", "--device", "cpu", "--runs-dir", place.runs_dir]
    command += ["--checkpoint-seconds", "2"]
    queue = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until(lambda: list(place.runs_dir.glob("digits/*.checkpoint")))
    time.sleep(1)  # of steps that are not saved yet
    moment = time.time()
    os.kill(queue.pid, number)
    said = queue.communicate()[1]
    until(lambda: not processes_that_name(str(tmp_path)))
    (checkpoint,) = place.runs_dir.glob("digits/*.checkpoint")
    assert checkpoint.stat().st_mtime > moment
    if number != signal.SIGKILL:
        assert queue.returncode == 128 + number
        assert said.startswith(f"resnet-study: stopped by {signal.Signals(number).name}; ")
        assert said.count("\n") == 1
