import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import few_steps
import pytest
import torch
from conftest import files_below
from PIL import Image

from resnet_study.errors import InputError
from resnet_study.pipeline.perform import perform
from resnet_study.pipeline.records import read_record
from resnet_study.pipeline.run import Run
from resnet_study.processes import is_leader, processes, share
from resnet_study.training.distributed import own_gpu
from resnet_study.training.recipes import get_recipe

pytestmark = pytest.mark.slow

TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
SMALL = "--depth 8 --width 1 --epochs 2 --device cpu"
GROUP = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}


def start(*arguments):
    """Run Python with ``arguments`` in two processes that torchrun starts."""
    return subprocess.run(
        [sys.executable, *TORCHRUN, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def measure_alone(folder, steps):
    """What ``few_steps.py`` measures until ``steps`` steps are done, from where it last was."""
    return few_steps.measure(folder / "state", steps)


def measure_together(folder, steps):
    """The same in two processes."""
    output = folder / "measured.json"
    done = start(few_steps.__file__, output, folder / "state", steps)
    assert done.returncode == 0, done.stderr
    return json.loads(output.read_text())


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Six steps of a single process: four make an epoch."""
    return measure_alone(tmp_path_factory.mktemp("alone"), 6)


def test_two_processes_learn_what_one_does(alone, tmp_path):
    together = measure_together(tmp_path, 6)
    assert (alone["processes"], together["processes"]) == (1, 2)
    assert len(alone["losses"]) == len(together["losses"]) == 6
    assert together["losses"] == pytest.approx(alone["losses"], rel=1e-6)
    for key in ("squared_gradient_norms", "validation"):
        assert together[key] == pytest.approx(alone[key], rel=1e-5)
    assert together["images_of_epoch"] == alone["images_of_epoch"] == 32
    assert together["curve"][0] == pytest.approx(alone["curve"][0], rel=1e-5)


@pytest.mark.parametrize(
    ("first", "then"),
    [(measure_together, measure_alone), (measure_alone, measure_together)],
    ids=["2 to 1", "1 to 2"],
)
def test_a_run_goes_on_with_another_number_of_processes(first, then, alone, tmp_path):
    early, late = first(tmp_path, 3), then(tmp_path, 6)
    assert early["losses"] + late["losses"] == pytest.approx(alone["losses"], rel=1e-6)
    assert late["curve"][0] == pytest.approx(alone["curve"][0], rel=1e-5)


def test_statistics_of_batch_normalisation_are_the_mean_over_both_shares(tmp_path):
    """Images of 0 here and of 10 there: with a momentum of ½, 7.5 there after two passes."""
    done = start(Path(__file__).with_name("statistics_of_shares.py"), tmp_path / "means")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "means").read_text()) == [pytest.approx(7.5 / 2)]


def test_processes_of_any_launcher_train_together(tmp_path):
    """With the four variables of torch.distributed, which Kubeflow and others set."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    group = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "resnet_study", "run", *SMALL.split(), "--runs-dir", tmp_path],
            env=os.environ | group | {"RANK": str(rank), "OMP_NUM_THREADS": "1"},
        )
        for rank in range(2)
    ]
    assert [process.wait() for process in started] == [0, 0]
    (path,) = tmp_path.rglob("*.json")
    assert read_record(path)["provenance"]["processes"] == 2


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"RANK": "0"}, "RANK set, but not WORLD_SIZE, MASTER_ADDR, MASTER_PORT; accepted: torch"),
        ({"WORLD_SIZE": "2"}, "WORLD_SIZE set, but not RANK"),
        ({"RANK": "0", "WORLD_SIZE": "2"}, "but not MASTER_ADDR, MASTER_PORT"),
        ({"RANK": "zero", **GROUP}, "RANK='zero' is no number"),
        ({"RANK": "-1", **GROUP}, "RANK='-1' is no number"),
        ({"RANK": "0", "LOCAL_RANK": "x", **GROUP}, "LOCAL_RANK='x' is no number"),
        ({"RANK": "0", **GROUP, "WORLD_SIZE": "2.0"}, "WORLD_SIZE='2.0' is no number"),
        ({"SLURM_STEP_NUM_TASKS": "8"}, "srun started 8 processes .*accepted: one, or torchrun"),
        ({"OMPI_COMM_WORLD_SIZE": "2"}, "mpirun started 2 processes"),
        ({"PMI_SIZE": "4"}, "mpiexec started 4 processes"),
    ],
)
def test_a_launcher_that_tells_too_little_is_told_in_one_line(
    command, monkeypatch, variables, message
):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    status, _, error = command("run", *SMALL.split())
    assert status == 2
    assert re.match(f"resnet-study: .*{message}.*\n$", error)


@pytest.mark.parametrize("name", ["SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE", "WORLD_SIZE"])
def test_a_launcher_of_one_process_changes_nothing(monkeypatch, name):
    monkeypatch.setenv(name, "1")
    assert is_leader() and processes() == 1


def test_the_command_trains_under_torchrun_and_goes_on_alone(tmp_path):
    arguments = ("-m", "resnet_study", "run", *SMALL.split(), "--runs-dir", tmp_path)
    stopped = start(*arguments, "--time-budget", "0s")
    assert stopped.returncode != 0  # torchrun's own, where ours is 75: unfinished
    assert stopped.stdout.count("stopped at iteration 1 of 46") == 1
    run = Run(get_recipe("digits", epochs=2, width=1), "residual", 8, seed=0)
    assert run.state(tmp_path) == "part-trained"
    perform(run, device="cpu", runs_dir=tmp_path)
    assert files_below(tmp_path).keys() == {run.record_path(tmp_path)}


def test_a_record_of_two_processes_is_written_once_and_says_so(tmp_path):
    arguments = ("-m", "resnet_study", "run", *SMALL.split(), "--runs-dir", tmp_path)
    done = start(*arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("recorded: ") == 1
    (path,) = files_below(tmp_path)
    record = read_record(path)
    assert record["provenance"]["processes"] == 2
    assert record["curve"]["iteration"] == [23, 46]
    assert record["images_per_second"] > 0


def test_a_mistake_under_torchrun_is_told_once(tmp_path):
    wrong = start(
        "-m", "resnet_study", "run", "--recipe", "imagenet", "--device", "cpu",
        "--data-dir", tmp_path / "nowhere", "--runs-dir", tmp_path / "runs",
    )  # fmt: skip
    assert wrong.returncode != 0
    lines = [line for line in wrong.stderr.splitlines() if line.startswith("resnet-study:")]
    assert len(lines) == 1 and "nowhere" in lines[0]
    assert not files_below(tmp_path / "runs")


def test_what_all_processes_would_find_wrong_is_told_once(tmp_path):
    wrong = start("-m", "resnet_study", "run", "--runs-dir", tmp_path, "--batch", "1435")
    assert wrong.returncode != 0
    lines = [line for line in wrong.stderr.splitlines() if line.startswith("resnet-study:")]
    assert len(lines) == 1 and "leaves a last batch of 2" in lines[0]
    assert not files_below(tmp_path)


def test_a_broken_image_of_one_process_is_told_once_by_that_process(tmp_path):
    """The second of two processes evaluates the last images, and so finds it alone."""
    for part in ("train", "val"):
        for name in ("ant", "bee"):
            folder = tmp_path / "images" / part / name
            folder.mkdir(parents=True)
            for number in range(4):
                Image.new("RGB", (260, 256), (40 * number, 90, 90)).save(folder / f"{number}.JPEG")
    broken = tmp_path / "images" / "val" / "bee" / "3.JPEG"
    broken.write_bytes(broken.read_bytes()[:200])
    wrong = start(
        "-m", "resnet_study", "run", "--recipe", "imagenet", "--device", "cpu", "--epochs", "1",
        "--width", "1", "--batch", "8", "--data-dir", tmp_path / "images",
        "--runs-dir", tmp_path / "runs",
    )  # fmt: skip
    assert wrong.returncode != 0
    lines = [line for line in wrong.stderr.splitlines() if line.startswith("resnet-study:")]
    assert len(lines) == 1 and "bee/3.JPEG" in lines[0]
    assert "Connection closed" not in wrong.stderr
    assert not list((tmp_path / "runs").rglob("*.json"))


def torchrun(monkeypatch, rank, count):
    """Make this process look like one of ``count`` that torchrun started on one machine."""
    variables = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
    for name, value in {"MASTER_ADDR": "localhost", "MASTER_PORT": 1, **variables}.items():
        monkeypatch.setenv(name, str(value))


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_shares_are_the_whole_and_differ_by_one_at_most(count, monkeypatch):
    shares = []
    for rank in range(count):
        torchrun(monkeypatch, rank, count)
        shares.append(share(torch.arange(20)))
    assert torch.cat(shares).tolist() == list(range(20))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_one_process_is_the_leader(monkeypatch):
    assert is_leader() and processes() == 1
    torchrun(monkeypatch, 1, 2)
    assert not is_leader() and processes() == 2


def test_more_processes_than_gpus_are_refused(monkeypatch):
    count = torch.cuda.device_count() + 1
    torchrun(monkeypatch, 0, count)
    with pytest.raises(InputError, match=f"{count} processes on a machine with {count - 1} GPUs"):
        own_gpu()


@pytest.mark.parametrize("several", ["--experiment fig2", "--seeds 0-1"])
def test_several_runs_are_refused_under_torchrun(command, monkeypatch, several):
    torchrun(monkeypatch, 0, 2)
    status, _, error = command("run", *several.split())
    assert status == 2
    assert "several runs do not go with torchrun" in error
