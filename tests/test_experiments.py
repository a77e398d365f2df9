import itertools
import math
import os
import subprocess
import sys
import time
from dataclasses import fields

import pytest
from conftest import files_below
from filelock import FileLock

from resnet_study.augmentation import Augmentation
from resnet_study.checkpoints import OutOfTime
from resnet_study.errors import InputError
from resnet_study.experiments import EXPERIMENTS, Run, get_experiment, parse_seeds, perform
from resnet_study.recipes import Recipe, get_recipe
from resnet_study.records import RecordError, read_record, write_record

CHANGES = {
    "held_out": 100,
    "stem": "small",
    "width": 8,
    "augmentation": Augmentation(scales=(64, 80), crop=56),
    "batch": 32,
    "epochs": 7,
    "rate": 0.01,
    "drops": (0.3,),
    "momentum": 0.5,
    "weight_decay": 0.0,
    "warmup": 5,
    "patience": 3,
    "precision": "bfloat16",
    "ten_crop": True,
}


def _rewrite(path, **changes):
    record = read_record(path)
    content = {key: value for key, value in record.items() if key not in ("schema", "sha256")}
    write_record(path, {**content, **changes})


def test_every_value_of_a_recipe_is_tried_below():
    assert CHANGES.keys() == {field.name for field in fields(Recipe)} - {"name", "data"}


@pytest.mark.parametrize("field", CHANGES)
def test_a_runs_name_tells_what_departs_from_the_recipe(field):
    usual = Run(get_recipe("tiny-imagenet-20"), "plain", 18, seed=0)
    changed = Run(get_recipe("tiny-imagenet-20", **{field: CHANGES[field]}), "plain", 18, seed=0)
    assert usual.name == "plain-18-seed-0"
    assert f"-{field}-" in changed.name
    assert changed.record_path() != usual.record_path()


def test_runs_of_a_grid_have_names_of_their_own():
    runs = [
        Run(get_recipe(recipe, **change), family, depth, seed, shortcut)
        for recipe in ("digits", "cifar10")
        for change in ({}, {"epochs": 1}, {"epochs": 11}, {"width": 1}, {"epochs": 1, "width": 1})
        for (family, shortcut), depth, seed in itertools.product(
            [("plain", "A"), ("residual", "A"), ("residual", "B"), ("residual", "C")],
            (8, 18, 34, 110),
            (0, 1, 11),
        )
    ]
    assert len({run.record_path() for run in runs}) == len(runs)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"family": "plian"}, "'plian'.*accepted: plain, residual"),
        ({"depth": 19}, "19.*accepted: 18, 34"),
        ({"shortcut": "D"}, "'D'.*accepted: A, B, C"),
        ({"seed": -1}, "-1.*accepted: 0 to 2"),
        ({"family": "plain", "shortcut": "B"}, "plain net has no shortcuts"),
    ],
)
def test_an_impossible_run_is_refused_when_it_is_made(changes, message):
    arguments = {"family": "residual", "depth": 18, "seed": 0, **changes}
    with pytest.raises(InputError, match=message):
        Run(get_recipe("digits"), **arguments)


def test_a_run_is_missing_then_recorded_then_stale(tiny_run, tmp_path):
    assert tiny_run.state(tmp_path) == "missing"
    path = perform(tiny_run, runs_dir=tmp_path)
    assert path == tiny_run.record_path(tmp_path)
    assert tiny_run.state(tmp_path) == "recorded"
    config = tiny_run.config
    config["recipe"]["rate"] = 0.1  # as if the recipe had been changed since
    _rewrite(path, config=config)
    assert tiny_run.state(tmp_path) == "stale"


def test_the_state_of_a_damaged_record_is_an_error(tiny_record, tiny_run, tmp_path):
    tiny_record.write_text(tiny_record.read_text()[:100])
    with pytest.raises(RecordError, match=tiny_record.name):
        tiny_run.state(tmp_path / "runs")


def test_a_record_tells_the_run_and_where_it_comes_from(tiny_record, tiny_run):
    record = read_record(tiny_record)
    assert record["config"] == tiny_run.config
    assert record["config"]["recipe"]["epochs"] == 1
    assert (record["training_images"], record["validation_images"]) == (1437, 360)
    assert record["provenance"]["device"]["type"] == "cpu"
    assert record["provenance"]["threads"] == 1
    assert record["provenance"]["packages"].keys() >= {"torch", "numpy", "scikit-learn"}
    assert record["images_per_second"] > 0
    assert record["curve"]["iteration"] == [23]
    assert record["diverged_at"] is None
    assert all(0 <= error <= 100 for error in record["final"].values())


def test_a_run_that_diverges_is_recorded_as_a_result(tmp_path):
    run = Run(get_recipe("digits", epochs=3, width=1, rate=1e30), "residual", 8, seed=0)
    record = read_record(perform(run, runs_dir=tmp_path))
    assert 0 < record["diverged_at"] <= 3 * 23
    assert set(record["final"].values()) == {None}
    assert all(math.isfinite(x) for column in record["curve"].values() for x in column)
    assert run.state(tmp_path) == "recorded"


def test_a_seed_gives_the_same_curve_in_another_process_with_other_threads(
    tiny_run, tiny_record, tmp_path
):
    arguments = "run --family residual --depth 8 --epochs 1 --width 1 --device cpu --runs-dir"
    subprocess.run(
        [sys.executable, "-m", "resnet_study", *arguments.split(), tmp_path / "again"],
        env=os.environ | {"OMP_NUM_THREADS": "2", "PYTHONHASHSEED": "7"},
        check=True,
    )
    again = read_record(tiny_run.record_path(tmp_path / "again"))
    assert again["curve"] == read_record(tiny_record)["curve"]
    assert again["final"] == read_record(tiny_record)["final"]


def test_another_seed_gives_another_curve(tiny_run, tiny_record, tmp_path):
    other = perform(Run(tiny_run.recipe, "residual", 8, seed=1), runs_dir=tmp_path)
    assert read_record(other)["curve"] != read_record(tiny_record)["curve"]


def test_a_folder_that_cannot_be_written_is_told_before_the_training(tiny_run, tmp_path):
    (tmp_path / "file").touch()
    calls = []
    with pytest.raises(InputError, match="cannot write into .*file"):
        perform(tiny_run, runs_dir=tmp_path / "file", callbacks=[lambda *_: calls.append(1)])
    assert not calls


def test_missing_data_are_told_and_nothing_is_recorded(tmp_path, no_network):
    run = Run(get_recipe("cifar10"), "residual", 20, seed=0)
    with pytest.raises(InputError, match="nowhere"):
        perform(run, runs_dir=tmp_path / "runs", data_dir=tmp_path / "nowhere")
    assert not files_below(tmp_path / "runs")


def test_a_training_that_is_stopped_leaves_no_record(tiny_run, tmp_path):
    def stop(model, data, iteration):
        if iteration:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        perform(tiny_run, runs_dir=tmp_path, callbacks=[stop])
    assert not list(tmp_path.rglob("*.json"))


def test_a_training_out_of_time_goes_on_later_to_the_same_record(tiny_run, tiny_record, tmp_path):
    runs_dir = tmp_path / "again"
    with pytest.raises(OutOfTime):
        perform(tiny_run, device="cpu", runs_dir=runs_dir, deadline=time.time())
    assert tiny_run.state(runs_dir) == "part-trained"
    assert not list(runs_dir.rglob("*.json"))
    path = perform(tiny_run, device="cpu", runs_dir=runs_dir)
    for key in ("curve", "final", "config"):
        assert read_record(path)[key] == read_record(tiny_record)[key]
    assert tiny_run.state(runs_dir) == "recorded"
    assert files_below(runs_dir).keys() == {path}  # the checkpoint has done its duty


def test_a_checkpoint_of_another_training_is_refused(tiny_run, tmp_path):
    other = Run(tiny_run.recipe, "residual", 8, seed=1)
    with pytest.raises(OutOfTime):
        perform(other, runs_dir=tmp_path, deadline=time.time())
    other.checkpoint_path(tmp_path).rename(tiny_run.checkpoint_path(tmp_path))
    with pytest.raises(InputError, match="has another config"):
        perform(tiny_run, runs_dir=tmp_path)


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("0", (0,)),
        ("0-2", (0, 1, 2)),
        ("0-2,7", (0, 1, 2, 7)),
        ("7, 3", (7, 3)),
        ("4-4", (4,)),
        ("1,0-2", (1, 0, 2)),
    ],
)
def test_seeds_are_read(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "3-1", "a", "1-", "-1", "1,,2", "0.5", "1-2-3", "0..2"])
def test_seeds_that_cannot_be_read_are_refused(text):
    with pytest.raises(InputError, match="accepted: a list such as 0-2,7"):
        parse_seeds(text)


def test_figure_2_is_a_grid_of_two_families_two_depths_and_five_seeds():
    runs = get_experiment("fig2").runs()
    assert {(run.family, run.depth, run.seed) for run in runs} == set(
        itertools.product(("plain", "residual"), (18, 34), range(5))
    )
    assert {run.recipe for run in runs} == {get_recipe("digits")}
    assert len(runs) == 20


def test_an_experiment_takes_other_seeds_and_no_other_recipe():
    experiment = EXPERIMENTS["fig2"]
    assert {run.seed for run in experiment.runs(seeds=(8, 9))} == {8, 9}
    with pytest.raises(InputError, match="accepted: digits"):
        experiment.runs("bread")


def test_an_unknown_experiment_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match=f"'fig3'.*accepted: {', '.join(EXPERIMENTS)}"):
        get_experiment("fig3")


def test_an_experiment_has_the_records_that_are_there_and_up_to_date(tmp_path):
    experiment = EXPERIMENTS["fig2"]
    with pytest.raises(RecordError, match="no record of experiment fig2"):
        experiment.records(tmp_path)
    first, second = experiment.runs()[:2]
    config = second.config
    config["recipe"]["rate"] = 0.1
    write_record(first.record_path(tmp_path), {"config": first.config})
    write_record(second.record_path(tmp_path), {"config": config})
    assert experiment.records(tmp_path) == [first.record_path(tmp_path)]


def test_a_run_that_another_process_trains_is_refused(tmp_path):
    run = Run(get_recipe("digits", width=1, epochs=1), "plain", 8, seed=0)
    lock = run.lock_path(tmp_path)
    lock.parent.mkdir(parents=True)
    with FileLock(lock), pytest.raises(InputError, match="another process holds"):
        perform(run, runs_dir=tmp_path, device="cpu")
    lock.touch()  # left by a process that was killed
    assert perform(run, runs_dir=tmp_path, device="cpu").exists()
    assert not lock.exists()


def test_numbers_that_are_not_whole_are_refused():
    with pytest.raises(InputError, match=r"depth 18\.0 is no whole number"):
        Run(get_recipe("digits"), "plain", 18.0, seed=0)
    with pytest.raises(InputError, match=r"epochs 1\.5 is no whole number"):
        get_recipe("digits", epochs=1.5)
