"""Where things lie: in the workspace, a folder for records, data and own blocks.

It is what the environment variable ``RESNET_STUDY_ROOT`` names; else the checkout that the package
is part of; else the current folder, for an installed package has no checkout around it. Nothing is
ever written beside its code.

The study's own notebooks and records lie in the checkout, or come with the package; there they are
only read, and what the workspace has goes before them (:func:`find`).
"""

import os
from pathlib import Path

from resnet_study.errors import InputError

PACKAGE = Path(__file__).resolve().parent
IN_CHECKOUT = (PACKAGE.parent / "pyproject.toml").is_file()
WORKSPACE = os.environ.get("RESNET_STUDY_ROOT")
ROOT = (
    Path(WORKSPACE).expanduser().resolve()
    if WORKSPACE
    else PACKAGE.parent
    if IN_CHECKOUT
    else Path.cwd()
)
STUDY = PACKAGE.parent if IN_CHECKOUT else PACKAGE / "study"  # what pyproject.toml packs there


def in_study(path: Path) -> Path:
    """What a path within the workspace is called within the study; any other path as it is."""
    return STUDY / path.relative_to(ROOT) if path.is_relative_to(ROOT) else path


def find(path: Path) -> Path:
    """``path``; or, where the workspace has no such file, its like in the study if there is one."""
    ours = in_study(path)
    return path if path.exists() or not ours.exists() else ours


NOTEBOOKS = STUDY / "notebooks"
BLOCKS = ROOT / "blocks"  # somebody's own families, a file each
RUNS = ROOT / "data" / "runs"  # committed records, one file a run
PILOTS = ROOT / "data" / "pilots"  # committed records of what was tried before a registration
WEIGHTS = STUDY / "data" / "weights"  # committed nets, each with its record
MEASUREMENTS = ROOT / "data" / "measurements"  # committed tables of what is inside networks
BENCHMARKS = ROOT / "data" / "benchmarks"  # committed results of benchmarks/
EXECUTIONS = ROOT / "data" / "executions.json"  # committed log of the notebooks' executions
PAPER = STUDY / "data" / "paper"  # curves of He et al. 2015
LITERATURE = STUDY / "data" / "literature"  # published trainings
DOWNLOADS = ROOT / "data" / "downloads"  # data sets fetched by torchvision; not committed
BUILD = ROOT / "_build"  # the rendered book; not committed
REPRODUCTION = BUILD / "reproduction"  # what ``make reproduce`` trains, executes and reports


def require_checkout(what: str) -> None:
    """Raise :class:`InputError` where ``what`` needs notebooks and book, and there are none."""
    if not IN_CHECKOUT:
        raise InputError(f"{what} needs a checkout of the study; accepted: within a clone of it")
