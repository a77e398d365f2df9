"""Types of the library of models, data and training agree; what is checked is in
``pyproject.toml``."""

import subprocess
import sys
from pathlib import Path

from resnet_study import paths


def test_types_agree():
    command = [Path(sys.executable).with_name("basedpyright"), "--pythonpath", sys.executable]
    done = subprocess.run(command, cwd=paths.ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
