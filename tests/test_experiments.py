import itertools
import math
import os
import subprocess
import sys
import time
from dataclasses import fields

import pytest
import torch
from conftest import files_below
from filelock import FileLock

from resnet_study.data.datasets import load_data
from resnet_study.errors import InputError, OutOfTime
from resnet_study.models.containment import relative_error
from resnet_study.models.highway import highway_blocks
from resnet_study.models.networks import count_parameters
from resnet_study.models.options import Gates, Scales
from resnet_study.pipeline import provenance
from resnet_study.pipeline.networks import make_model
from resnet_study.pipeline.perform import perform
from resnet_study.pipeline.records import RecordError, read_record, write_record, wrong_images
from resnet_study.pipeline.run import Run, make_run, run_from_config
from resnet_study.questions.experiments import EXPERIMENTS, FRACTIONS, get_experiment, parse_seeds
from resnet_study.training.checkpoints import read_checkpoint
from resnet_study.training.recipes import get_recipe


def _rewrite(path, **changes):
    record = read_record(path)
    content = {key: value for key, value in record.items() if key not in ("schema", "sha256")}
    write_record(path, {**content, **changes})


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
        ({"gates": Gates()}, "residual net has no gates; they go with family highway"),
        ({"family": "plain", "gates": Gates()}, "plain net has no gates"),
        ({"family": "scaled", "gates": Gates()}, "scaled net has no gates"),
        ({"family": "highway", "scales": Scales()}, "highway net has no scales"),
        ({"match": "parameters"}, "residual net has no gates to match"),
        ({"start": "contained"}, "residual net contains no residual net; accepted: highway"),
        ({"family": "highway", "start": "contained"}, "contained start .*gates of bias 0"),
        ({"normalisation": "layer"}, "'layer'.*accepted: batch, zero-gamma, small-gamma"),
        (
            {"family": "plain", "normalisation": "skip-init"},
            "plain net.*accepted: batch, orthogonal, none",
        ),
        ({"family": "highway", "normalisation": "none"}, "highway net.*accepted: batch"),
        ({"shortcut": "B", "normalisation": "none"}, "accepted with normalisation none: A"),
        ({"start": "middle"}, "'middle'.*accepted: drawn, contained"),
        ({"family": "highway", "match": "size"}, "'size'.*accepted: parameters, multiply_adds"),
    ],
)
def test_an_impossible_run_is_refused_when_it_is_made(changes, message):
    arguments = {"family": "residual", "depth": 18, "seed": 0, **changes}
    with pytest.raises(InputError, match=message):
        Run(get_recipe("digits"), **arguments)


GATE_CHANGES = {
    "kernel": 1,
    "bias": -4,
    "form": "uncoupled",
    "reshaping": "plain",
    "normalised": True,
    "relu": "inside",
    "layers": 2,
}
NEEDED_BY_GATES = {"layers": {"normalised": True}}


def test_a_highway_run_has_the_published_gates_unless_told():
    run = Run(get_recipe("digits"), "highway", 18, 0)
    assert run == Run(get_recipe("digits"), "highway", 18, 0, gates=Gates(kernel=3, bias=-2))
    assert run.name == "highway-18-seed-0"
    assert Run(get_recipe("digits"), "residual", 18, 0).gates is None


@pytest.mark.parametrize("field", [field.name for field in fields(Gates)])
def test_name_and_config_of_a_highway_run_tell_its_gates(field):
    value = GATE_CHANGES[field]
    gates = {field: value, **NEEDED_BY_GATES.get(field, {})}
    given = {f"gate_{name}": one for name, one in gates.items()}
    run = make_run("digits", family="highway", **given)
    assert run.gates == Gates(**gates)
    assert f"gate_{field}-{getattr(run.gates, field)}" in run.name
    assert run.config["gates"][field] == value
    assert run_from_config(run.config) == run
    assert make_run("digits", family="highway", **run.changes) == run


def test_a_bias_has_one_name_however_it_is_written():
    names = {
        Run(get_recipe("digits"), "highway", 18, 0, gates=Gates(bias=b)).name for b in (-4, -4.0)
    }
    assert len(names) == 1


def test_scaled_and_matched_runs_come_back_from_their_config_and_their_changes():
    for family, changes in (
        ("scaled", {"shortcut_scale": 1.0, "branch_scale": 0.0}),
        ("highway", {"match": "parameters", "gate_bias": -1.0}),
        ("highway", {"shortcut": "B", "fraction": 0.1}),
        ("highway", {"start": "contained", "gate_kernel": 1, "gate_bias": 0.0}),
        ("residual", {"normalisation": "skip-init"}),
        ("residual", {"normalisation": "small-gamma"}),
        ("highway", {"gate_layers": 2, "gate_normalised": True}),
    ):
        fraction = {"fraction": changes.pop("fraction", None)}
        run = make_run("digits", family=family, **fraction, **changes)
        assert run_from_config(run.config) == run
        assert run.changes == changes | {k: v for k, v in fraction.items() if v}
        for name, value in run.changes.items():
            assert f"-{name}-{value}-" in run.name


@pytest.mark.parametrize("family", ["plain", "residual"])
def test_a_record_from_before_there_were_gates_is_of_the_same_run(family):
    run = Run(get_recipe("digits"), family, 18, 0)
    config = run.config
    for name in ("gates", "scales", "match", "start", "normalisation"):
        del config[name]
    del config["recipe"]["fraction"], config["recipe"]["own_subset"], config["recipe"]["clip"]
    assert run_from_config(config) == run


@pytest.mark.parametrize("option", ["gate_bias", "gate_kernel", "branch_scale"])
def test_an_option_of_another_family_is_refused(option):
    with pytest.raises(InputError, match="residual net has no (gates|scales)"):
        make_run("digits", **{option: 1})


def test_a_matched_run_is_as_large_as_the_residual_net():
    data = load_data("digits", 360)
    matched, residual, whole = (
        count_parameters(make_model(run, data))
        for run in (
            Run(get_recipe("digits"), "highway", 18, 0, match="parameters"),
            Run(get_recipe("digits"), "residual", 18, 0),
            Run(get_recipe("digits"), "highway", 18, 0),
        )
    )
    assert matched == pytest.approx(residual, rel=0.01)
    assert whole > 1.3 * residual


@pytest.mark.parametrize("shortcut", ["A", "B"])
def test_a_contained_run_starts_as_the_residual_net_of_its_seed(shortcut):
    data, models = load_data("digits", 360), {}
    for family, start in (("residual", "drawn"), ("highway", "contained")):
        gates = Gates(bias=0) if family == "highway" else None
        run = Run(get_recipe("digits"), family, 18, 3, shortcut, gates=gates, start=start)
        torch.manual_seed(run.seed)
        models[family] = make_model(run, data).double()
    assert len(highway_blocks(models["highway"])) == 8
    images = torch.randn(4, 1, 8, 8, dtype=torch.float64)
    assert relative_error(models["highway"], models["residual"], images) < 1e-9


def test_a_contained_run_goes_on_from_a_checkpoint_to_the_same_record(tmp_path):
    run = Run(
        get_recipe("digits", epochs=1, width=2), "highway", 8, 0, gates=Gates(bias=0),
        start="contained",
    )  # fmt: skip
    with pytest.raises(OutOfTime):
        perform(run, device="cpu", runs_dir=tmp_path / "a", deadline=time.time())
    paths = [perform(run, device="cpu", runs_dir=tmp_path / folder) for folder in "ab"]
    first, second = map(read_record, paths)
    for key in ("curve", "final", "gates"):
        assert first[key] == second[key]


def test_a_run_on_a_fraction_has_as_many_steps_and_points(tmp_path):
    records = []
    for fraction in (0.1, 1.0):
        recipe = get_recipe("digits", epochs=2, width=1, fraction=fraction)
        run = Run(recipe, "residual", 8, seed=0)
        records.append(read_record(perform(run, device="cpu", runs_dir=tmp_path)))
    small, whole = records
    assert small["curve"]["iteration"] == whole["curve"]["iteration"] == [23, 46]
    assert (small["training_images"], whole["training_images"]) == (142, 1437)
    assert small["validation_images"] == whole["validation_images"] == 360
    assert small["provenance"]["data"] != whole["provenance"]["data"]


def test_a_fraction_too_small_for_a_class_is_refused_and_nothing_is_recorded(tmp_path):
    run = Run(get_recipe("digits", fraction=0.001), "residual", 8, seed=0)
    with pytest.raises(InputError, match=r"fraction 0.001 leaves no image of a class .*accepted"):
        perform(run, device="cpu", runs_dir=tmp_path)
    assert not files_below(tmp_path)


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
    assert 1e8 < record["peak_memory"] < 1e11  # bytes: torch alone takes hundreds of megabytes
    assert record["curve"]["iteration"] == [23]
    assert record["diverged_at"] is None
    assert all(0 <= error <= 100 for error in record["final"].values())
    assert record["provenance"]["resumed"] == []


def test_a_record_tells_which_validation_images_are_wrong(tiny_record):
    record = read_record(tiny_record)
    wrong = wrong_images(record)
    assert wrong.shape == (360,)
    assert 100 * wrong.mean() == pytest.approx(record["final"]["validation_error"])
    assert 0 < wrong.sum() < 360


def test_the_clean_error_is_followed_on_a_sample_of_the_training_images(tiny_record):
    """The digits are so few that all are in the sample."""
    record = read_record(tiny_record)
    clean = record["curve"]["clean_training_error"]
    assert clean == [record["final"]["clean_training_error"]]
    assert clean != record["curve"]["training_error"]


def test_a_run_that_diverges_is_recorded_as_a_result(tmp_path):
    run = Run(get_recipe("digits", epochs=3, width=1, rate=1e30), "residual", 8, seed=0)
    record = read_record(perform(run, runs_dir=tmp_path))
    assert 0 < record["diverged_at"] <= 3 * 23
    assert set(record["final"].values()) == {None}
    assert wrong_images(record) is None
    assert all(math.isfinite(x) for column in record["curve"].values() for x in column)
    assert run.state(tmp_path) == "recorded"


@pytest.mark.slow
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


def test_a_training_out_of_time_goes_on_later_to_the_same_record(
    tiny_run, tiny_record, tmp_path, monkeypatch
):
    runs_dir = tmp_path / "again"
    with pytest.raises(OutOfTime):
        perform(tiny_run, device="cpu", runs_dir=runs_dir, deadline=time.time())
    assert tiny_run.state(runs_dir) == "part-trained"
    assert not list(runs_dir.rglob("*.json"))
    first = read_checkpoint(tiny_run.checkpoint_path(runs_dir))[1]["parts"]
    monkeypatch.setattr(provenance, "commit", lambda: "another")
    path = perform(tiny_run, device="cpu", runs_dir=runs_dir)
    origin = read_record(path)["provenance"]
    assert origin["started"] == first[0]["started"]
    assert origin["commit"] == first[0]["commit"] != "another"
    assert [(part["iteration"], part["commit"]) for part in origin["resumed"]] == [(1, "another")]
    assert origin["resumed"][0].keys() >= origin.keys() - {"resumed"}
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


def _arms(name, recipe):
    (seed, *_) = EXPERIMENTS[name].grids[recipe].seeds
    return EXPERIMENTS[name].runs(recipe, [seed])


def test_the_highway_experiment_has_every_gate_match_and_rate_on_digits():
    runs = _arms("highway", "digits")
    usual = get_recipe("digits").rate
    for depth in (18, 34):
        found = {
            (run.gates.kernel, run.gates.bias)
            for run in runs
            if run.gates and run.depth == depth and not run.match and run.recipe.rate == usual
        }
        assert found == set(itertools.product((1, 3), (0, -1, -2, -3, -4, -6)))
        matched = {
            (run.gates.kernel, run.match) for run in runs if run.match and run.depth == depth
        }
        assert matched == set(itertools.product((1, 3), ("parameters", "multiply_adds")))
        for family in ("plain", "residual", "highway"):
            rates = {r.recipe.rate for r in runs if (r.family, r.depth) == (family, depth)}
            assert sorted(rates) == pytest.approx([usual / 3, usual, 3 * usual], rel=0.005)
    assert len({run.record_path() for run in runs}) == len(runs) == 48


# The registered arms are those of book/registration.md, and tried in test_registration.py.
UNREGISTERED = [recipe for recipe in EXPERIMENTS["highway"].grids if recipe != "tiny-imagenet-50"]


@pytest.mark.parametrize("recipe", UNREGISTERED)
def test_the_nets_of_figure_2_are_not_trained_twice(recipe):
    assert set(_arms("fig2", recipe)) <= set(_arms("highway", recipe))


@pytest.mark.parametrize("recipe", UNREGISTERED)
def test_every_data_size_has_residual_and_highway_nets_alike(recipe):
    runs = _arms("data-size", recipe)
    networks = {
        fraction: {(r.family, r.depth, r.gates) for r in runs if r.recipe.fraction == fraction}
        for fraction in FRACTIONS
    }
    assert FRACTIONS == (0.1, 0.25, 0.5, 1.0)
    assert len(set(map(frozenset, networks.values()))) == 1
    assert {family for family, _, _ in networks[1.0]} == {"residual", "highway"}
    assert {run.depth for run in runs} == {18}
    assert {run.recipe.epochs for run in runs} == {get_recipe(recipe).epochs}
    whole = [run for run in runs if run.recipe.fraction == 1]
    assert set(whole) <= set(_arms("highway", recipe))  # trained once for both experiments


def test_the_containment_experiment_adds_the_contained_nets_alone():
    runs = _arms("containment", "digits")
    assert len(runs) == 6
    new = set(runs) - set(_arms("highway", "digits"))
    assert {(run.depth, run.start) for run in new} == {(18, "contained"), (34, "contained")}


def test_pictures_have_one_gate_and_three_seeds_on_a_cpu():
    runs = EXPERIMENTS["highway"].runs("tiny-imagenet-20")
    highway = [run for run in runs if run.family == "highway"]
    assert {(run.depth, run.gates, run.seed) for run in highway} == set(
        itertools.product((18, 34), [Gates()], (0, 1, 2))
    )


def test_a_gpu_is_asked_for_what_is_wanted_first_and_for_highway_nets_of_equal_size_alone():
    highway, size = (EXPERIMENTS[name].runs("tiny-imagenet") for name in ("highway", "data-size"))
    assert (len(highway), len(size)) == (18, 24)
    for run in {*highway, *size}:
        is_highway = run.family == "highway"
        assert (run.gates, run.match) == ((Gates(), "parameters") if is_highway else (None, None))


def test_depth_has_both_families_and_both_starts_of_a_residual_net():
    nets = {(r.family, r.depth, r.normalisation) for r in EXPERIMENTS["depth"].runs("digits")}
    kinds = [("plain", "batch"), ("residual", "batch"), ("residual", "zero-gamma")]
    assert nets == {(family, depth, n) for family, n in kinds for depth in (20, 56, 110)}


def test_a_thousand_layers_with_the_usual_start_are_trained_once():
    experiment = EXPERIMENTS["thousand-layers"]
    expected = {
        ("plain", 1004, "batch"): [0, 1, 2],
        ("residual", 1004, "zero-gamma"): [0, 1, 2],
        ("residual", 110, "zero-gamma"): [0, 1, 2],
        ("residual", 1004, "batch"): [0],
    }
    seeds = {
        net: sorted(
            r.seed for r in experiment.runs() if (r.family, r.depth, r.normalisation) == net
        )
        for net in expected
    }
    assert seeds == expected
    assert len(experiment.runs()) == 10
    assert len(experiment.runs(seeds=[7, 8])) == 7
    assert {r.seed for r in experiment.runs(seeds=[7])} == {7}


def test_every_objection_is_raised_against_each_net_of_figure_2():
    usual = get_recipe("digits")
    runs = _arms("objections", "digits")
    assert len(set(runs)) == len(runs) == 4 + 4 * 7 + 2 * 2
    for family, depth in itertools.product(("plain", "residual"), (18, 34)):
        found = {
            (round(r.recipe.rate / usual.rate, 2), r.recipe.epochs / usual.epochs, r.recipe.width)
            for r in runs
            if (r.family, r.depth, r.normalisation) == (family, depth, "batch")
        }
        rates = {(rate, 1, 16) for rate in (3, 1, 0.33, 0.1)}
        assert found == rates | {(1, 3, 16), (0.1, 3, 16), (1, 1, 32)}
        assert (family, depth) in {(r.family, r.depth) for r in runs if r.normalisation == "none"}
    starts = [run for run in runs if run.normalisation in ("zero-gamma", "skip-init")]
    assert {run.family for run in starts} == {"residual"}
    assert set(_arms("fig2", "digits")) <= set(runs)  # trained once for both
    rates = {run for run in runs if run.recipe.rate in (0.15, 0.0167)}
    assert rates <= set(_arms("highway", "digits"))
    assert len(rates) == 8


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
