"""What was registered came before what it judges, and is what was trained."""

import subprocess
from datetime import datetime

import pytest
from conftest import tracked_files

from resnet_study import paths
from resnet_study.pipeline.records import read_record
from resnet_study.questions.experiments import EXPERIMENTS, FRESH

PAGE = "book/registration.md"
LATER = "## What was done otherwise"  # what may be added to the page afterwards
# The recipe of registered trainings, and what their section of the page begins with.
SECTIONS = {
    "tiny-imagenet-50": "(registered-pictures)=",
    "digits": "(registered-digits)=",
    "tiny-imagenet": "(registered-gpu)=",
}


def _git(*arguments):
    done = subprocess.run(["git", "-C", paths.ROOT, *arguments], capture_output=True, text=True)
    if done.returncode:
        pytest.skip("no history of commits")
    return done.stdout.strip()


def _first_commit(text):
    """The commit that brought ``text`` into the page."""
    if _git("rev-parse", "--is-shallow-repository") == "true":
        pytest.skip("no history of commits")
    found = _git("log", "--reverse", "--format=%H", f"-S{text}", "--", PAGE).splitlines()
    if not found:
        pytest.skip("no history of commits")
    return found[0]


def _is_ancestor(first, second):
    command = ["git", "-C", paths.ROOT, "merge-base", "--is-ancestor", first, second]
    return subprocess.run(command, capture_output=True).returncode == 0


def _section(page, begin):
    """From ``begin`` to the next section that has a label, or to what was added later."""
    rest = page.split(begin, 1)[1]
    return rest.split("\n(registered-", 1)[0].split(LATER, 1)[0].strip()


def _records(recipe):
    """Records that the page judges; on digits those of fresh seeds alone."""
    found = [path for path in tracked_files(f"data/runs/{recipe}") if path.suffix == ".json"]
    if recipe != "digits":
        return found
    return [path for path in found if read_record(path)["config"]["seed"] in FRESH]


@pytest.mark.parametrize("recipe", SECTIONS)
def test_the_registration_is_as_it_was_committed(recipe):
    begin = SECTIONS[recipe]
    then = _git("show", f"{_first_commit(begin)}:{PAGE}")
    now = (paths.ROOT / PAGE).read_text(encoding="utf-8")
    assert _section(now, begin) == _section(then, begin)
    assert len(_section(now, begin)) > 500


@pytest.mark.parametrize("recipe", SECTIONS)
def test_the_registration_is_older_than_every_record_that_it_judges(recipe):
    registered = _first_commit(SECTIONS[recipe])
    date = datetime.fromisoformat(_git("show", "-s", "--format=%cI", registered))
    for path in _records(recipe):
        origin = read_record(path)["provenance"]
        assert _is_ancestor(registered, origin["commit"]), path.name
        assert datetime.fromisoformat(origin["started"]) > date, path.name


def test_nothing_but_registered_arms_was_trained_on_fifty_classes():
    registered = {
        run.record_path()
        for experiment in EXPERIMENTS.values()
        if "tiny-imagenet-50" in experiment.grids
        for run in experiment.runs("tiny-imagenet-50")
    }
    assert len(registered) == 24 + 24 + 12 + 6 + 12 + 24  # a to e on the page
    assert set(_records("tiny-imagenet-50")) <= registered


def test_nothing_but_registered_arms_was_trained_on_digits_with_fresh_seeds():
    registered = {run.record_path() for run in EXPERIMENTS["digits-again"].runs("digits")}
    assert set(_records("digits")) <= registered
