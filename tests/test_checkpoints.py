import errno
import os
import time

import pytest
import torch

from resnet_study.checkpoints import Checkpoint, OutOfTime
from resnet_study.errors import InputError
from resnet_study.models import build_model
from resnet_study.recipes import get_recipe
from resnet_study.training import train

RECIPE = get_recipe("digits", epochs=2, batch=16)  # 4 steps an epoch on the shared data set
IDENTITY = {"config": {"seed": 5}, "data": "abc"}
LONG = 1e9


def _model():
    torch.manual_seed(0)
    return build_model("residual", 8, classes=3, channels=1, stem="small", width=2)


def _train(dataset, checkpoint=None, callbacks=()):
    """The history and the weights of one training."""
    model = _model()
    history = train(
        model, dataset, RECIPE, seed=5, checkpoint=checkpoint, callbacks=list(callbacks)
    )
    return history, model.state_dict()


def _stop_after(monkeypatch, savings):
    """Interrupt a training right after the given number of savings."""
    save, count = Checkpoint.save, iter(range(1, 1000))

    def save_and_stop(self, state):
        save(self, state)
        if next(count) == savings:
            raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoint, "save", save_and_stop)


# Two epochs of four steps save ten times: after every step, and after both evaluations.
@pytest.mark.parametrize("savings", range(1, 11))
def test_a_training_goes_on_from_any_moment_to_the_same_bit(
    dataset, tmp_path, monkeypatch, savings
):
    expected, weights = _train(dataset)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        _stop_after(patch, savings)
        _train(dataset, Checkpoint(tmp_path / "file", IDENTITY, seconds=0))
    torch.manual_seed(77)  # whatever has been drawn since
    history, found = _train(dataset, Checkpoint(tmp_path / "file", IDENTITY, seconds=LONG))
    assert history == expected
    assert all(torch.equal(found[name], weights[name]) for name in weights)


def test_each_evaluation_is_told_once_though_interrupted(dataset, tmp_path, monkeypatch):
    told = []
    for savings in (3, 4):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            _stop_after(patch, savings)
            checkpoint = Checkpoint(tmp_path / "file", IDENTITY, seconds=0)
            _train(dataset, checkpoint, [lambda model, data, iteration: told.append(iteration)])
    assert told == [0, 4]


def test_saving_does_not_change_a_training(dataset, tmp_path):
    saved, _ = _train(dataset, Checkpoint(tmp_path / "file", IDENTITY, seconds=0))
    assert saved == _train(dataset)[0]


def test_nothing_is_saved_before_it_is_time(dataset, tmp_path):
    _train(dataset, Checkpoint(tmp_path / "file", IDENTITY, seconds=LONG))
    assert not (tmp_path / "file").exists()


def test_a_deadline_saves_and_stops(dataset, tmp_path):
    path = tmp_path / "file"
    with pytest.raises(OutOfTime, match="iteration 1 of 8"):
        _train(dataset, Checkpoint(path, IDENTITY, LONG, deadline=time.monotonic()))
    assert Checkpoint(path, IDENTITY).load()["step"] == 1
    assert _train(dataset, Checkpoint(path, IDENTITY, LONG))[0] == _train(dataset)[0]


def test_what_is_saved_is_loaded_and_removed(tmp_path):
    checkpoint = Checkpoint(tmp_path / "deep" / "file", IDENTITY)
    assert checkpoint.load() is None
    checkpoint.save({"step": 3, "weights": torch.arange(3)})
    state = Checkpoint(tmp_path / "deep" / "file", IDENTITY).load()
    assert state["step"] == 3
    assert torch.equal(state["weights"], torch.arange(3))
    checkpoint.remove()
    checkpoint.remove()
    assert checkpoint.load() is None


@pytest.mark.parametrize("key", ["config", "data"])
def test_a_checkpoint_of_another_training_is_refused(tmp_path, key):
    Checkpoint(tmp_path / "file", IDENTITY).save({"step": 3})
    with pytest.raises(InputError, match=f"{tmp_path / 'file'} has another {key}"):
        Checkpoint(tmp_path / "file", {**IDENTITY, key: "other"}).load()


@pytest.mark.parametrize(
    "damage",
    [
        lambda b: b[: len(b) // 2],
        lambda b: b[:-1],
        lambda b: b"",
        lambda b: b"text",
        lambda b: b[9:],
    ],
    ids=["half", "without the last byte", "empty", "no checkpoint", "without its head"],
)
def test_a_damaged_checkpoint_is_refused_by_name(tmp_path, damage):
    path = tmp_path / "file"
    Checkpoint(path, IDENTITY).save({"step": 3, "weights": torch.arange(100)})
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=f"{path} is damaged; delete it"):
        Checkpoint(path, IDENTITY).load()


def test_a_saving_that_fails_keeps_the_one_before(tmp_path, monkeypatch):
    checkpoint = Checkpoint(tmp_path / "file", IDENTITY)
    checkpoint.save({"step": 3})

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(InputError, match="No space left"):
        patch.setattr(os, "replace", full)
        checkpoint.save({"step": 4})
    assert checkpoint.load()["step"] == 3
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
