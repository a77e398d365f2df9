"""``make reproduce``: train Fig. 2 afresh, render the book from it, and report.

Everything is written below ``_build``; committed records and notebooks are only read.
Whatever is finished when it is interrupted is kept, and the next call goes on from there.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path

from resnet_study import paths, tables
from resnet_study.effects import compare, identical_curves, reproduced
from resnet_study.errors import InputError
from resnet_study.experiments import EXPERIMENTS, Run, parse_seeds
from resnet_study.provenance import code_fingerprint
from resnet_study.records import RecordError, load_curves, load_runs, read_record

RECORDS = paths.REPRODUCTION / "runs"
LOGS = paths.REPRODUCTION / "logs"
SITE = paths.REPRODUCTION / "site"
FIG2 = EXPERIMENTS["fig2"]
BOOK_OPTIONS = ("--all", "-n", "-W", "--keep-going")  # a warning is a fault: a broken link, say
FIGURES = ("fig2", "reproduction")  # notebooks that read the fresh records

Say = Callable[[str], None]


@contextmanager
def _alone(say: Say) -> Iterator[None]:
    """Wait until no other reproduction works in this folder."""
    paths.REPRODUCTION.mkdir(parents=True, exist_ok=True)
    with open(paths.REPRODUCTION / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another reproduction works in this folder; waiting until it ends")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _is_fresh(run: Run) -> bool:
    """Whether ``run`` was recorded here by the code as it is now."""
    try:
        if run.state(RECORDS) != "recorded":
            return False
        return read_record(run.record_path(RECORDS))["provenance"]["code"] == code_fingerprint()
    except RecordError:  # damaged: train again
        return False


def _last_line(text: str) -> str:
    """What a failed process said last, which is what went wrong."""
    return (text.strip().splitlines() or ["it said nothing"])[-1]


def _papermill(notebook: str, output: Path, parameters: dict[str, object]) -> None:
    """Execute one of our notebooks in a process of its own, on one thread.

    Raises:
        InputError: if it fails, with the last line it said.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    options = [text for pair in parameters.items() for text in ("-p", *map(str, pair))]
    source = paths.NOTEBOOKS / f"{notebook}.ipynb"
    done = subprocess.run(
        [sys.executable, "-m", "papermill", source, output, *options],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    if done.returncode:
        raise InputError(f"{source} failed: {_last_line(done.stderr)}")


def _train(run: Run) -> Path:
    """Train one run through the ``train`` notebook, whose executed copy is the log."""
    parameters = {
        "recipe": run.recipe.name,
        "family": run.family,
        "depth": run.depth,
        "seed": run.seed,
        "device": "cpu",
        "runs_dir": RECORDS,
        "overwrite": True,
    }
    _papermill("train", LOGS / f"train-{run.name}.ipynb", parameters)
    return run.record_path(RECORDS)


def train_missing(runs: list[Run], jobs: int, say: Say) -> None:
    """Train the runs that are not there yet, ``jobs`` at a time, one thread each.

    Raises:
        InputError: if one fails; those that run then are finished, and kept.
    """
    missing = [run for run in runs if not _is_fresh(run)]
    say(f"training {len(missing)} of {len(runs)} runs, {jobs} at a time")
    clock = time.perf_counter()
    with ThreadPoolExecutor(jobs) as pool:
        futures = {pool.submit(_train, run): run for run in missing}
        try:
            for done, future in enumerate(as_completed(futures), start=1):
                final = read_record(future.result())["final"]
                left = (time.perf_counter() - clock) / done * (len(missing) - done)
                say(
                    f"  {done:2}/{len(missing)}  {futures[future].name:22} training error "
                    f"{final['training_error'] or float('nan'):5.1f} %   about {left:3.0f} s to go"
                )
        finally:
            pool.shutdown(cancel_futures=True)


def render_book(seeds: str) -> None:
    """Render the book into ``_build/html`` with the notebooks executed on the fresh records.

    Raises:
        InputError: if the book does not build, with what was said.
    """
    shutil.rmtree(SITE, ignore_errors=True)
    SITE.mkdir()
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy(paths.ROOT / name, SITE)
    shutil.copytree(paths.ROOT / "book", SITE / "book")
    shutil.copytree(
        paths.NOTEBOOKS, SITE / "notebooks", ignore=shutil.ignore_patterns(".*", "*.py")
    )
    for name in FIGURES:
        output = SITE / "notebooks" / f"{name}.ipynb"
        _papermill(name, output, {"runs_dir": RECORDS, "seeds": seeds})
    command = [sys.executable, "-m", "jupyter_book.cli.main", "build", *BOOK_OPTIONS]
    built = subprocess.run(
        [*command, "--path-output", paths.ROOT, SITE], capture_output=True, text=True
    )
    if built.returncode:
        raise InputError(f"the book does not build:\n{built.stdout}{built.stderr}")


def reproduce(seeds: str, jobs: int, say: Say = print) -> bool:
    """Train, render, report; returns whether the study is reproduced."""
    with _alone(say):
        train_missing(FIG2.runs(seeds=parse_seeds(seeds)), jobs, say)
        say("executing the figure notebooks and rendering the book")
        render_book(seeds)
    ours, theirs = FIG2.records(), FIG2.records(RECORDS, seeds=parse_seeds(seeds))
    comparison = compare(load_runs(ours), load_runs(theirs))
    same, shared = identical_curves(load_curves(ours), load_curves(theirs))
    say("\nReproduction report: difference of final errors in points [95 % interval]\n")
    say(tables.comparison(comparison).to_string(index=False))
    say(f"\n{same} of your {shared} curves with our seeds equal ours to the bit")
    say(f"the study is {'reproduced' if reproduced(comparison) else 'NOT reproduced'}")
    say(f"the book: {paths.BUILD / 'html' / 'index.html'}")
    return reproduced(comparison)
