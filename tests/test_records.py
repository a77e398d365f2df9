import errno
import json
import math
import os
import random
import re
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from conftest import files_below, tracked_files

from resnet_study.data.datasets import load_data
from resnet_study.errors import InputError
from resnet_study.models.networks import count_multiply_adds, count_parameters
from resnet_study.pipeline.frames import load_curves, load_gates, load_lesions, load_runs
from resnet_study.pipeline.networks import make_model
from resnet_study.pipeline.perform import perform
from resnet_study.pipeline.records import (
    RecordError,
    find_records,
    pack_bits,
    read_record,
    unpack_bits,
    write_record,
    wrong_images,
)
from resnet_study.pipeline.run import Run, run_from_config
from resnet_study.questions.experiments import EXPERIMENTS
from resnet_study.training.recipes import get_recipe


def _content(record):
    """A record as it is before it is sealed."""
    return {key: value for key, value in record.items() if key not in ("schema", "sha256")}


def _diverged(record, path):
    """A copy of ``record`` whose training diverged in its first epoch."""
    final = dict.fromkeys(record["final"])
    write_record(path, {**_content(record), "diverged_at": 23, "final": final, "curve": {}})
    return path


def test_what_is_written_is_read(tmp_path):
    content = {"config": {"name": "ü"}, "final": None, "curve": [0.1, 1e-17, 3]}
    write_record(tmp_path / "deep" / "record.json", content)
    assert _content(read_record(tmp_path / "deep" / "record.json")) == content


def test_a_record_is_text_that_git_can_compare_line_by_line(tiny_record):
    text = tiny_record.read_text()
    assert text.endswith("}\n")
    assert len(text.splitlines()) > 30
    assert max(map(len, text.splitlines())) < 120


def test_the_layout_of_a_record_is_not_sealed(tiny_record):
    before = read_record(tiny_record)
    tiny_record.write_text(json.dumps(before, indent=8))
    assert read_record(tiny_record) == before


def _edit_number(text):
    error = json.loads(text)["final"]["validation_error"]
    return text.replace(repr(error), repr(error - 1))


DAMAGES = {
    "cut short": lambda text: text[: len(text) // 2],
    "without its last brace": lambda text: text.rstrip()[:-1],
    "empty": lambda text: "",
    "no JSON": lambda text: "validation error: 3",
    "with an edited error": _edit_number,
    "with an edited seed": lambda text: text.replace('"seed": 0', '"seed": 1'),
    "with an edited commit": lambda text: re.sub(r'"commit": "?\w+', '"commit": "0000', text),
    "with a key removed": lambda text: re.sub(r' "parameters": \d+,\n', "", text),
    "with a key added": lambda text: text.replace("{", '{"note": 1,', 1),
    "with another seal": lambda text: re.sub(r'"sha256": "\w+"', f'"sha256": "{"0" * 64}"', text),
    "without a seal": lambda text: re.sub(r',\s*"sha256": "\w+"', "", text),
    "of another schema": lambda text: text.replace('"schema": 1', '"schema": 99'),
    "without a schema": lambda text: text.replace('"schema"', '"scheme"'),
    "a list": lambda text: f"[{text}]",
    "with a number beyond all": lambda text: re.sub(r'"seconds": \S+', '"seconds": 1e7105,', text),
    "with a loss that is none": lambda text: re.sub(r'"seconds": \S+', '"seconds": NaN,', text),
    "with an endless number": lambda text: re.sub(
        r'"seconds": \d+', lambda m: m[0] + "1" * 9999, text
    ),
    "with a key twice": lambda text: text.replace("{", '{"final": 1,', 1),
    "nested deeply": lambda text: "[" * 100_000,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_record_is_refused_by_name(tiny_record, damage):
    before = tiny_record.read_text()
    tiny_record.write_text(DAMAGES[damage](before))
    assert tiny_record.read_text() != before
    with pytest.raises(RecordError) as refusal:
        read_record(tiny_record)
    assert str(tiny_record) in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_every_changed_byte_of_a_record_is_found_or_changes_nothing(tiny_record):
    before, content = tiny_record.read_bytes(), read_record(tiny_record)
    draw = random.Random(0)
    for _ in range(300):
        changed = bytearray(before)
        changed[draw.randrange(len(before))] = draw.choice(b'0123456789eE.+-"{}[],: \0\xff')
        tiny_record.write_bytes(changed)
        try:
            assert read_record(tiny_record) == content
        except RecordError as error:
            assert str(error).startswith(f"record {tiny_record} ") and str(error).isprintable()


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (os.mkdir, "is no file"),
        (os.mkfifo, "is no file"),
        (lambda path: os.symlink("nowhere", path), "cannot be read: No such file"),
    ],
)
def test_what_is_no_file_is_refused_by_name_without_waiting(tiny_record, make, told):
    path = tiny_record.with_name("x.json")
    make(path)
    for read in (read_record, lambda path: load_runs(find_records(path.parent))):
        with pytest.raises(RecordError, match=re.escape(f"record {path} {told}")):
            read(path)


def test_another_schema_is_told_with_the_accepted_one(tiny_record):
    tiny_record.write_text(tiny_record.read_text().replace('"schema": 1', '"schema": 99'))
    with pytest.raises(RecordError, match="schema 99; accepted: 1"):
        read_record(tiny_record)


def test_bytes_that_are_no_text_are_refused_by_name(tiny_record):
    tiny_record.write_bytes(b"\xff\xfe\x00" * 20)
    with pytest.raises(RecordError, match=re.escape(str(tiny_record))):
        read_record(tiny_record)


def test_a_missing_record_is_refused_by_name(tmp_path):
    with pytest.raises(RecordError, match=re.escape(str(tmp_path / "none.json"))):
        read_record(tmp_path / "none.json")


def test_a_damaged_record_among_good_ones_stops_the_table(tiny_record):
    bad = tiny_record.with_name("bad.json")
    bad.write_text(_edit_number(tiny_record.read_text()))
    for load in (load_runs, load_curves):
        with pytest.raises(RecordError, match="bad.json"):
            load(find_records(tiny_record.parent))


def test_a_record_that_cannot_be_written_leaves_the_old_one(tiny_record, monkeypatch):
    found = files_below(tiny_record.parent)

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(InputError, match=f"{tiny_record}.*No space left"):
        write_record(tiny_record, {"config": {}})
    assert files_below(tiny_record.parent) == found


def test_a_value_that_is_not_finite_is_not_written(tmp_path):
    with pytest.raises(ValueError):
        write_record(tmp_path / "record.json", {"loss": float("nan")})
    assert not files_below(tmp_path)


def test_records_are_found_below_their_folder(tiny_record):
    tiny_record.with_name("notes.txt").touch()
    assert find_records(tiny_record.parent.parent) == [tiny_record]


@pytest.mark.parametrize(
    "copy",
    [".ipynb_checkpoints/{}-checkpoint.json", ".{}.json.swp", "._{}.json", ".#{}.json"],
)
def test_copies_that_editors_hide_do_not_count(tiny_record, copy):
    path = tiny_record.parent / copy.format(tiny_record.stem)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(tiny_record.read_bytes())
    (tiny_record.parent / ".#lock.json").symlink_to("nowhere")
    assert find_records(tiny_record.parent.parent) == [tiny_record]


@pytest.mark.parametrize(
    "copy",
    [
        "digits/{}-Copy1.json", "digits/{} (1).json", "digits/copy-{}.json", "copies/{}.json",
        "digits/old/{}.json", "digits/residual-8-rate-7-seed-0.json",
    ],
)  # fmt: skip
def test_a_copy_that_would_count_twice_is_refused_by_name(tiny_record, copy):
    runs_dir = tiny_record.parent.parent
    path = runs_dir / copy.format(tiny_record.stem)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(tiny_record.read_bytes())
    with pytest.raises(RecordError, match=f"{re.escape(str(path))} .*; move or delete (it|one)$"):
        find_records(runs_dir)
    tiny_record.unlink()  # what is left is no second one, and is out of place all the same
    if "rate" not in copy:
        with pytest.raises(RecordError, match="does not lie where its run belongs; move"):
            find_records(runs_dir)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_a_folder_that_cannot_be_read_is_told(tiny_record):
    tiny_record.parent.chmod(0)
    with pytest.raises(RecordError, match=f"{tiny_record.parent} cannot be read"):
        find_records(tiny_record.parent.parent)
    tiny_record.parent.chmod(0o755)


def test_a_records_folder_that_is_missing_is_told(tmp_path):
    with pytest.raises(RecordError, match="nowhere does not exist"):
        find_records(tmp_path / "nowhere")


def test_load_runs_gives_one_row_a_run(tiny_record, tiny_run, tmp_path):
    plain = Run(tiny_run.recipe, "plain", 14, seed=3)
    paths = [tiny_record, perform(plain, runs_dir=tmp_path / "runs")]
    runs = load_runs(paths)
    assert len(runs) == 2
    assert runs.family.tolist() == ["residual", "plain"]
    assert runs.depth.tolist() == [8, 14]
    assert runs.seed.tolist() == [0, 3]
    assert runs.shortcut.tolist() == ["A", "A"]
    assert runs.recipe.tolist() == ["digits", "digits"]
    assert not runs.diverged.any()
    record = read_record(paths[1])
    for column in ("training_error", "clean_training_error", "validation_error"):
        assert runs[column].iloc[1] == record["final"][column]
    for column in ("parameters", "multiply_adds", "seconds", "images_per_second"):
        assert runs[column].iloc[1] == record[column]


def test_load_curves_gives_one_row_an_evaluation(tiny_run, tmp_path):
    recipe = get_recipe("digits", epochs=3, width=1)
    path = perform(Run(recipe, "plain", 8, seed=3), runs_dir=tmp_path)
    curves = load_curves([path])
    assert curves.epoch.tolist() == [1, 2, 3]
    assert curves.iteration.tolist() == [23, 46, 69]
    assert set(curves.family) == {"plain"}
    assert set(curves.seed) == {3}
    assert curves.validation_error.tolist() == read_record(path)["curve"]["validation_error"]


def test_tables_of_runs_tell_gates_rate_and_fraction_of_new_and_old_records(tiny_record, tmp_path):
    content = _content(read_record(tiny_record))
    for name in ("gates", "scales", "match", "start"):
        del content["config"][name]
    del content["config"]["recipe"]["fraction"]
    old = tmp_path / "old.json"
    write_record(old, content)
    recipe = get_recipe("digits", epochs=1, width=1, fraction=0.5, rate=0.01)
    gated = perform(Run(recipe, "highway", 8, seed=0), device="cpu", runs_dir=tmp_path / "runs")
    for load in (load_runs, load_curves):
        table = load([old, tiny_record, gated])
        assert table.gate_kernel.tolist()[2] == 3
        assert table.gate_bias.tolist()[2] == -2
        assert table.gate_kernel.isna().tolist() == [True, True, False]
        assert table.rate.tolist() == [0.05, 0.05, 0.01]
        assert table.fraction.tolist() == [1, 1, 0.5]
        assert table.match.isna().all()
        assert set(table.start) == {"drawn"}


def _gated(tmp_path, **changes):
    recipe = get_recipe("digits", epochs=1, width=1, **changes)
    return perform(Run(recipe, "highway", 8, seed=3), device="cpu", runs_dir=tmp_path)


def test_load_gates_gives_one_row_a_block_before_and_after(tiny_record, tmp_path):
    path = _gated(tmp_path)
    table, recorded = load_gates([tiny_record, path]), read_record(path)["gates"]
    assert table.when.tolist() == ["start"] * 3 + ["end"] * 3
    assert table.block.tolist() == ["stage1.1", "stage2.1", "stage3.1"] * 2
    assert table.position.tolist() == [1, 2, 3] * 2
    assert set(table.seed) == {3}
    assert set(table.gate_kernel) == {3}
    for column in ("transform", "deviation", "class_share", "carry", "bias"):
        assert table[column].tolist() == recorded["start"][column] + recorded["end"][column]
    product = math.prod(recorded["end"]["carry"])
    assert table.carry_product.iloc[-1] == pytest.approx(product)
    assert table.carry_product.iloc[3] == recorded["end"]["carry"][0]


def test_load_lesions_tells_what_each_costs_against_the_whole_net(tmp_path):
    content = _content(read_record(_gated(tmp_path)))
    content["final"]["validation_error"] = 100 / 3  # lesions have six digits of it
    content["gates"]["lesions"]["error"] = [33.3333, 83.3333, 30.0]
    content["gates"]["lesions"]["recalibrated"] = [33.3333, 53.3333, 30.0]
    write_record(tmp_path / "other.json", content)
    table = load_lesions([tmp_path / "other.json"])
    assert table.block.tolist() == ["stage1.1", "stage2.1", "stage3.1"]
    assert table.cost.tolist() == [0, 50, -3.333]
    assert table.cost_recalibrated.tolist() == [0, 20, -3.333]


def test_a_net_that_diverged_has_no_gates_to_load(tmp_path):
    diverged = _gated(tmp_path, rate=1e30)
    assert load_gates([diverged]).empty
    assert load_lesions([diverged]).empty


def test_a_run_that_diverged_is_a_row_without_errors(tiny_record):
    record = read_record(tiny_record)
    diverged = _diverged(record, tiny_record.with_name("diverged.json"))
    runs = load_runs([tiny_record, diverged])
    assert runs.diverged.tolist() == [False, True]
    assert runs.validation_error.isna().tolist() == [False, True]
    assert len(load_curves([tiny_record, diverged])) == 1


def test_no_records_make_empty_tables():
    assert load_runs([]).empty
    assert load_curves([]).empty
    assert load_gates([]).empty
    assert load_lesions([]).empty


# The committed records: each is a result of the study, and no one may touch one by hand.


COMMITTED = {
    path: read_record(path) for path in tracked_files("data/runs") if path.suffix == ".json"
}


def test_there_are_committed_records():
    assert len(COMMITTED) >= 20


def test_committed_records_are_of_an_experiment_as_it_is_now():
    """Of each: that it is whole and lies where it belongs is asked in ``test_verification.py``."""
    asked = {
        name: {run for e in EXPERIMENTS.values() if name in e.grids for run in e.runs(name)}
        for name in {record["config"]["recipe"]["name"] for record in COMMITTED.values()}
    }
    runs = {path: run_from_config(record["config"]) for path, record in COMMITTED.items()}
    assert [path for path, run in runs.items() if run not in asked[run.recipe.name]] == []
    assert [path for path, run in runs.items() if run.record_path() != path] == []


def test_committed_records_name_their_commit():
    commits = {path: record["provenance"]["commit"] for path, record in COMMITTED.items()}
    assert [
        p for p, commit in commits.items() if not re.fullmatch("[0-9a-f]{40}", commit or "")
    ] == []


@pytest.mark.slow
def test_committed_records_are_of_todays_data_and_networks():
    """Of the data set that is embedded."""
    data = cache(
        lambda fraction, subset: load_data("digits", 360, fraction=fraction, subset=subset)
    )
    sizes = cache(_sizes)
    wrong = []
    for path, record in COMMITTED.items():
        run = run_from_config(record["config"])
        if run.recipe.data == "digits":
            images = data(run.recipe.fraction, run.seed if run.recipe.own_subset else 0)
            expected = (
                images.fingerprint(),
                len(images.train),
                len(images.validation),
                *sizes(_layers(run), data(1.0, 0)),  # of another share they are the same
            )
            names = ("training_images", "validation_images", "parameters", "multiply_adds")
            if (record["provenance"]["data"], *(record[name] for name in names)) != expected:
                wrong.append(path)
    assert wrong == []


def _layers(run):
    """The run of a network with the same layers: of the first seed, and of a usual training."""
    recipe = get_recipe(run.recipe.name, width=run.recipe.width)
    gates = run.gates and replace(run.gates, bias=0)
    return replace(run, seed=0, recipe=recipe, gates=gates)


def _sizes(run, data):
    """Parameters and multiply-adds of a network."""
    model = make_model(run, data)
    return count_parameters(model), count_multiply_adds(model, data.image_shape)


def test_figure_2_is_recorded_with_five_seeds_for_each_of_four_networks():
    runs = EXPERIMENTS["fig2"].runs()
    assert len(runs) == 20
    assert {run.state() for run in runs} == {"recorded"}


def test_the_committed_records_show_degradation_and_its_absence():
    runs = load_runs(EXPERIMENTS["fig2"].records())
    means = runs.groupby(["family", "depth"])[["training_error", "validation_error"]].mean()
    assert (means.loc[("plain", 34)] > means.loc[("plain", 18)] + 20).all()
    assert (means.loc[("residual", 34)] < means.loc[("plain", 34)] - 20).all()
    assert (means.loc["residual"] < 10).all(axis=None)


@pytest.mark.parametrize("family", ["plain", "residual"])
@pytest.mark.slow
def test_the_first_epoch_of_a_committed_curve_comes_back(family, tmp_path):
    """Two epochs instead of twenty: before the first drop of the rate they are the same."""
    again = Run(get_recipe("digits", epochs=2), family, 18, seed=0)
    whole = Run(get_recipe("digits"), family, 18, seed=0)
    fresh = read_record(perform(again, device="cpu", runs_dir=tmp_path))["curve"]
    committed = read_record(whole.record_path())["curve"]
    # Another processor rounds otherwise, and within five steps that moves a loss by per cents, as
    # another seed does: no equality here, but far from the 2.3 nats of a net that learns nothing.
    assert fresh["training_loss"][0] == pytest.approx(committed["training_loss"][0], rel=0.1)


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 2500])
def test_bits_come_back_as_they_were_packed(count):
    bits = np.random.default_rng(count).random(count) < 0.4
    assert (unpack_bits(pack_bits(bits), count) == bits).all()
    assert len(pack_bits(bits)) <= 4 * (count // 24 + 1)


def test_a_record_from_before_wrong_images_were_kept_has_none():
    assert wrong_images({"validation_images": 3}) is None
