"""Pins, environments, documents and workflows say the same."""

import re
import subprocess
import sys
import time
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from conftest import tracked_files
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from resnet_study.questions.experiments import EXPERIMENTS

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
GROUPS = PROJECT["optional-dependencies"]
DEPENDENCIES = {
    canonicalize_name(requirement.name): requirement
    for group in (PROJECT["dependencies"], *GROUPS.values())
    for requirement in map(Requirement, group)
}
LARGEST = 2 * 2**20  # bytes; as in .pre-commit-config.yaml
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
MADE_BY_MAKE = Path(sys.prefix, ".installed").exists()  # the Makefile's mark


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def read_yaml(path: str | Path) -> dict:
    return yaml.safe_load(read(path))


def pin_lines() -> list[str]:
    lines = map(str.strip, read("constraints.txt").splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def pins() -> dict[str, str]:
    """Normalised name to version."""
    split = (line.split("==") for line in pin_lines())
    return {canonicalize_name(name): version for name, version in split}


def recipe(target: str) -> str:
    """The lines of the Makefile below ``target:``, continued lines joined."""
    makefile = read("Makefile").replace("\\\n", " ")
    return re.search(rf"^{re.escape(target)}:.*\n((?:\t.*\n?)+)", makefile, re.MULTILINE)[1]


def targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", read("Makefile"), re.MULTILINE))


def test_constraints_are_exact_pins_each_once_and_sorted():
    bad = [line for line in pin_lines() if not re.fullmatch(r"[\w.-]+==[\w.!+]+", line)]
    assert not bad
    names = [canonicalize_name(line.split("==")[0]) for line in pin_lines()]
    assert names == sorted(set(names))


@pytest.mark.parametrize("name", DEPENDENCIES)
def test_every_dependency_has_a_pin_within_its_range(name):
    assert name in pins(), f"{name} has no pin in constraints.txt"
    assert DEPENDENCIES[name].specifier.contains(pins()[name], prereleases=True)


@pytest.mark.skipif(not MADE_BY_MAKE, reason="not in the environment of `make setup`")
def test_every_pin_runs_on_the_oldest_python_that_we_accept():
    """Debian's Python 3.11.2, for one: pip takes no package that asks for a later one."""
    oldest = PROJECT["requires-python"].removeprefix(">=")
    asked = {
        found.name: found.metadata.get("Requires-Python", "")
        for found in metadata.distributions()
        if canonicalize_name(found.name) in pins()
    }
    assert len(asked) > 100
    assert {n: ask for n, ask in asked.items() if not SpecifierSet(ask).contains(oldest)} == {}


@pytest.mark.skipif(not MADE_BY_MAKE, reason="not in the environment of `make setup`")
@pytest.mark.parametrize("name", DEPENDENCIES)
def test_installed_version_is_the_pin(name):
    assert Version(metadata.version(name)) == Version(pins()[name])


def test_conda_environment_installs_what_make_setup_installs():
    environment = read_yaml("environment.yml")["dependencies"]
    (from_pip,) = (entry["pip"] for entry in environment if isinstance(entry, dict))
    (install,) = (line for line in recipe("$(INSTALLED)").splitlines() if "pip install" in line)
    (constraints,) = re.findall(r"(?:-c|--constraint) (\S+)", install)
    (package,) = re.findall(r"(?:-e|--editable) '?([^\s']+)", install)
    assert from_pip == [f"-c {constraints}", f"-e {package}"]
    assert constraints == "constraints.txt"
    assert set(re.findall(r"\w+", package)) == set(GROUPS)


def test_every_python_we_name_is_allowed():
    allowed = SpecifierSet(PROJECT["requires-python"])
    environment = read_yaml("environment.yml")["dependencies"]
    named = [entry[7:] for entry in environment if str(entry).startswith("python=")]
    named += read_yaml(".github/workflows/test.yml")["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert len(named) > 1
    assert [version for version in named if version not in allowed] == []


def test_contributing_gives_a_reason_for_each_dependency_and_no_other():
    section = read("CONTRIBUTING.md").split("## Dependencies\n")[1].split("\n## ")[0]
    reasons = re.findall(r"^- `([\w.-]+)`: \w.+", section, re.MULTILINE)
    assert sorted(reasons) == sorted(DEPENDENCIES)


def test_contributing_has_a_line_for_each_folder_of_the_library_and_no_other():
    section = read("CONTRIBUTING.md").split("## The library\n")[1].split("\n## ")[0]
    described = re.findall(r"^\| `([\w.]+)` \|", section, re.MULTILINE)
    folders = [path.parent.name for path in ROOT.glob("resnet_study/*/__init__.py")]
    assert sorted(described) == sorted(folders)
    named = re.findall(r"`(\w+/\w+\.py)`", section)
    assert named and all((ROOT / "resnet_study" / name).exists() for name in named)


def test_readme_has_a_line_for_each_top_level_entry():
    entries = {path.relative_to(ROOT).parts for path in tracked_files()}
    names = {parts[0] + "/" * (len(parts) > 1) for parts in entries}
    described = set(re.findall(r"^\| `([^`]+)` \|", read("README.md"), re.MULTILINE))
    assert sorted(names - described) == []


def test_documents_name_targets_that_exist_and_the_readme_names_all():
    named = {}
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "book").glob("*.md")]:
        text = path.read_text(encoding="utf-8")
        named[path.name] = set(re.findall(r"(?:^|`)make ([a-z]+)", text, re.MULTILINE))
    assert set().union(*named.values()) <= targets()
    assert named["README.md"] == targets()


def test_ci_runs_hooks_and_tests_with_a_browser_and_nothing_else():
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o100
    script = read(".ci/run")
    assert re.findall(r"apt-get -qq install (.*) >", script) == ["chromium"]
    assert re.findall(r"^ *((?:make|python|pytest) .*)", script, re.MULTILINE) == [
        "make lint",
        "make test",
    ]
    steps = read_yaml(".github/workflows/test.yml")["jobs"]["test"]["steps"]
    assert [step["run"] for step in steps if "run" in step] == [".ci/run"]


def test_publishing_runs_targets_that_exist():
    steps = read_yaml(".github/workflows/publish.yml")["jobs"]["build"]["steps"]
    commands = [step["run"].split() for step in steps if "run" in step]
    assert all(program == "make" and target in targets() for program, target in commands)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_parse_and_use_official_actions_only(path):
    steps = [step for job in read_yaml(path)["jobs"].values() for step in job["steps"]]
    used = [step["uses"] for step in steps if "uses" in step]
    assert used
    assert [action for action in used if not re.fullmatch(r"actions/[\w-]+@v\d+", action)] == []


def test_hooks_are_local_and_their_tools_are_dependencies():
    repositories = read_yaml(".pre-commit-config.yaml")["repos"]
    assert [entry["repo"] for entry in repositories] == ["local"]
    for hook in repositories[0]["hooks"]:
        assert hook["language"] == "system"
        program = hook["entry"].split()[0]
        (script,) = metadata.entry_points(group="console_scripts", name=program) or (None,)
        assert program in {*DEPENDENCIES, "bash"} or script.dist.name in DEPENDENCIES


def test_citation_and_package_agree():
    citation = read_yaml("CITATION.cff")
    assert citation["cff-version"] == "1.2.0"
    for key in ("version", "license"):
        assert citation[key] == PROJECT[key]
    holder = citation["authors"][0]["name"]
    for name in ("LICENSE", "LICENSE-TEXT"):
        assert f"Copyright (c) 2026 {holder}" in read(name)


def test_no_tracked_file_names_a_path_of_one_machine():
    path_of_one_machine = re.compile(rb"(?<![\w.~-])/(?:home|root|work|Users)/\w")
    naming = [path for path in tracked_files() if path_of_one_machine.search(path.read_bytes())]
    assert naming == []


def test_no_tracked_file_is_large():
    large = [path.name for path in tracked_files() if path.stat().st_size > LARGEST]
    assert large == []


def test_the_slurm_array_trains_each_run_of_figure_2_once(tmp_path):
    """Started as Slurm would, with a ``torchrun`` that says what it was asked for."""
    torchrun = tmp_path / "torchrun"
    torchrun.write_text('#!/bin/sh\necho "$@"\n')
    torchrun.chmod(0o755)
    array = re.search(r"--array=0-(\d+)", read("book/fig2.sbatch"))
    runs = []
    for task in range(int(array[1]) + 1):
        given = {"SLURM_ARRAY_TASK_ID": str(task), "IMAGENET": "/images", "RUNS": "/runs"}
        said = subprocess.run(
            ["bash", ROOT / "book" / "fig2.sbatch"],
            env={"PATH": f"{tmp_path}:/usr/bin:/bin", **given},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        options = dict(
            zip(said[said.index("run") + 1 :: 2], said[said.index("run") + 2 :: 2], strict=True)
        )
        assert {options["--data-dir"], options["--runs-dir"]} == {"/images", "/runs"}
        names = ("--family", "--depth", "--seed")
        runs.append((options["--recipe"], *(options[name] for name in names)))
    expected = EXPERIMENTS["fig2"].runs("imagenet")
    assert sorted(runs) == sorted(
        ("imagenet", run.family, str(run.depth), str(run.seed)) for run in expected
    )


TRAINS = """#!/bin/bash
trap 'touch "$RUNS/imagenet/plain-18-seed-0.checkpoint"; exit 1' TERM
touch "$RUNS/began"
sleep {seconds} & wait $!
{last}
"""


def _slurm_task(folder, seconds, last):
    """Start the script's first task as Slurm would, with stand-ins for what it calls."""
    (folder / "imagenet").mkdir()
    stand_ins = {
        "torchrun": TRAINS.format(seconds=seconds, last=last),
        "scontrol": '#!/bin/sh\necho "$@" > "$RUNS/asked"\n',
    }
    for name, text in stand_ins.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    given = {
        "SLURM_ARRAY_TASK_ID": "0",
        "SLURM_JOB_ID": "77",
        "IMAGENET": "/i",
        "RUNS": str(folder),
    }
    return subprocess.Popen(
        ["bash", ROOT / "book" / "fig2.sbatch"], env={"PATH": f"{folder}:/usr/bin:/bin", **given}
    )


def test_a_slurm_task_out_of_time_saves_and_is_queued_again(tmp_path):
    task = _slurm_task(tmp_path, seconds=60, last="exit 0")
    while not (tmp_path / "began").exists():
        time.sleep(0.01)
    task.terminate()
    assert task.wait(timeout=30) == 75
    assert (tmp_path / "asked").read_text() == "requeue 77\n"


@pytest.mark.parametrize("status", [0, 2])
def test_a_slurm_task_that_ends_by_itself_is_not_queued_again(tmp_path, status):
    assert _slurm_task(tmp_path, seconds=0, last=f"exit {status}").wait(timeout=30) == status
    assert not (tmp_path / "asked").exists()
