"""The queue: trains what is missing of a list of runs, several at a time.

Each run is one execution of the ``train`` notebook by papermill, in a process of its own, so
that it leaves an executed notebook as its log. Several queues may work on one folder: a run
is locked while it is trained.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from joblib import cpu_count

from resnet_study import paths
from resnet_study.errors import InputError, require_at_least
from resnet_study.files import require_writable
from resnet_study.kernels import environment
from resnet_study.records import read_record
from resnet_study.runs import Run
from resnet_study.training import choose_device

Say = Callable[[str], None]
LAST_START = 30  # seconds before the end of a time budget at which no run is started any more


@dataclass(frozen=True)
class Place:
    """Where and how the runs of a queue are trained.

    ``deadline`` is a moment of ``time.time`` at which to save and stop.
    """

    runs_dir: Path = paths.RUNS
    data_dir: Path = paths.DOWNLOADS
    logs: Path = paths.BUILD / "logs"
    device: str = "auto"
    jobs: int = 1
    deadline: float | None = None
    checkpoint_seconds: float = 60
    wait_for_others: bool = False  # for a run that another process has in hand; else skip it

    def __post_init__(self):
        require_at_least("jobs", self.jobs, 1)
        require_at_least("checkpoint_seconds", self.checkpoint_seconds, 0)

    @property
    def too_late(self) -> bool:
        """Whether what is left of the time budget is not worth a start."""
        return self.deadline is not None and time.time() > self.deadline - LAST_START


def default_jobs(device: str) -> int:
    """Runs at a time: one for each core on the CPU, one on a GPU."""
    if choose_device(device).type == "cpu":
        return cpu_count()  # of this process, or of its container
    return 1


def parse_duration(text: str) -> float:
    """Seconds in ``90s``, ``9m``, ``2h`` or ``1h30m``.

    Raises:
        InputError: for a text of another form.
    """
    match = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", text.strip())
    if not match or not any(match.groups()):
        raise InputError(f"time budget {text!r} is no duration; accepted: such as 90s, 9m, 1h30m")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return 3600 * hours + 60 * minutes + seconds


def run_notebook(notebook: str, output: Path, parameters: dict[str, object]) -> None:
    """Execute one of our notebooks in a process of its own, on one thread.

    Raises:
        InputError: if it fails, with the last line it said.
    """
    require_writable(output.parent)
    source = paths.NOTEBOOKS / f"{notebook}.ipynb"
    given = json.dumps(parameters, default=str)  # paths are texts
    done = subprocess.run(
        [sys.executable, "-m", "resnet_study.notebooks", source, output, given],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        env=environment() | {"OMP_NUM_THREADS": "1"},
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it said nothing"]
        raise InputError(f"{source.name} failed, see {output}: {lines[-1]}")


def _train(run: Run, place: Place) -> str:
    """Train one run; returns its state afterwards, or ``busy`` if another queue has it."""
    require_writable(run.record_path(place.runs_dir).parent)
    if _is_busy(run, place):
        return "busy"
    if run.state(place.runs_dir) == "recorded" or place.too_late:
        return run.state(place.runs_dir)
    parameters = {
        "recipe": run.recipe.name,
        "family": run.family,
        "depth": run.depth,
        "seed": run.seed,
        **run.changes,
        "device": place.device,
        "runs_dir": Path(place.runs_dir).resolve(),
        "data_dir": Path(place.data_dir).resolve(),
        "checkpoint_seconds": place.checkpoint_seconds,
    }
    if place.deadline is not None:
        parameters["deadline"] = place.deadline
    try:
        run_notebook("train", place.logs / run.recipe.name / f"{run.name}.ipynb", parameters)
    except InputError:
        if _is_busy(run, place):  # another queue was faster by a moment
            return "busy"
        raise
    return run.state(place.runs_dir)


def _is_busy(run: Run, place: Place) -> bool:
    """Whether another process trains ``run``, after waiting for it if the place says so."""
    lock = run.lock_path(place.runs_dir)
    if not lock.exists():
        return False
    try:
        with FileLock(lock, timeout=-1 if place.wait_for_others else 0):
            return False
    except Timeout:
        return True


def train_missing(runs: Iterable[Run], place: Place, say: Say) -> list[Run]:
    """Train the runs that are not recorded, in their order; returns those that still are not.

    Raises:
        InputError: if one fails; those that run then are finished, and kept.
    """
    paths.require_checkout("an experiment, which the notebook train trains,")
    runs = list(runs)
    missing = [run for run in runs if run.state(place.runs_dir) != "recorded"]
    say(f"training {len(missing)} of {len(runs)} runs, {place.jobs} at a time")
    clock = time.time()
    with ThreadPoolExecutor(place.jobs) as pool:
        futures = {pool.submit(_train, run, place): run for run in missing}
        try:
            for done, future in enumerate(as_completed(futures), start=1):
                left = (time.time() - clock) / done * (len(missing) - done)
                run, state = futures[future], future.result()
                say(
                    f"  {done:2}/{len(missing)}  {run.name:22} {_outcome(run, place, state):24}"
                    + (f"  {_minutes(left)} to go" if done < len(missing) else "")
                )
        finally:
            pool.shutdown(cancel_futures=True)
    return [run for run in missing if run.state(place.runs_dir) != "recorded"]


def _outcome(run: Run, place: Place, state: str) -> str:
    if state != "recorded":
        return state
    record = read_record(run.record_path(place.runs_dir))
    if record["diverged_at"] is not None:
        return f"diverged by {record['diverged_at']}"
    return f"training error {record['final']['training_error']:5.1f} %"


def _minutes(seconds: float) -> str:
    return f"about {seconds / 60:.0f} min" if seconds >= 90 else f"about {seconds:.0f} s"
