import os
import subprocess
from pathlib import Path

import pytest
import torch

from resnet_study.pipeline import mps, queue
from resnet_study.pipeline.mps import CONTROL, shared_gpu
from resnet_study.pipeline.queue import Executions, Place, train_missing
from resnet_study.questions.experiments import EXPERIMENTS

# Notes what it is asked to do, and whose service it is.
SERVICE = """#!/bin/sh
[ "$1" = -d ] && said=start || said=$(cat)
echo "$said $CUDA_MPS_PIPE_DIRECTORY" >> {notes}
exit {status}
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """A function that puts a stand-in of the service on the path, and says where it notes."""

    def put(status=0, gpu="pass"):
        notes, control = tmp_path / "notes", tmp_path / "bin" / CONTROL
        control.parent.mkdir()
        control.write_text(SERVICE.format(notes=notes, status=status))
        control.chmod(0o755)
        monkeypatch.setenv("PATH", f"{control.parent}:{os.environ['PATH']}")
        monkeypatch.setattr(mps, "USE_THE_GPU", gpu)
        return notes

    return put


def test_a_gpu_is_shared_through_a_service_of_its_own_that_ends_with_it(install):
    notes = install()
    with shared_gpu() as variables:
        folder = variables["CUDA_MPS_PIPE_DIRECTORY"]
        assert Path(folder).is_dir()
        assert notes.read_text() == f"start {folder}\n"
    assert notes.read_text() == f"start {folder}\nquit {folder}\n"
    assert not Path(folder).exists()


def test_the_service_ends_when_the_trainings_fail(install):
    notes = install()
    with pytest.raises(KeyboardInterrupt), shared_gpu():
        raise KeyboardInterrupt
    assert "quit" in notes.read_text()


@pytest.mark.parametrize("fault", [{"status": 1}, {"gpu": "raise SystemExit(1)"}])
def test_trainings_take_turns_where_the_service_does_not_work(install, fault):
    notes = install(**fault)
    with shared_gpu() as variables:
        assert variables == {}
    assert "quit" in notes.read_text()  # whatever of it was started


def test_trainings_take_turns_without_the_service(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with shared_gpu() as variables:
        assert variables == {}


def test_somebody_elses_service_is_left_alone(install, monkeypatch):
    notes = install()
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", "/somewhere")
    with shared_gpu() as variables:
        assert variables == {}
    assert not notes.exists()


@pytest.mark.parametrize(
    ("kind", "jobs", "shared"), [("cuda", 2, 1), ("cuda", 1, 0), ("cpu", 2, 0)]
)
def test_a_gpu_is_shared_for_several_trainings_on_it_alone(
    tmp_path, install, monkeypatch, kind, jobs, shared
):
    notes = install()
    monkeypatch.setattr(queue, "choose_device", lambda device: torch.device(kind))
    monkeypatch.setattr(Executions, "run", lambda *given: None)
    runs = EXPERIMENTS["fig2"].runs(seeds=(0,), epochs=1, width=1)
    train_missing(runs, Place(tmp_path / "runs", jobs=jobs), lambda text: None)
    assert notes.exists() == shared


def test_a_training_gets_the_variables_of_the_service(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        subprocess, "Popen", lambda command, env, **other: seen.append(env) or _Ended()
    )
    with Executions({"CUDA_MPS_PIPE_DIRECTORY": "here"}) as executions:
        executions.run("train", tmp_path / "log.ipynb", {})
    assert seen[0]["CUDA_MPS_PIPE_DIRECTORY"] == "here"


class _Ended:
    returncode = 0

    def communicate(self):
        return None, ""

    def wait(self):
        return 0

    def terminate(self):
        pass
