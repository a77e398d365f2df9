import errno
import os
import random
import subprocess
import sys
import time

import pytest
import torch

from resnet_study import paths
from resnet_study.errors import InputError, OutOfTime
from resnet_study.models.networks import build_model
from resnet_study.training.checkpoints import Checkpoint, share_done
from resnet_study.training.loop import train
from resnet_study.training.recipes import get_recipe

pytestmark = pytest.mark.slow

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


def _saved(path, state=None):
    """A checkpoint at ``path``."""
    Checkpoint(path, IDENTITY).save(state or {"step": 3, "steps": 4, "weights": torch.arange(100)})
    return path


@pytest.mark.parametrize(
    "damage",
    [
        lambda b: b[: len(b) // 2],
        lambda b: b[:-1],
        lambda b: b"",
        lambda b: b"text",
        lambda b: b[9:],
        lambda b: b + b"\0",
        lambda b: b.replace(b"abc", b"abd", 1),
        lambda b: b.replace(b'"step": 3', b'"step": 2', 1),
        lambda b: b[: b.index(b"\n") + 1],
        lambda b: b"{}" + b[b.index(b"\n") :],
        lambda b: b"[" * 5000 + b,
    ],
    ids=[
        "half", "without the last byte", "empty", "no checkpoint", "without its head",
        "with a byte more", "of other data", "of another step", "only its head", "an empty head",
        "nested deeply",
    ],
)  # fmt: skip
def test_a_damaged_checkpoint_is_refused_by_name(tmp_path, damage):
    path = _saved(tmp_path / "file")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=f"{path} is damaged; delete it"):
        Checkpoint(path, IDENTITY).load()


def test_every_flipped_bit_of_a_checkpoint_is_found(tmp_path):
    """Also within the weights, where nothing else would notice."""
    path = _saved(tmp_path / "file")
    content = path.read_bytes()
    for bit in random.Random(0).sample(range(8 * len(content)), 200):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        with pytest.raises(InputError, match=f"{path} is damaged; delete it"):
            Checkpoint(path, IDENTITY).load()


@pytest.mark.parametrize("identity", [None, [], "text", 3])
def test_a_checkpoint_of_no_work_is_damaged(tmp_path, identity):
    Checkpoint(tmp_path / "file", identity).save({"step": 3})
    with pytest.raises(InputError, match="is damaged; delete it"):
        Checkpoint(tmp_path / "file", IDENTITY).load()


@pytest.mark.parametrize("identity", [None, IDENTITY])
def test_a_checkpoint_of_the_older_layout_is_told_as_such(tmp_path, identity):
    path = tmp_path / "file"
    torch.save({"identity": identity, "state": {"step": 3}}, path)
    with pytest.raises(InputError, match=f"{path} is of an older version of the study; delete it"):
        Checkpoint(path, IDENTITY).load()


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(InputError, match=f"{tmp_path} cannot be read: Is a directory"):
        Checkpoint(tmp_path, IDENTITY).load()


def test_no_code_runs_from_a_checkpoint(tmp_path):
    class Bad:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "made"),)

    path = _saved(tmp_path / "file", {"step": Bad.__name__, "bad": Bad()})
    with pytest.raises(InputError, match="is damaged"):
        Checkpoint(path, IDENTITY).load()
    assert not (tmp_path / "made").exists()


def _without(*keys):
    def remove(state):
        inner = state
        for key in keys[:-1]:
            inner = inner[key]
        del inner[keys[-1]]

    return remove


def _changed(value, *keys):
    def change(state):
        inner = state
        for key in keys[:-1]:
            inner = inner[key]
        inner[keys[-1]] = value

    return change


KEYS = (
    "model", "optimiser", "generator", "random", "step", "order", "score", "curve", "seconds",
    "parts",
)  # fmt: skip
MISFITS = {
    **{f"without {key}": _without(key) for key in KEYS},
    **{f"with None for {key}": _changed(None, key) for key in KEYS if key != "order"},
    "without a weight": lambda state: state["model"].popitem(),
    "with a weight more": _changed(torch.ones(3), "model", "more"),
    "with weights of another shape": lambda state: state["model"].update(
        {name: torch.ones(7, 7) for name in state["model"]}
    ),
    "with momenta of another shape": lambda state: [
        kept.update(momentum_buffer=torch.ones(7, 7))
        for kept in state["optimiser"]["state"].values()
    ],
    "with a rate that is a text": _changed("0.1", "optimiser", "param_groups", 0, "lr"),
    "without parameters": _changed([], "optimiser", "param_groups"),
    "with a step that is a text": _changed("3", "step"),
    "with a step beyond the end": _changed(99, "step"),
    "with a step before the start": _changed(-1, "step"),
    "with a step of the next epoch": _changed(7, "step"),
    "with an order of other images": _changed(torch.full((50,), 99), "order"),
    "with an order of numbers": _changed(torch.rand(50), "order"),
    "with a shorter order": _changed(torch.arange(9), "order"),
    "with an order that is a text": _changed("0 1 2", "order"),
    "with another score": _changed((torch.zeros(5), 3), "score"),
    "with a curve of other fields": _changed([{"epoch": 1}], "curve"),
    "with a curve of texts": _changed(["1"], "curve"),
    "with a part of no iteration": _changed([{}], "parts"),
    "with seconds below zero": _changed(-1.0, "seconds"),
    "with an odd state of the generator": _changed(torch.ones(3), "generator"),
}


@pytest.mark.parametrize("change", MISFITS.values(), ids=MISFITS)
def test_a_state_that_no_such_training_reaches_is_damaged(dataset, tmp_path, monkeypatch, change):
    path = tmp_path / "file"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        _stop_after(patch, 2)
        _train(dataset, Checkpoint(path, IDENTITY, seconds=0))
    state = Checkpoint(path, IDENTITY).load()
    change(state)
    Checkpoint(path, IDENTITY).save(state)
    before = path.read_bytes()
    with pytest.raises(InputError, match=f"{path} is damaged; delete it"):
        _train(dataset, Checkpoint(path, IDENTITY))
    assert path.read_bytes() == before


def test_an_empty_state_is_damaged(dataset, tmp_path):
    Checkpoint(tmp_path / "file", IDENTITY).save({})
    with pytest.raises(InputError, match="is damaged"):
        _train(dataset, Checkpoint(tmp_path / "file", IDENTITY))


def test_a_full_gpu_is_no_damage(tmp_path):
    """Whoever is told to delete a good checkpoint loses hours."""
    checkpoint = Checkpoint(tmp_path / "file", IDENTITY)
    with pytest.raises(torch.cuda.OutOfMemoryError), checkpoint.fitting():
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")


def test_the_first_line_tells_how_far_a_training_is(tmp_path):
    path = _saved(tmp_path / "file")
    assert share_done(path) == 0.75
    path.write_bytes(path.read_bytes()[:-50])  # it reads no more than it needs
    assert share_done(path) == 0.75
    assert share_done(tmp_path / "none") == 1  # the training ended between two looks
    with pytest.raises(InputError, match="is damaged"):
        share_done(_saved(tmp_path / "other", {"step": 3}))


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


def test_a_training_that_is_killed_again_and_again_ends_in_the_same_record():
    """``make killing``, in short."""
    script = paths.ROOT / "tests" / "killing.py"
    done = subprocess.run(
        [sys.executable, script, "1", "--epochs", "4"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 kills; the record is the same to the bit" in done.stdout
