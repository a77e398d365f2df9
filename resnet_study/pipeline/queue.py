"""The queue: trains what is missing of a list of runs, several at a time.

Each run is one execution of the ``train`` notebook by papermill, in a process of its own, so
that it leaves an executed notebook as its log. Several queues may work on one folder: a run
is locked while it is trained.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from joblib import cpu_count

from resnet_study import paths
from resnet_study.data import folders
from resnet_study.errors import InputError, require_at_least
from resnet_study.files import require_writable
from resnet_study.pipeline.environment import environment
from resnet_study.pipeline.mps import shared_gpu
from resnet_study.pipeline.perform import is_recorded
from resnet_study.pipeline.records import read_record
from resnet_study.pipeline.run import Run
from resnet_study.training import recipes
from resnet_study.training.loop import choose_device

Say = Callable[[str], None]
LAST_START = 30  # seconds before the end of a time budget at which no run is started any more
LOGS = "logs"  # the folder of executed notebooks, in that of the records


@dataclass(frozen=True)
class Place:
    """Where and how the runs of a queue are trained.

    ``deadline`` is a moment of ``time.time`` at which to save and stop.
    """

    runs_dir: Path = paths.RUNS
    data_dir: Path = paths.DOWNLOADS
    device: str = "auto"
    jobs: int = 1
    deadline: float | None = None
    checkpoint_seconds: float = 60
    keep_weights: bool = False  # beside the records
    tensorboard: Path | None = None  # folder of its curves
    wait_for_others: bool = False  # for a run that another process has in hand; else skip it

    def __post_init__(self):
        require_at_least("jobs", self.jobs, 1)
        require_at_least("checkpoint_seconds", self.checkpoint_seconds, 0)

    @property
    def logs(self) -> Path:
        """Where executed notebooks lie: with the records, since a checkout may be read-only."""
        return Path(self.runs_dir) / LOGS

    @property
    def too_late(self) -> bool:
        """Whether what is left of the time budget is not worth a start."""
        return self.deadline is not None and time.time() > self.deadline - LAST_START


def default_jobs(device: str) -> int:
    """Runs at a time: one for each core on the CPU, one on a GPU."""
    if choose_device(device).type == "cpu":
        return cpu_count()  # of this process, or of its container
    return 1


class Executions:
    """Notebooks being executed, each in a process of its own; as a context, they end with it.

    Each saves what it trains before it ends. ``variables`` are added to their environment.
    """

    def __init__(self, variables: dict[str, str] | None = None):
        self.over = False
        self._environment = environment() | {"OMP_NUM_THREADS": "1"} | (variables or {})
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen] = set()

    def __enter__(self) -> "Executions":
        return self

    def __exit__(self, *reason: object) -> None:
        with self._lock:
            self.over = True
            for process in self._running:
                process.terminate()
        for process in tuple(self._running):
            process.wait()

    def run(self, notebook: str, output: Path, parameters: dict[str, object]) -> None:
        """Execute one of our notebooks, on one thread.

        Raises:
            InputError: if it fails, with the last line it said.
        """
        require_writable(output.parent)
        source = paths.NOTEBOOKS / f"{notebook}.ipynb"
        given = json.dumps(parameters, default=str)  # paths are texts
        command = [sys.executable, "-m", "resnet_study.pipeline.notebooks", source, output, given]
        process = self._start(command)
        _, said = process.communicate()
        with self._lock:
            self._running.discard(process)
        if process.returncode:
            lines = said.strip().splitlines() or ["it said nothing"]
            raise InputError(f"{source.name} failed, see {output}: {lines[-1]}")

    def _start(self, command: list[object]) -> subprocess.Popen:
        with self._lock:
            if self.over:
                raise InputError("not started: it is over")
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
                env=self._environment,
                start_new_session=True,  # Ctrl-C reaches us alone; we end them, once
            )
            self._running.add(process)
        return process


def _train(run: Run, place: Place, executions: Executions) -> str:
    """Train one run; returns its state afterwards, or ``busy`` if another queue has it.

    Raises:
        InputError: if it fails.
    """
    require_writable(run.record_path(place.runs_dir).parent)
    if _is_busy(run, place, executions):
        return "busy"
    if run.state(place.runs_dir) == "recorded" or place.too_late:
        return run.state(place.runs_dir)
    parameters = {
        "recipe": recipes.source_of(run.recipe),
        "family": run.family,
        "depth": run.depth,
        "seed": run.seed,
        **run.changes,
        "data": folders.source_of(run.recipe.data),
        "device": place.device,
        "runs_dir": Path(place.runs_dir).resolve(),
        "data_dir": Path(place.data_dir).resolve(),
        "checkpoint_seconds": place.checkpoint_seconds,
        "keep_weights": place.keep_weights,
    }
    if place.tensorboard is not None:
        parameters["tensorboard"] = Path(place.tensorboard).resolve()
    if place.deadline is not None:
        parameters["deadline"] = place.deadline
    try:
        log = place.logs / run.recipe.name / f"{run.name}.ipynb"
        executions.run("train", log, parameters)
    except InputError:
        if _is_busy(run, place, executions):  # another queue was faster by a moment
            return "busy"
        raise
    return run.state(place.runs_dir)


def _is_busy(run: Run, place: Place, executions: Executions) -> bool:
    """Whether another process trains ``run``, after waiting for it if the place says so."""
    lock = run.lock_path(place.runs_dir)
    while lock.exists():
        try:
            with FileLock(lock, timeout=1 if place.wait_for_others else 0):
                return False
        except Timeout:
            if executions.over or not place.wait_for_others:
                return True
    return False


def train_missing(runs: Iterable[Run], place: Place, say: Say) -> dict[Run, str]:
    """Train the runs that are not recorded, in their order, and say what came of each.

    Returns those that still are not, each with its state: ``busy``, ``failed``, or one of
    :meth:`~resnet_study.pipeline.run.Run.state`. One that fails does not keep the others from
    training; a signal ends all that are under way, saved.
    """
    runs = list(runs)
    where = place.runs_dir, place.data_dir, place.keep_weights
    missing = [run for run in runs if not is_recorded(run, *where)]
    say(f"training {len(missing)} of {len(runs)} runs, {place.jobs} at a time")
    clock, states = time.monotonic(), {}
    share = shared_gpu() if _several_on_a_gpu(place) and missing else nullcontext({})
    with (
        share as variables,
        ThreadPoolExecutor(place.jobs) as pool,
        Executions(variables) as executions,
    ):
        futures = {pool.submit(_train, run, place, executions): run for run in missing}
        for done, future in enumerate(as_completed(futures), start=1):
            left = (time.monotonic() - clock) / done * (len(missing) - done)
            run = futures[future]
            states[run], told = _outcome(run, place, future)
            say(
                f"  {done:2}/{len(missing)}  {run.name:22} {told:24}"
                + (f"  {_minutes(left)} to go" if done < len(missing) else "")
            )
    return {run: state for run, state in states.items() if state != "recorded"}


def _several_on_a_gpu(place: Place) -> bool:
    return place.jobs > 1 and choose_device(place.device).type == "cuda"


def _outcome(run: Run, place: Place, future: Future) -> tuple[str, str]:
    """The state of a run after its training, and what there is to say of it."""
    try:
        state = future.result()
        if state != "recorded":
            return state, state
        record = read_record(run.recorded_at(place.runs_dir))
    except InputError as error:
        return "failed", f"failed: {error}"
    if record["diverged_at"] is not None:
        return state, f"diverged by {record['diverged_at']}"
    return state, f"training error {record['final']['training_error']:5.1f} %"


def _minutes(seconds: float) -> str:
    return f"about {seconds / 60:.0f} min" if seconds >= 90 else f"about {seconds:.0f} s"
