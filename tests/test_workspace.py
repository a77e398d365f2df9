"""A folder of somebody's own, with the study's notebooks and records behind it."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from resnet_study import paths
from resnet_study.pipeline.notebooks import find_notebook
from resnet_study.pipeline.records import all_records, find_records

NAME = "digits/plain-18-seed-0.json"


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    return tmp_path


def test_the_workspace_goes_before_the_study(workspace):
    here, ours = workspace / "data" / "runs" / NAME, paths.STUDY / "data" / "runs" / NAME
    assert paths.find(here) == ours
    here.parent.mkdir(parents=True)
    here.touch()
    assert paths.find(here) == here


@pytest.mark.parametrize("name", ["data/runs/digits/plain-18-seed-999.json", "mine/a.json"])
def test_what_neither_has_is_in_the_workspace(workspace, name):
    assert paths.find(workspace / name) == workspace / name


def test_another_folder_has_nothing_behind_it(workspace):
    elsewhere = workspace.with_name("elsewhere") / "data" / "runs" / NAME
    assert paths.find(elsewhere) == elsewhere


@pytest.mark.slow
def test_a_record_of_ones_own_stands_for_the_studys(workspace):
    runs = workspace / "data" / "runs"
    ours = find_records(paths.STUDY / "data" / "runs")
    assert all_records(runs) == ours
    shutil.copytree(paths.STUDY / "data" / "runs" / "digits-narrow", runs / "digits-narrow")
    own = find_records(runs)
    assert {*own} < {*all_records(runs)}
    assert len(all_records(runs)) == len(ours)


def test_a_notebook_is_a_file_or_a_name(workspace, monkeypatch):
    monkeypatch.chdir(workspace)
    assert find_notebook(paths.Path("fig2")) == paths.NOTEBOOKS / "fig2.ipynb"
    (workspace / "fig2").touch()
    assert find_notebook(paths.Path("fig2")) == paths.Path("fig2")
    assert find_notebook(paths.Path("none")) == paths.Path("none")


def _study(workspace, *arguments):
    environment = os.environ | {
        "RESNET_STUDY_ROOT": str(workspace),
        "PYTHONPATH": str(paths.PACKAGE.parent),
    }
    return subprocess.run(
        [sys.executable, "-m", "resnet_study", *arguments],
        cwd=workspace,
        env=environment,
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_commands_know_the_studys_records_and_write_into_the_workspace(tmp_path):
    before = {*paths.RUNS.rglob("*")}
    again = ("run", "--family", "plain", "--depth", "18", "--seed", "0")
    said = _study(tmp_path, *again).stdout
    assert said.startswith(f"recorded already: {paths.RUNS / NAME} (--overwrite trains again)")
    # A grid of one's own, which is trained here.
    grid = "run --depth 18 --seeds 0-1 --epochs 1 --width 1 --device cpu"
    assert "2 of 2 runs are recorded" in _study(tmp_path, *grid.split()).stdout
    found = json.loads(_study(tmp_path, "status", "--json").stdout)
    assert found["others"] == [
        f"digits/residual-18-width-1-epochs-1-seed-{seed}" for seed in range(2)
    ]
    states = {run["state"] for each in found["experiments"] for run in each["runs"]}
    assert "recorded" in states
    verdicts = json.loads(_study(tmp_path, "verdicts", "--json").stdout)
    assert len(verdicts) == 9
    assert {*paths.RUNS.rglob("*")} == before
