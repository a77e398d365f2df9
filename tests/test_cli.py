import json
import os
import re
import subprocess
import sys
from importlib import metadata

import pytest
import torch
from conftest import files_below

from resnet_study.models.options import FAMILIES, NORMALISATIONS, SHORTCUTS
from resnet_study.pipeline.measurements import MEASUREMENTS
from resnet_study.pipeline.records import read_record
from resnet_study.questions.experiments import EXPERIMENTS
from resnet_study.training.checkpoints import Checkpoint
from resnet_study.training.recipes import RECIPES

TINY = ["run", "--depth", "8", "--epochs", "1", "--width", "1", "--device", "cpu"]
STATUS = ["status", "fig2", "--recipe", "digits"]


def _assert_refused(result, *words):
    """Exit status 2 and one line on standard error that holds ``words``."""
    status, out, err = result
    assert status == 2
    assert out == ""
    assert err.startswith("resnet-study: ")
    assert err.count("\n") == 1 and err.endswith("\n")
    for word in words:
        assert str(word) in err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--family plian", ["plian", "plain, residual"]),
        ("--depth 19", ["19", "18, 34"]),
        ("--depth deep", ["deep", "integer"]),
        ("--recipe x", ["'x'", *RECIPES]),
        ("--shortcut D", ["'D'", "A, B, C"]),
        ("--family plain --shortcut B", ["no shortcuts"]),
        ("--precision int8", ["'int8'", "float32, tensorfloat32"]),
        ("--patience -1", ["-1", "0 or more"]),
        ("--epochs 0", ["0", "1 or more"]),
        ("--epochs -1", ["-1", "1 or more"]),
        ("--epochs few", ["few", "integer"]),
        ("--width 0", ["0", "1 or more"]),
        ("--batch 1", ["1", "2 or more"]),
        ("--rate -0.1", ["-0.1", "above 0"]),
        ("--rate nan", ["nan", "above 0"]),
        ("--fraction 0", ["0", "above 0, up to 1"]),
        ("--fraction 1.1", ["1.1", "above 0, up to 1"]),
        ("--fraction 0.001", ["0.001", "no image of a class"]),
        ("--gate-bias -2", ["residual net has no gates"]),
        ("--family plain --gate-normalised", ["plain net has no gates"]),
        ("--family highway --gate-kernel 5", ["5", "1, 3"]),
        ("--family highway --gate-form half", ["half", "coupled, uncoupled, shortcut"]),
        ("--family highway --gate-bias nan", ["nan", "finite"]),
        ("--family highway --branch-scale 1", ["highway net has no scales"]),
        ("--family highway --match size", ["size", "parameters, multiply_adds"]),
        ("--start contained", ["residual net contains no residual net"]),
        ("--match parameters", ["residual net has no gates to match"]),
        ("--experiment highway --gate-bias 0", ["--gate-bias", "--experiment"]),
        ("--experiment data-size --recipe cifar10", ["cifar10", "digits"]),
        ("--seed -1", ["-1", "0 to 2"]),
        ("--seed 99999999999999999999", ["99999999999999999999", "accepted"]),
        ("--device gpu", ["gpu", "auto, cpu"]),
        ("--device cuda:99", ["cuda:99", "auto, cpu"]),
        ("--epoch 3", ["--epoch"]),
        ("--seed 1 --seeds 0-2", ["--seed", "--seeds", "one of them"]),
        ("--depth 18,19", ["19", "18, 34"]),
        ("--family plain,plian", ["plian", "plain, residual"]),
        ("--family plain,", ["''", "plain, residual"]),
        ("--seeds 0-2 --overwrite", ["--overwrite", "one run"]),
        ("--jobs 2", ["--jobs", "several runs"]),
        ("--time-budget soon", ["soon", "90s, 9m, 1h30m"]),
        ("--checkpoint-seconds -1", ["-1", "0 or more"]),
        ("--experiment fig99", ["fig99", *EXPERIMENTS]),
        ("--experiment fig2 --recipe bread", ["bread", "digits"]),
        ("--experiment fig2 --seeds 3-1", ["3-1", "0-2,7"]),
        ("--experiment fig2 --jobs 0", ["0", "1 or more"]),
        ("--experiment fig2 --depth 18", ["--depth", "--experiment"]),
        ("--experiment fig2 --device gpu", ["gpu", "auto, cpu"]),
        ("nonsense", ["nonsense"]),
    ],
)
def test_a_bad_option_gets_one_line_and_nothing_is_written(command, tmp_path, options, words):
    result = command("run", "--runs-dir", tmp_path / "runs", *options.split())
    _assert_refused(result, *words)
    assert not files_below(tmp_path)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_gets_one_line(command, tmp_path):
    result = command("run", "--device", "cuda", "--runs-dir", tmp_path / "runs")
    _assert_refused(result, "cuda", "accepted: auto, cpu")
    assert not files_below(tmp_path)


def test_a_runs_folder_that_cannot_be_written_gets_one_line(command, tmp_path):
    (tmp_path / "file").touch()  # tests may run as root, who may write everywhere
    result = command(*TINY, "--runs-dir", tmp_path / "file")
    _assert_refused(result, "cannot write", tmp_path / "file")
    assert files_below(tmp_path) == {tmp_path / "file": b""}


@pytest.mark.parametrize("recipe", [name for name in RECIPES if RECIPES[name]().data != "digits"])
def test_missing_data_get_one_line_naming_the_folder(command, tmp_path, no_network, recipe):
    folder = tmp_path / "nowhere"
    result = command(
        "run", "--recipe", recipe, "--runs-dir", tmp_path / "runs", "--data-dir", folder
    )
    assert result[0] == 2
    last = result[2].splitlines()[-1]  # torchvision tells what it downloads before that
    assert last.startswith("resnet-study: ")
    assert str(folder) in last
    assert "Traceback" not in result[2]
    assert not files_below(tmp_path / "runs")


def test_a_mistake_leaves_a_real_process_with_one_line_and_no_traceback(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "resnet_study", "run", "--family", "plian", "--runs-dir", tmp_path],
        capture_output=True,
        text=True,
    )
    _assert_refused((done.returncode, done.stdout, done.stderr), "plian", "plain, residual")
    assert not files_below(tmp_path)


def test_run_trains_once_and_then_says_that_it_is_recorded(command, tmp_path):
    status, first, err = command(*TINY, "--runs-dir", tmp_path)
    assert (status, err.count("\n")) == (0, 1)
    assert err.startswith("epoch 1 (100 %): training ")
    ((path, before),) = files_below(tmp_path).items()
    assert f"recorded: {path}" in first
    final = read_record(path)["final"]
    assert f"validation error: {final['validation_error']:.2f} %" in first

    status, second, err = command(*TINY, "--runs-dir", tmp_path)
    assert (status, err) == (0, "")
    assert f"recorded already: {path}" in second
    assert files_below(tmp_path) == {path: before}


def test_overwrite_trains_again_and_replaces_even_a_damaged_record(command, tmp_path):
    command(*TINY, "--runs-dir", tmp_path)
    (path,) = files_below(tmp_path)
    path.write_text("{}")
    assert command(*TINY, "--runs-dir", tmp_path, "--overwrite")[0] == 0
    assert read_record(path)["curve"]["epoch"] == [1]


def test_run_takes_every_option(command, tmp_path):
    options = "--recipe digits --family residual --depth 14 --seed 3 --shortcut C --epochs 1 "
    # Not narrower: strided 1×1 convolutions of 2 to 6 channels crash torch 2.14 on some CPUs.
    options += "--width 8 --batch 32 --rate 0.02 --device cpu"
    assert command("run", *options.split(), "--runs-dir", tmp_path)[0] == 0
    (path,) = files_below(tmp_path)
    config = read_record(path)["config"]
    assert (config["family"], config["depth"], config["seed"]) == ("residual", 14, 3)
    assert config["shortcut"] == "C"
    recipe = config["recipe"]
    assert (recipe["name"], recipe["epochs"], recipe["width"]) == ("digits", 1, 8)
    assert (recipe["batch"], recipe["rate"]) == (32, 0.02)


def test_run_takes_every_option_of_gates_and_scales(command, tmp_path):
    gates = "--gate-kernel 1 --gate-bias -4 --gate-form uncoupled --gate-reshaping plain "
    gates += "--gate-normalised --gate-relu inside --shortcut B --fraction 0.5"
    scales = "--shortcut-scale 1 --branch-scale 0.5"
    for family, options in (("highway", gates), ("scaled", scales)):
        folder = tmp_path / family
        status = command(*TINY, "--family", family, *options.split(), "--runs-dir", folder)[0]
        assert status == 0
        (path,) = files_below(folder)
        config = read_record(path)["config"]
        if family == "highway":
            assert tuple(config["gates"].values()) == (
                1,
                -4,
                "uncoupled",
                "plain",
                True,
                "inside",
                1,
            )
            assert config["recipe"]["fraction"] == 0.5
        else:
            assert config["scales"] == {"shortcut": 1, "branch": 0.5}


def test_a_run_that_diverges_is_a_result_and_not_a_failure(command, tmp_path):
    status, out, err = command(*TINY, "--rate", "1e30", "--runs-dir", tmp_path)
    assert (status, err) == (0, "")
    assert "diverged by iteration 23" in out


def test_a_time_budget_stops_a_run_that_goes_on_later(command, tmp_path):
    status, out, err = command(*TINY, "--runs-dir", tmp_path, "--time-budget", "0s")
    assert (status, err) == (75, "")
    assert "stopped at iteration 1 of 23" in out
    assert not list(tmp_path.rglob("*.json"))
    assert command(*TINY, "--runs-dir", tmp_path)[0] == 0
    (path,) = tmp_path.rglob("*.json")
    assert read_record(path)["curve"]["iteration"] == [23]


@pytest.mark.parametrize("damage", ["cut", "edited"])
@pytest.mark.parametrize("what", ["run", "status"])
def test_a_damaged_record_gets_one_line_naming_it(command, tmp_path, damage, what):
    tiny = ["run", "--family", "plain", "--epochs", "1", "--width", "1", "--runs-dir", tmp_path]
    path = tmp_path / "digits" / "plain-18-seed-0.json"
    command(*tiny)
    (made,) = files_below(tmp_path)
    text = made.read_text()
    made.unlink()
    damaged = text[:-40] if damage == "cut" else text.replace('"seed": 0', '"seed": 4')
    path.write_text(damaged)
    arguments = {
        "run": ["run", "--family", "plain", "--runs-dir", tmp_path],
        "status": ["status", "--runs-dir", tmp_path],
    }[what]
    _assert_refused(command(*arguments), path)
    assert files_below(tmp_path) == {path: damaged.encode()}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("status fig99", ["fig99", *EXPERIMENTS]),
        ("status --seeds 3-1", ["3-1", "0-2,7"]),
        ("status --recipe bread", ["bread", "digits"]),
        ("reproduce --seeds 3-1", ["3-1", "0-2,7"]),
        ("reproduce --jobs 0", ["0", "1 or more"]),
        ("bake", ["bake"]),
    ],
)
def test_other_commands_refuse_bad_input_in_one_line(command, arguments, words):
    _assert_refused(command(*arguments.split()), *words)


def _counts(out):
    """The numbers in the first line of ``status``."""
    first = out.splitlines()[0]
    names = ("runs", "recorded", "missing", "stale")
    return {name: int(re.search(rf"(\d+) {name}\b", first)[1]) for name in names}


def test_status_counts_recorded_missing_and_stale_runs(command, tmp_path):
    status, out, _ = command("status", "--runs-dir", tmp_path)
    assert status == 0
    assert _counts(out) == {"runs": 20, "recorded": 0, "missing": 20, "stale": 0}
    status, out, _ = command(
        "status", "fig2", "--recipe", "digits", "--seeds", "8-9", "--runs-dir", tmp_path
    )
    assert _counts(out) == {"runs": 8, "recorded": 0, "missing": 8, "stale": 0}
    assert out.count("-seed-9") == 4


def test_status_tells_the_state_of_every_run(command, tmp_path, tiny_record):
    stale = tmp_path / "state" / "digits" / "plain-18-seed-2.json"
    stale.parent.mkdir(parents=True)
    stale.write_bytes(tiny_record.read_bytes())  # whole, but of another run than its name says
    _, out, _ = command(
        "status", "fig2", "--recipe", "digits", "--seeds", "2", "--runs-dir", tmp_path / "state"
    )
    assert _counts(out) == {"runs": 4, "recorded": 0, "missing": 3, "stale": 1}
    states = {line.split()[1]: line.split()[0] for line in out.splitlines()[1:]}
    assert states["plain-18-seed-2"] == "stale"
    assert states["residual-34-seed-2"] == "missing"


def test_list_names_everything_that_can_be_asked_for(command):
    status, out, _ = command("list")
    assert status == 0
    for name in (*RECIPES, *FAMILIES, *SHORTCUTS, *NORMALISATIONS, *EXPERIMENTS, *MEASUREMENTS):
        assert name in out


@pytest.mark.parametrize("name", ["run", "measure", "reproduce", "status", "list", "execute"])
def test_every_command_explains_itself(command, name):
    status, out, err = command(name, "--help")
    assert (status, err) == (0, "")
    assert len(out.splitlines()) >= 4


@pytest.mark.parametrize("seeds", ["0", "5,5", "5-6"])
def test_too_few_seeds_to_decide_anything_are_refused_before_training(command, seeds):
    _assert_refused(command("reproduce", "--seeds", seeds), seeds, "3 or more")


def test_status_counts_the_runs_of_every_experiment_and_recipe(tmp_path, command):
    status, out, err = command("status", "--runs-dir", tmp_path)
    assert (status, err) == (0, "")
    lines = out.splitlines()
    grids = sum(len(experiment.grids) for experiment in EXPERIMENTS.values())
    assert lines[grids] == "runs of no experiment: 0 recorded"
    assert lines[grids + 1].startswith(f"measurements, {len(MEASUREMENTS)}: ")
    assert lines[0] == "fig2 on digits, 20 runs: 0 recorded, 0 part-trained, 20 missing, 0 stale"


def test_status_as_json_says_the_same_run_by_run(tmp_path, command, tiny_record):
    mine = tmp_path / "mine" / "digits" / tiny_record.name
    mine.parent.mkdir(parents=True)
    mine.write_bytes(tiny_record.read_bytes())
    run = EXPERIMENTS["fig2"].runs("digits")[0]
    path = run.checkpoint_path(tmp_path / "mine")
    Checkpoint(path, {"configuration": run.config}).save({"step": 115, "steps": 460})
    found = json.loads(command("status", "--json", "--runs-dir", tmp_path / "mine")[1])
    assert found["others"] == [f"digits/{tiny_record.stem}"]
    assert found["measurements"].keys() == MEASUREMENTS.keys()
    first = found["experiments"][0]
    assert (first["experiment"], first["recipe"], len(first["runs"])) == ("fig2", "digits", 20)
    assert first["runs"][0] == {"name": run.name, "state": "part-trained", "done": 0.25}
    assert first["runs"][1]["state"] == "missing"
    found = json.loads(command(*STATUS, "--json", "--runs-dir", tmp_path / "mine")[1])
    assert found == {"experiments": [first]}


def test_status_shows_runs_that_no_experiment_asks_for(tmp_path, command, tiny_record):
    mine = tmp_path / "mine" / "digits" / tiny_record.name
    mine.parent.mkdir(parents=True)
    mine.write_bytes(tiny_record.read_bytes())
    _, out, _ = command("status", "--runs-dir", tmp_path / "mine")
    assert f"runs of no experiment: 1 recorded\n  digits/{tiny_record.stem}\n" in out


def test_status_says_how_far_a_training_is(tmp_path, command):
    run = EXPERIMENTS["fig2"].runs("digits")[0]
    path = run.checkpoint_path(tmp_path)
    Checkpoint(path, {"configuration": run.config}).save({"step": 115, "steps": 460})
    status, out, err = command(*STATUS, "--runs-dir", tmp_path)
    assert (status, err) == (0, "")
    assert f"  part-trained  {run.name}, 25%\n" in out
    path.write_bytes(path.read_bytes()[1:])
    _assert_refused(command(*STATUS, "--runs-dir", tmp_path), path, "is damaged; delete it")


def test_what_is_measured_already_is_not_measured_again(command):
    status, out, err = command("measure", "multiplication")
    assert (status, err) == (0, "")
    assert out == "0 of 1 measurements made, the others are recorded already\n"


def test_an_unknown_measurement_is_refused(command):
    _assert_refused(command("measure", "norm"), "norm", "multiplication")


def test_status_of_one_experiment_names_its_runs(tmp_path, command):
    status, out, err = command(
        "status", "fig2", "--recipe", "imagenet", "--seeds", "7", "--runs-dir", tmp_path
    )
    assert (status, err) == (0, "")
    assert [line.split() for line in out.splitlines()[1:]] == [
        ["missing", f"{family}-{depth}-seed-7"]
        for depth in (18, 34)
        for family in ("plain", "residual")
    ]


def test_precision_and_plateau_are_options_of_a_run(tmp_path, command):
    arguments = [*TINY, "--runs-dir", tmp_path, "--precision", "bfloat16", "--patience", "3"]
    status, out, err = command(*arguments)
    assert status == 0
    (record,) = tmp_path.rglob("*.json")
    recipe = read_record(record)["config"]["recipe"]
    assert (recipe["precision"], recipe["patience"]) == ("bfloat16", 3)
    assert "precision-bfloat16" in record.name


def test_home_is_written_short_also_behind_an_equals_sign(command, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert command(*TINY, "--runs-dir=~/runs")[0] == 0
    assert [path.parent.parent for path in files_below(tmp_path)] == [tmp_path / "runs"]


def _python(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "resnet_study", *map(str, arguments)], text=True, **options
    )


@pytest.mark.parametrize("stream", [0, 1, 2])
@pytest.mark.slow
def test_a_closed_standard_stream_changes_no_training(tmp_path, stream):
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {stream}>&-', "sh", sys.executable, "-m", "resnet_study"]
        + [str(one) for one in (*TINY, "--runs-dir", tmp_path)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (path,) = files_below(tmp_path)
    assert read_record(path)["curve"]["iteration"] == [23]


def test_a_full_disk_behind_the_output_gets_one_line():
    with open("/dev/full", "w") as full:
        done = _python("list", stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 2
    assert done.stderr == "resnet-study: standard output: No space left on device\n"


def test_a_reader_that_has_gone_is_no_mistake():
    read, write = os.pipe()
    os.close(read)
    done = _python("list", stdout=write, stderr=subprocess.PIPE)
    assert done.returncode != 0 and done.stderr == ""


def test_a_terminal_that_lacks_letters_gets_question_marks():
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = _python("run", "--help", capture_output=True, env=environment)
    assert done.returncode == 0, done.stderr
    done = _python("list", capture_output=True, env=environment)
    assert done.returncode == 0 and "?" in done.stdout


@pytest.mark.parametrize("name", ["status", "verdicts"])
def test_a_records_folder_that_is_a_file_is_refused(command, tmp_path, name):
    place = tmp_path / "file"
    place.write_text("")
    status, _, said = command(name, "--runs-dir", place)
    assert status == 2
    assert "accepted: a folder that exists" in said


@pytest.mark.parametrize("seconds", ["-1", "nan"])
def test_seconds_between_checkpoints_are_checked_where_nothing_is_left_to_train(command, seconds):
    assert command("run", "--checkpoint-seconds", seconds)[0] == 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("run", "--runs-dir", ""), "'' is no folder"),
        (("verify", "{}"), "no sealed file in"),
        (("pack", "{}/a.tar.gz", "--runs-dir", "{}"), "no records in"),
    ],
)
def test_a_folder_that_is_none_or_holds_nothing_is_refused(command, tmp_path, arguments, told):
    result = command(*(argument.replace("{}", str(tmp_path)) for argument in arguments))
    _assert_refused(result, told, "accepted")
    assert not files_below(tmp_path)


def test_lists_of_families_depths_and_seeds_are_a_grid(command, tmp_path):
    options = ["--depth", "8,14", "--seeds", "0,2", "--width", "1", "--epochs", "1", "--dry-run"]
    status, said, _ = command("run", "--family", "plain,residual", *options, "--runs-dir", tmp_path)
    *runs, last = said.splitlines()
    assert status == 0
    assert [line.split()[1].removeprefix("digits/") for line in runs] == [
        f"{family}-{depth}-width-1-epochs-1-seed-{seed}"
        for seed in (0, 2)
        for family in ("plain", "residual")
        for depth in (8, 14)
    ]
    assert last == "8 of 8 runs would be trained"
    assert not files_below(tmp_path)


@pytest.mark.slow
def test_a_grid_trains_what_is_missing(command, tmp_path):
    options = ["--depth", "8", "--width", "1", "--epochs", "1", "--device", "cpu", "--runs-dir"]
    command("run", *options, tmp_path, "--seed", 1)
    status, said, _ = command("run", *options, tmp_path, "--seeds", "0-1")
    assert status == 0
    assert "training 1 of 2 runs" in said
    assert said.endswith(f"2 of 2 runs are recorded in {tmp_path}\n")


def test_a_dry_run_of_one_says_what_is_recorded(command, tiny_run, tiny_record):
    folder = tiny_record.parent.parent
    options = ["--depth", "8", "--width", "1", "--epochs", "1", "--dry-run", "--runs-dir"]
    status, said, _ = command("run", *options, folder)
    assert status == 0
    assert said.splitlines() == [
        f"  recorded      digits/{tiny_run.name}",
        "0 of 1 runs would be trained",
    ]


def test_the_version_is_the_packages(command):
    status, said, _ = command("--version")
    assert status == 0
    assert said.endswith(f"version {metadata.version('resnet-study')}\n")
