"""Imports of the library run one way; the layers are in ``pyproject.toml``."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from resnet_study import paths


def check(folder):
    """What ``lint-imports`` says of the package in ``folder``."""
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_imports_run_one_way_and_one_that_does_not_is_found(tmp_path):
    assert check(paths.ROOT).returncode == 0
    ignored = shutil.ignore_patterns("__pycache__")
    copy = shutil.copytree(paths.ROOT / "resnet_study", tmp_path / "resnet_study", ignore=ignored)
    shutil.copy(paths.ROOT / "pyproject.toml", tmp_path)
    with (copy / "models" / "blocks.py").open("a") as code:
        code.write("\nfrom resnet_study.data import datasets\n")
    planted = check(tmp_path)
    assert planted.returncode == 1
    assert "resnet_study.models is not allowed to import resnet_study.data" in planted.stdout


@pytest.mark.parametrize(
    "code",
    [
        "import resnet_study.figures.style",
        "from resnet_study.cli import cli; cli(['--help'], standalone_mode=False)",
        "from resnet_study.cli import cli; cli(['list'], standalone_mode=False)",
        "from resnet_study.cli import cli; cli(['status'], standalone_mode=False)",
    ],
)
def test_who_draws_or_asks_needs_no_torch(code):
    code = f"import sys; {code}; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=paths.ROOT, stdout=subprocess.DEVNULL)
    assert done.returncode == 0
