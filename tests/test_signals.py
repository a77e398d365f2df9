"""A signal saves what is under way and ends the process; nothing is lost, nothing is left."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from conftest import files_below

from resnet_study.pipeline.perform import perform
from resnet_study.pipeline.records import read_record
from resnet_study.pipeline.run import Run
from resnet_study.signals import SIGNALS, Stopped, held, let_through, stoppable, waiting
from resnet_study.training.checkpoints import Checkpoint
from resnet_study.training.loop import train
from resnet_study.training.recipes import get_recipe

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_raises_and_the_former_handler_comes_back(number):
    before = signal.getsignal(number)
    with pytest.raises(Stopped) as stop, stoppable():
        signal.raise_signal(number)
    assert stop.value.status == 128 + number
    assert signal.getsignal(number) == before


def test_a_signal_that_is_held_waits_and_a_second_one_does_not():
    with pytest.raises(Stopped), stoppable(), held():
        signal.raise_signal(signal.SIGTERM)
        assert waiting() == signal.SIGTERM
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError("the second was held too")
    assert waiting() is None


def test_where_signals_are_let_through_one_that_waits_is_raised():
    with stoppable(), held():
        with pytest.raises(Stopped), let_through():
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)  # is held again
        with pytest.raises(Stopped), let_through():
            raise AssertionError("the block began")


def test_what_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stoppable():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_thread_beside_the_main_one_leaves_signals_alone():
    before, found = signal.getsignal(signal.SIGTERM), []

    def work():
        with stoppable():
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [before]


def _raise_at(moment):
    """A report that sends SIGTERM to this process at its so manieth call."""
    calls = iter(range(1, 1000))

    def report(step, steps, point):
        if next(calls) == moment:
            os.kill(os.getpid(), signal.SIGTERM)

    return report


# 1: before the first step; 2 to 24: after a step; 25: after an evaluation.
@pytest.mark.parametrize("moment", [1, 2, 13, 24, 25, 26])
def test_a_training_that_a_signal_ends_goes_on_to_the_same_bit(tiny_run, tmp_path, moment):
    run = Run(get_recipe("digits", epochs=2, width=1), "residual", 8, seed=0)
    unbroken = read_record(perform(run, device="cpu", runs_dir=tmp_path / "whole"))
    where = tmp_path / "broken"
    with pytest.raises(Stopped, match="stopped at iteration"):
        perform(run, device="cpu", runs_dir=where, checkpoint_seconds=1e9, report=_raise_at(moment))
    assert files_below(where).keys() == {run.checkpoint_path(where)}
    goes_on = read_record(perform(run, device="cpu", runs_dir=where))
    for key in ("curve", "final", "wrong_images"):
        assert goes_on[key] == unbroken[key]
    assert len(goes_on["provenance"]["resumed"]) == 1


def test_a_signal_does_not_wait_for_an_evaluation(dataset, tmp_path, monkeypatch):
    from resnet_study.training import loop

    def evaluate(*arguments):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)

    checkpoint = Checkpoint(tmp_path / "file", {}, seconds=1e9)
    recipe = get_recipe("digits", epochs=2, batch=16)
    from resnet_study.models.networks import build_model

    def model():
        import torch

        torch.manual_seed(0)
        return build_model("residual", 8, classes=3, channels=1, stem="small", width=2)

    whole = train(model(), dataset, recipe, seed=0)
    with monkeypatch.context() as patch, pytest.raises(Stopped, match="iteration 4 of 8"):
        patch.setattr(loop, "evaluate", evaluate)
        with stoppable():
            train(model(), dataset, recipe, seed=0, checkpoint=checkpoint)
    again = Checkpoint(tmp_path / "file", {}, seconds=1e9)
    assert train(model(), dataset, recipe, seed=0, checkpoint=again) == whole


def _start(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "resnet_study", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


LONG = ("run", "--depth", 8, "--width", 1, "--epochs", 100_000, "--device", "cpu", "--runs-dir")


@pytest.mark.parametrize("number", SIGNALS)
def test_the_command_saves_says_so_and_ends(tmp_path, number):
    started = _start(*LONG, tmp_path)
    assert "epoch 1 (0 %): training" in started.stderr.readline()  # a line an epoch without a tty
    started.send_signal(number)
    _, errors = started.communicate(timeout=30)
    assert started.returncode == 128 + number
    assert "resnet-study: stopped at iteration" in errors.splitlines()[-1]
    assert "Traceback" not in errors
    assert [path.suffix for path in files_below(tmp_path)] == [".checkpoint"]


def test_an_error_that_a_library_makes_of_a_signal_while_it_is_loaded_is_the_signal():
    with pytest.raises(Stopped), stoppable():
        try:
            signal.raise_signal(signal.SIGTERM)
        except Stopped:
            raise ImportError("initialization failed") from None
    with pytest.raises(ImportError), stoppable():
        raise ImportError("no module of that name")
