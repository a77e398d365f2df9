import re
import subprocess
import threading
from pathlib import Path

import pytest
from conftest import files_below

from resnet_study import paths, reproduction
from resnet_study.errors import InputError
from resnet_study.pipeline.provenance import code_fingerprint
from resnet_study.pipeline.queue import Executions
from resnet_study.pipeline.records import find_records, read_record, write_record
from resnet_study.questions.experiments import EXPERIMENTS
from resnet_study.training.checkpoints import Checkpoint

pytestmark = pytest.mark.slow

EXPERIMENT = EXPERIMENTS["reproduction"]


def _content(path):
    record = read_record(path)
    return {key: value for key, value in record.items() if key not in ("schema", "sha256")}


def _records_of(run, **changes):
    """What a training of ``run`` by today's code would record: our own result."""
    content = _content(run.record_path())
    provenance = {**content["provenance"], "code": code_fingerprint()}
    return {**content, "config": run.config, "provenance": provenance, **changes}


class Trainings:
    """Stands in for the processes that train: writes our own results, and counts."""

    def __init__(self, records):
        self.records = records
        self.trained = []
        self.results = {}  # name of a run to another result than ours
        self.fail_at = None  # which call fails, from 1
        self.lock = threading.Lock()

    def train(self, notebook, output, given):
        assert notebook == "train"
        assert Path(given["runs_dir"]) == self.records
        assert given["device"] == "cpu"
        with self.lock:
            name = f"{given['family']}-{given['depth']}-seed-{given['seed']}"
            self.trained.append(name)
            if len(self.trained) == self.fail_at:
                raise InputError("ValueError: no space left")
        (run,) = [run for run in EXPERIMENT.runs() if run.name == name]
        content = self.results.get(name) or _records_of(run)
        write_record(run.record_path(self.records), content)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A reproduction below ``tmp_path`` instead of the checkout's ``_build``."""
    folder = tmp_path / "reproduction"
    monkeypatch.setattr(paths, "REPRODUCTION", folder)
    for name in ("RECORDS", "SITE"):
        before = getattr(reproduction, name)
        part = {"RECORDS": "runs"}.get(name, name.lower())
        monkeypatch.setattr(reproduction, name, folder / part)
        assert before.is_relative_to(paths.BUILD)
    return folder


@pytest.fixture
def trainings(folder, monkeypatch):
    stub = Trainings(folder / "runs")
    monkeypatch.setattr(Executions, "run", lambda self, *arguments: stub.train(*arguments))
    return stub


@pytest.fixture
def no_book(monkeypatch):
    monkeypatch.setattr(reproduction, "render_book", lambda *arguments: None)


def _reproduce(seeds="0", jobs=2):
    said = []
    reproduction.reproduce(seeds, jobs, said.append)
    return said


def _records(folder):
    """Path and content of each record; locks and logs are none."""
    return {path: path.read_text() for path in find_records(folder / "runs")}


def _names(*seeds):
    return sorted(run.name for run in EXPERIMENT.runs(seeds=seeds))


def test_everything_is_trained_where_nothing_is_there(folder, trainings, no_book):
    said = _reproduce("0-1")
    assert sorted(trainings.trained) == _names(0, 1)
    assert len(_records(folder)) == 12
    assert "12 of 12" in said[0]
    assert sum(name in line for name in _names(0, 1) for line in said) == 12  # one line a training


def test_what_is_trained_already_is_kept(folder, trainings, no_book):
    _reproduce("0")
    before = _records(folder)
    trainings.trained.clear()
    assert "0 of 6" in _reproduce("0")[0]
    assert trainings.trained == []
    _reproduce("0-1")
    assert sorted(trainings.trained) == _names(1)
    assert _records(folder).items() >= before.items()


def _edit(path):
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))


def _cut(path):
    path.write_text(path.read_text()[:200])


def _of_other_code(path):
    content = _content(path)
    write_record(path, {**content, "provenance": {**content["provenance"], "code": "0" * 64}})


def _of_another_recipe(path):
    content = _content(path)
    recipe = {**content["config"]["recipe"], "rate": 0.01}
    write_record(path, {**content, "config": {**content["config"], "recipe": recipe}})


@pytest.mark.parametrize("damage", [_edit, _cut, Path.unlink, _of_other_code, _of_another_recipe])
def test_a_record_that_is_damaged_or_outdated_is_trained_again_alone(
    folder, trainings, no_book, damage
):
    _reproduce()
    before = _records(folder)
    trainings.trained.clear()
    run = EXPERIMENT.runs(seeds=(0,))[2]
    damage(run.record_path(folder / "runs"))
    assert _records(folder) != before
    _reproduce()
    assert trainings.trained == [run.name]
    assert _records(folder) == before


def test_a_checkpoint_of_other_code_does_not_stand_in_the_way(folder, trainings, no_book):
    """Interrupted, then updated: a training cannot go on from it, and starts afresh."""
    run = EXPERIMENT.runs(seeds=(0,))[0]
    path = run.checkpoint_path(folder / "runs")
    identity = {"config": run.config, "data": "", "code": "0" * 64}
    Checkpoint(path, identity).save({"step": 1})
    _reproduce()
    assert run.name in trainings.trained
    assert not path.exists()


def test_a_training_that_fails_is_told_in_one_line_and_the_rest_is_kept(folder, trainings, no_book):
    trainings.fail_at = 3
    said = []
    with pytest.raises(InputError, match="1 of 6 runs are not recorded"):
        reproduction.reproduce("0", 1, said.append)
    (told,) = (line for line in said if "ValueError: no space left" in line)
    assert "\n" not in told
    kept = _records(folder)
    assert len(kept) == 5
    started = list(trainings.trained)

    _reproduce(jobs=1)  # and the next call goes on from there
    assert len(trainings.trained) - len(started) == 6 - len(kept)
    assert _records(folder).items() >= kept.items()
    assert len(_records(folder)) == 6


def test_a_training_without_a_single_error_is_told_as_such(folder, trainings, no_book):
    run = EXPERIMENT.runs(seeds=(0,))[0]
    final = dict.fromkeys(_content(run.record_path())["final"], 0.0)
    trainings.results[run.name] = _records_of(run, final=final)
    (line,) = [line for line in _reproduce() if run.name in line]
    assert "0.0 %" in line


def test_our_own_results_reproduce_the_study(trainings, no_book):
    said = []
    assert reproduction.reproduce("0-2", 2, said.append) is True
    report = "\n".join(said)
    assert "the study is reproduced" in report
    assert "6 of your 6 curves with our seed 0" in report
    for difference in (
        "plain-34 − plain-18",
        "ResNet-34 − ResNet-18",
        "ResNet-34 − plain-34",
        "Highway-34 − ResNet-34",
    ):
        assert difference in report
    assert "C4" in report and "NO" not in report
    assert "containment (C7)" in report and "computes the same" in report
    assert "index.html" in report


def test_other_results_do_not_reproduce_the_study(folder, trainings, no_book):
    """Plain nets of 34 layers as good as those of 18: no degradation."""
    for seed in (0, 1, 2):
        by_network = {(run.family, run.depth): run for run in EXPERIMENT.runs(seeds=(seed,))}
        deep, shallow = by_network["plain", 34], by_network["plain", 18]
        content = _content(shallow.record_path())
        result = {key: content[key] for key in ("final", "curve")}
        write_record(deep.record_path(folder / "runs"), _records_of(deep, **result))
    said = []
    assert reproduction.reproduce("0-2", 2, said.append) is False
    report = "\n".join(said)
    assert "NOT reproduced" in report
    assert "5 of your 6 curves with our seed 0" in report


def test_the_command_exits_with_1_where_the_study_is_not_reproduced(command, monkeypatch):
    for result, status in ((True, 0), (False, 1)):
        monkeypatch.setattr(reproduction, "reproduce", lambda *a, result=result: result)
        assert command("reproduce", "--seeds", "0-2", "--jobs", "1")[0] == status


def test_a_reproduction_leaves_what_is_committed_untouched(trainings, no_book):
    before = files_below(paths.RUNS), files_below(paths.NOTEBOOKS)
    reproduction.reproduce("0", 2, lambda text: None)
    assert (files_below(paths.RUNS), files_below(paths.NOTEBOOKS)) == before


def test_the_book_is_rendered_from_the_fresh_records(folder, tmp_path, monkeypatch):
    for run in EXPERIMENT.runs(seeds=(0, 1, 2)):
        write_record(run.record_path(folder / "runs"), _records_of(run))
    root = tmp_path / "checkout"  # where the book goes; the kernels read the real one
    root.mkdir()
    for name in ("_config.yml", "book"):
        (root / name).symlink_to(paths.ROOT / name)
    (root / "_toc.yml").write_text(  # the pages that show the fresh records
        "format: jb-book\nroot: notebooks/reproduction\n"
        "chapters: [{file: notebooks/fig2}, {file: book/records}]\n"
    )
    monkeypatch.setattr(paths, "ROOT", root)
    monkeypatch.setattr(reproduction, "BOOK_OPTIONS", ("--all",))  # links to others lead nowhere
    notebooks = files_below(paths.NOTEBOOKS)
    reproduction.render_book("0-2")
    page = (root / "_build" / "html" / "notebooks" / "reproduction.html").read_text()
    assert "<strong>reproduced</strong>" in page
    assert "18 runs of yours against" in page
    assert re.search("Source: reproduction.ipynb · .*18 records of digits in ", page)
    records = (root / "_build" / "html" / "book" / "records.html").read_text()
    assert '<span class="pasted-text">12</span>' in records
    assert files_below(paths.NOTEBOOKS) == notebooks


def test_a_book_that_does_not_build_is_told(folder, monkeypatch):
    def fail(command, **options):
        built = "build" in map(str, command)
        return subprocess.CompletedProcess(command, int(built), "", "a warning")

    folder.mkdir()
    monkeypatch.setattr(subprocess, "run", fail)
    monkeypatch.setattr(Executions, "run", lambda *arguments: None)
    monkeypatch.setattr(reproduction, "hide_injected_parameters", lambda notebook: None)
    with pytest.raises(InputError, match="the book does not build"):
        reproduction.render_book("0")
