"""Where things lie: in the checkout that the package is part of, or else in the current folder.

An installed package has no checkout around it; nothing is ever written beside its code.
"""

from pathlib import Path

from resnet_study.errors import InputError

PACKAGE = Path(__file__).resolve().parent
IN_CHECKOUT = (PACKAGE.parent / "pyproject.toml").is_file()
ROOT = PACKAGE.parent if IN_CHECKOUT else Path.cwd()
NOTEBOOKS = ROOT / "notebooks"
RUNS = ROOT / "data" / "runs"  # committed records, one file a run
PILOTS = ROOT / "data" / "pilots"  # committed records of what was tried before a registration
MEASUREMENTS = ROOT / "data" / "measurements"  # committed tables of what is inside networks
BENCHMARKS = ROOT / "data" / "benchmarks"  # committed results of benchmarks/
EXECUTIONS = ROOT / "data" / "executions.json"  # committed log of the notebooks' executions
PAPER = ROOT / "data" / "paper"  # curves of He et al. 2015
LITERATURE = ROOT / "data" / "literature"  # published trainings
DOWNLOADS = ROOT / "data" / "downloads"  # data sets fetched by torchvision; not committed
BUILD = ROOT / "_build"  # the rendered book; not committed
REPRODUCTION = BUILD / "reproduction"  # what ``make reproduce`` trains, executes and reports


def require_checkout(what: str) -> None:
    """Raise :class:`InputError` where ``what`` needs notebooks and book, and there are none."""
    if not IN_CHECKOUT:
        raise InputError(f"{what} needs a checkout of the study; accepted: within a clone of it")
