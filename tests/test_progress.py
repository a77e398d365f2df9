import sys

import pytest

from resnet_study.errors import InputError
from resnet_study.models.networks import build_model
from resnet_study.pipeline.perform import perform
from resnet_study.pipeline.records import read_record
from resnet_study.pipeline.run import make_run
from resnet_study.training import progress
from resnet_study.training.loop import Evaluation, train
from resnet_study.training.recipes import get_recipe


def _train(dataset, report):
    model = build_model("residual", 8, classes=3, channels=1, stem="small", width=2)
    train(model, dataset, get_recipe("digits", epochs=2, batch=16), seed=0, report=report)


def test_progress_is_shown_on_demand_only(dataset, capsys):
    _train(dataset, None)
    assert capsys.readouterr().err == ""
    with progress.bar() as report:
        _train(dataset, report)
    assert "8/8" in capsys.readouterr().err


def test_without_a_terminal_an_epoch_is_a_line(dataset):
    said = []
    with progress.lines(said.append) as report:
        _train(dataset, report)
    assert [line.split(":")[0] for line in said] == ["epoch 1 (50 %)", "epoch 2 (100 %)"]
    assert all("training " in line and "validation " in line for line in said)
    assert said[-1].endswith("about 0 s to go")


def test_time_to_go_counts_from_where_a_training_went_on(monkeypatch):
    """Steps 100 to 200 of 1,000 took 50 s: the 800 that are left take 400."""
    clock = iter([10.0, 60.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    said = []
    with progress.lines(said.append) as report:
        report(100, 1000, None)
        report(200, 1000, Evaluation(2, 200, 12.345, 0.1, 23.456, 0.2, 11.0))
    assert said == ["epoch 2 (20 %): training 12.3 %, validation 23.5 %; about 7 min to go"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "about 0 s"), (89, "about 89 s"), (90, "about 2 min"), (6000, "about 1.7 h")],
)
def test_durations_in_words(seconds, text):
    assert progress.in_words(seconds) == text


@pytest.mark.slow
def test_tensorboard_shows_the_curve_of_the_record(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = make_run("digits", depth=8, epochs=2, width=1)
    path = perform(run, device="cpu", runs_dir=tmp_path / "runs", tensorboard=tmp_path / "curves")
    curve = read_record(path)["curve"]
    shown = EventAccumulator(str(tmp_path / "curves" / "digits" / run.name)).Reload()
    assert {*shown.Tags()["scalars"]} == {*curve} - {"epoch", "iteration"}
    for name in shown.Tags()["scalars"]:
        points = shown.Scalars(name)
        assert [point.step for point in points] == curve["iteration"]
        assert [point.value for point in points] == pytest.approx(curve[name], rel=1e-6)


def test_tensorboard_that_is_not_installed_is_named_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with (
        pytest.raises(InputError, match=r"accepted: pip install 'resnet-study\[tensorboard\]'"),
        progress.tensorboard(tmp_path / "curves"),
    ):
        pass
    assert not (tmp_path / "curves").exists()
