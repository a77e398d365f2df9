"""Measurements: written whole, sealed, read back, and refused when they are not what they say."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from conftest import files_below

from resnet_study import paths
from resnet_study.errors import InputError
from resnet_study.pipeline.measurements import (
    MEASUREMENTS,
    Measurement,
    get_measurement,
    record_missing,
)
from resnet_study.pipeline.records import RecordError, read_record
from resnet_study.pipeline.run import Run
from resnet_study.training.recipes import get_recipe

TABLE = pd.DataFrame({"layer": ["a", "b"], "norm": [1.23456789, np.inf], "n": [3, 4]})
STEP = Measurement("step", "What?", {"n": 2}, "pipeline.step")
every_measurement = pytest.mark.parametrize("name", MEASUREMENTS)


@pytest.fixture(autouse=True)
def steps(monkeypatch):
    """Modules of the pipeline with a ``measure`` that is quick, and with one that fails."""

    def fail():
        raise InputError("no")

    for name, measure in {"step": lambda n: {"norms": TABLE.head(n)}, "broken": fail}.items():
        module = SimpleNamespace(measure=measure)
        monkeypatch.setitem(sys.modules, f"resnet_study.pipeline.{name}", module)


def test_tables_come_back_with_six_digits_and_nothing_where_there_is_no_number(tmp_path):
    STEP.record(tmp_path)
    table = STEP.tables(tmp_path)["norms"]
    assert table.layer.tolist() == ["a", "b"] and table.n.tolist() == [3, 4]
    assert table.norm[0] == 1.23457 and np.isnan(table.norm[1])


def test_a_file_names_settings_provenance_time_and_memory(tmp_path):
    content = read_record(STEP.record(tmp_path))
    assert content["settings"] == {"n": 2} and content["measurement"] == "step"
    assert {"commit", "code", "packages", "device"} <= set(content["provenance"])
    assert content["provenance"]["device"]["instructions"]
    assert content["seconds"] >= 0 and content["peak_memory"] > 1e8


def test_a_measurement_is_missing_recorded_or_stale(tmp_path):
    assert STEP.state(tmp_path) == "missing"
    STEP.record(tmp_path)
    assert STEP.state(tmp_path) == "recorded"
    other = replace(STEP, settings={"n": 1})
    assert other.state(tmp_path) == "stale"
    with pytest.raises(RecordError, match="is stale; accepted: after resnet-study measure step"):
        other.tables(tmp_path)


def test_an_altered_file_is_refused(tmp_path):
    path = STEP.record(tmp_path)
    path.write_text(path.read_text().replace("1.23457", "1.33457"))
    with pytest.raises(RecordError, match="was altered"):
        STEP.tables(tmp_path)


def test_a_step_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(InputError, match="no"):
        Measurement("broken", "", {}, "pipeline.broken").record(tmp_path / "new")
    assert not list((tmp_path / "new").glob("*"))


def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_measured(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write into"):
        STEP.record(tmp_path / "file")


def test_an_unknown_measurement_is_refused_and_known_ones_are_named():
    with pytest.raises(InputError, match="'norm'.*accepted: multiplication"):
        get_measurement("norm")


@pytest.mark.parametrize("path", sorted(paths.MEASUREMENTS.glob("*")), ids=lambda path: path.stem)
def test_every_committed_file_is_of_todays_settings_and_from_a_commit(path):
    assert MEASUREMENTS[path.stem].state() == "recorded"
    commit = read_record(path)["provenance"]["commit"]
    assert len(commit) == 40 and "+" not in commit


def test_names_are_those_of_the_runs_that_are_watched():
    for name, measurement in MEASUREMENTS.items():
        if name.startswith("anatomy-"):
            chosen = measurement.settings
            recipe = get_recipe(chosen["recipe"])
            net = {key: chosen[key] for key in ("family", "depth", "seed", "normalisation")}
            assert name == f"anatomy-{Run(recipe, **net).name}"


def test_what_is_recorded_is_left_and_no_jobs_at_all_are_refused():
    assert list(record_missing(["multiplication"], jobs=2)) == []
    with pytest.raises(InputError, match="jobs 0.*accepted: 1 or more"):
        list(record_missing(["multiplication"], jobs=0))


@every_measurement
def test_settings_are_what_json_has(name):
    settings = MEASUREMENTS[name].settings
    assert json.loads(json.dumps(settings)) == settings


def processes_of(session):
    """Ids of the running processes of a session."""
    return subprocess.run(["pgrep", "-s", str(session)], capture_output=True, text=True).stdout


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_measurement_that_is_ended_leaves_no_process_and_nothing_half_written(tmp_path, number):
    measuring = subprocess.Popen(
        [sys.executable, "-m", "resnet_study", "measure", "--overwrite", "anatomy-plain-18-seed-0"],
        env=os.environ | {"RESNET_STUDY_ROOT": str(tmp_path)},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while processes_of(measuring.pid).count("\n") < 3:  # itself, the pool's and its tracker
        assert time.monotonic() < deadline
        time.sleep(0.1)
    measuring.send_signal(number)
    measuring.wait()
    while processes_of(measuring.pid):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    for path in files_below(tmp_path):  # what was under way may have come to its end
        read_record(path, "measurement")
