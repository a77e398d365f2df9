"""``verify``: whatever no run of ours can have left is named, and all that is committed passes."""

import json
import os
import shutil
from copy import deepcopy
from dataclasses import replace

import pytest
from conftest import resealed, tracked_files
from runs_page import row

from resnet_study import paths
from resnet_study.pipeline import benchmarks
from resnet_study.pipeline.frames import load_curves, load_gates, load_lesions, load_runs
from resnet_study.pipeline.measurements import MEASUREMENTS
from resnet_study.pipeline.perform import perform
from resnet_study.pipeline.records import RecordError, read_record, write_record
from resnet_study.pipeline.run import Run
from resnet_study.pipeline.verification import everything, verify
from resnet_study.training.recipes import get_recipe

pytestmark = pytest.mark.slow


def _sealed(content, path):
    """Write a file with ``content`` and a seal of its own."""
    kept = {key: value for key, value in content.items() if key not in ("schema", "sha256")}
    write_record(path, kept)
    return path


def _faults(path):
    return verify([path], path.parent.parent)[1]


def test_all_that_is_committed_passes():
    sealed = [
        path
        for folder in ("data/runs", "data/pilots", "data/measurements", "data/benchmarks")
        for path in tracked_files(folder)
        if path.suffix == ".json"
    ]
    assert len(sealed) > 500
    assert verify([*sealed, paths.EXECUTIONS], paths.RUNS) == (len(sealed) + 1, [])


def test_all_of_a_checkout_is_asked_for():
    found = everything(paths.RUNS)
    assert {paths.RUNS, paths.PILOTS, paths.MEASUREMENTS, paths.BENCHMARKS} < set(found)


KINDS = {
    "highway": {"family": "highway"},
    "diverged": {"family": "plain", "rate": 1e30},
    "later diverged": {"family": "plain", "rate": 3.0, "epochs": 3},
    "part of the data": {"family": "residual", "fraction": 0.5},
    "patient": {"family": "residual", "patience": 1},
    "of another rate": {"family": "residual", "rate": 0.01},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_record_of_every_kind_passes(tmp_path, kind):
    options = {"epochs": 1, "width": 1, **KINDS[kind]}
    family = options.pop("family")
    run = Run(get_recipe("digits", **options), family, 8, seed=3)
    assert _faults(perform(run, device="cpu", runs_dir=tmp_path)) == []


def _at(*keys):
    """The value at a place of a record, to be replaced."""

    def change(value):
        def do(record):
            inner = record
            for key in keys[:-1]:
                inner = inner[key]
            if value is ...:
                del inner[keys[-1]]
            else:
                inner[keys[-1]] = value

        return do

    return change


origin = "provenance"
FAULTS = {
    "parameters is 'many'; accepted: a whole number": _at("parameters")("many"),
    "parameters is 3.0; accepted: a whole number": _at("parameters")(3.0),
    "parameters is True; accepted: a whole number": _at("parameters")(True),
    "it lacks seconds": _at("seconds")(...),
    "provenance lacks commit": _at(origin, "commit")(...),
    "it has unknown fields: 'note'": _at("note")("x"),
    "provenance has unknown fields: '<img": _at(origin, "<img src=x onerror=alert(1)>")(1),
    "provenance.commit is 'abcdef0+<": _at(origin, "commit")("abcdef0+<img src=x onerror=a()>"),
    "provenance.python is": _at(origin, "python")("3.11\n"),
    "provenance.packages.torch is": _at(origin, "packages", "torch")("2 <b>"),
    "provenance.packages has a field": _at(origin, "packages", "<b>")("2"),
    "provenance.started is": _at(origin, "started")("yesterday"),
    "provenance.device.name is": _at(origin, "device", "name")("x" * 1000),
    "provenance.device.type is 'tpu'; accepted: cpu or cuda": _at(origin, "device", "type")("tpu"),
    "provenance.data is": _at(origin, "data")("0" * 63),
    "provenance.resumed[0] lacks": _at(origin, "resumed")([{}]),
    "config is of no run": _at("config", "depth")(9),
    "config.family is 'pl ain'": _at("config", "family")("pl ain"),
    "config.seed is -1": _at("config", "seed")(-1),
    "config is of no run of today": _at("config", "recipe", "name")("Bread"),
    "it is of a run that belongs at 'bread/": _at("config", "recipe", "name")("bread"),
    "it is of a run that belongs at 'digits/residual-8-": _at("config", "seed")(7),
    "diverged_at is 0": _at("diverged_at")(0),
    "final.validation_error is not the last": _at("final", "validation_error")(99.0),
    "final.validation_error is 101": _at("final", "validation_error")(101),
    "final has unknown fields": _at("final", "test_error")(1),
    "curve.training_loss[0] is '1'": _at("curve", "training_loss")(["1"]),
    "curve is no table": _at("curve", "training_loss")([1.0, 2.0]),
    "curve.epoch does not count": _at("curve", "epoch")([2]),
    "curve has 2 epochs": lambda r: r["curve"].update({k: v * 2 for k, v in r["curve"].items()}),
    "gates have no place": lambda r: r.update(gates=_gates()),
    "wrong_images is not one bit": _at("wrong_images")("AAAA"),
    "wrong_images is 'no bits'": _at("wrong_images")("no bits"),
    "wrong_images and diverged_at": _at("wrong_images")(None),
    "final.ten_crop_error and": _at("final", "ten_crop_error")(5.0),
}


def _gates():
    """Those of a committed Highway net."""
    found = next(path for path in paths.RUNS.rglob("highway-18*.json"))
    return read_record(found)["gates"]


@pytest.mark.parametrize("fault", FAULTS)
def test_what_no_run_can_have_left_is_named(tiny_record, fault):
    content = deepcopy(read_record(tiny_record))
    FAULTS[fault](content)
    _sealed(content, tiny_record)
    found = _faults(tiny_record)
    assert any(f"{tiny_record} has a fault: {fault}" in line for line in found), found
    assert all(line.isprintable() and len(line) < 600 for line in found)


def test_a_field_of_another_type_never_makes_more_than_a_line(tmp_path):
    """Neither of ``verify`` nor of readers, who refuse a record or make a table of it."""
    run = Run(get_recipe("digits", epochs=1, width=1), "highway", 8, seed=0)
    path = perform(run, device="cpu", runs_dir=tmp_path)
    content = read_record(path)
    for place in _places(content):
        for value in ("text", None, [], -1.5, ...):
            changed = deepcopy(content)
            _at(*place)(value)(changed)
            _sealed(changed, path)
            assert all(line.isprintable() for line in _faults(path))
            for load in (load_runs, load_curves, load_gates, load_lesions):
                try:
                    load([path])
                except RecordError as error:
                    assert str(error).isprintable()
            try:
                row("x", read_record(path, "run"))
            except RecordError as error:
                assert str(error).isprintable()
            run.state(tmp_path)


def _places(value, place=()):
    if place and place not in (("schema",), ("sha256",)):
        yield place
    entries = value.items() if isinstance(value, dict) else ()
    for key, each in entries:
        yield from _places(each, (*place, key))


def test_all_faults_of_a_file_are_named(tiny_record):
    content = read_record(tiny_record)
    resealed(
        tiny_record,
        tiny_record,
        parameters="x",
        seconds="y",
        config={**content["config"], "seed": "z"},
    )
    assert len(_faults(tiny_record)) == 3


def test_a_record_of_before_passes(tiny_record):
    """An option and a field that were added since are not there."""
    content = read_record(tiny_record)
    for name in ("gates", "scales", "match", "start", "normalisation"):
        del content["config"][name]
    for name in ("fraction", "own_subset", "clip", "ten_crop", "patience"):
        del content["config"]["recipe"][name]
    for name in ("resumed", "jpeg_decoder"):
        del content["provenance"][name]
    del content["provenance"]["packages"]["pillow"], content["provenance"]["device"]["instructions"]
    del content["wrong_images"], content["peak_memory"], content["curve"]["clean_training_error"]
    assert _faults(_sealed(content, tiny_record)) == []


def test_a_field_of_a_newer_version_is_read_but_not_verified(tiny_record):
    resealed(tiny_record, tiny_record, energy=3)
    assert read_record(tiny_record, "run")["energy"] == 3
    assert "unknown fields: 'energy'" in _faults(tiny_record)[0]


NAMES = [
    "residual-8-epochs-1-width-1-seed-0-Copy1.json", "other-seed-0.json", "sub/{}", "{}.json",
    '"><img src=x onerror=alert(1)>.json', "line\nbreak.json", "\x1b[31m.json",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_foreign_name_is_a_fault_in_one_line(tiny_record, name):
    path = tiny_record.parent / name.format(tiny_record.name)
    path.parent.mkdir(exist_ok=True)
    shutil.move(tiny_record, path)
    count, found = verify([tiny_record.parent.parent], tiny_record.parent.parent)
    assert (count, len(found)) == (1, 1)
    assert "it is of a run that belongs at" in found[0] and found[0].isprintable()


def test_files_of_other_kinds_are_checked(tmp_path):
    measurement, benchmark = next(iter(MEASUREMENTS.values())).path(), benchmarks.find_results()[0]
    for path, told in (
        (resealed(measurement, tmp_path / "other.json"), "whose file has that name"),
        (resealed(benchmark, tmp_path / "there.json"), "a result that belongs at"),
        (resealed(benchmark, tmp_path / benchmark.name, networks=3), "networks is 3; accepted"),
        (resealed(measurement, tmp_path / measurement.name, tables={"a": {"b": [1], "c": []}}),
         "tables.a is no table"),
        (_sealed({"else": 1}, tmp_path / "else.json"), "it is none of run, measurement"),
    ):  # fmt: skip
        (found,) = verify([path], paths.RUNS)[1]
        assert told in found
    log = resealed(paths.EXECUTIONS, tmp_path / "log.json", executions={"<b>": {}})
    assert "executions has a field '<b>'" in verify([log], paths.RUNS)[1][0]


def test_the_command_names_faults_and_fails(command, tiny_record, tiny_run):
    runs_dir = tiny_record.parent.parent
    assert command("verify", runs_dir, "--runs-dir", runs_dir) == (0, "0 faults in 1 files\n", "")
    other = replace(tiny_run, seed=1).record_path(runs_dir)
    other.write_text(tiny_record.read_text().replace('"seed": 0', '"seed": 1'))
    cut = other.with_name("cut.json")
    cut.write_text("{")
    status, out, err = command("verify", runs_dir, "--runs-dir", runs_dir)
    assert (status, err) == (1, "2 faults in 3 files\n")
    assert [str(path) in line for path, line in zip((cut, other), out.splitlines(), strict=True)]
    status, out, err = command("verify", tiny_record, "--runs-dir", runs_dir)
    assert (status, out) == (0, "0 faults in 1 files\n")


def test_a_place_that_is_not_there_is_refused_in_a_line(command, tmp_path):
    status, out, err = command("verify", tmp_path / "none")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert f"{tmp_path / 'none'} does not exist; accepted: records" in err


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda p: os.symlink("nowhere", p)])
def test_what_is_no_file_but_called_like_one_is_a_fault(tmp_path, make):
    make(tmp_path / "x.json")
    count, found = verify([tmp_path], tmp_path)
    assert (count, len(found)) == (1, 1)
    assert f"{tmp_path / 'x.json'} " in found[0]


def test_the_schema_is_one(tiny_record):
    """As others would use it, without what makes it faster here."""
    from jsonschema import Draft202012Validator

    schema = json.loads((paths.PACKAGE / "pipeline" / "schemas.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    usual = Draft202012Validator({**schema, "$ref": "#/$defs/run"})
    usual.validate(read_record(tiny_record))
    assert not usual.is_valid({**read_record(tiny_record), "parameters": "many"})
