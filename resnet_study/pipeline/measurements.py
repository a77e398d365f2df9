"""Measurements: pipeline steps that look inside networks, each one sealed JSON file of tables.

Training writes records of runs; a measurement writes what only the network itself can tell, as
weights are not kept. Figure notebooks read the tables.
"""

import itertools
import multiprocessing
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch

from resnet_study import paths
from resnet_study.errors import require_at_least, require_one_of
from resnet_study.files import require_writable
from resnet_study.pipeline import anatomy, landscapes, multiplication, provenance
from resnet_study.pipeline.records import RecordError, read_record, write_record

DIGITS = 6  # significant ones that a file keeps

Tables = dict[str, pd.DataFrame]  # tables of a measurement by name


@dataclass(frozen=True)
class Measurement:
    """A step: its settings, and what they are given to. ``measure`` returns tables by name."""

    name: str
    question: str
    settings: dict
    measure: Callable[..., Tables]

    def path(self, folder: Path | str = paths.MEASUREMENTS) -> Path:
        """Where its file lies, or will lie."""
        return Path(folder) / f"{self.name}.json"

    def state(self, folder: Path | str = paths.MEASUREMENTS) -> str:
        """``recorded``, ``missing``, or ``stale``: recorded with other settings.

        Raises:
            RecordError: if the file is damaged.
        """
        path = self.path(folder)
        if not path.exists():
            return "missing"
        settings = read_record(path, "measurement")["settings"]
        return "recorded" if settings == self.settings else "stale"

    def record(self, folder: Path | str = paths.MEASUREMENTS) -> Path:
        """Measure, on the CPU and one thread, and write the file; returns its path.

        Raises:
            InputError: if ``folder`` cannot be written.
        """
        require_writable(Path(folder))
        torch.set_num_threads(1)
        device = torch.device("cpu")
        clock = time.perf_counter()
        origin = provenance.describe(device)
        tables = self.measure(**self.settings)
        content = {
            "measurement": self.name,
            "settings": self.settings,
            "provenance": origin,
            "seconds": round(time.perf_counter() - clock, 2),
            "peak_memory": provenance.peak_memory(device),
            "tables": {name: _columns(table) for name, table in tables.items()},
        }
        write_record(self.path(folder), content)
        return self.path(folder)

    def tables(self, folder: Path | str = paths.MEASUREMENTS) -> Tables:
        """The recorded tables by name.

        Raises:
            RecordError: if they are missing, damaged, or of other settings.
        """
        state = self.state(folder)
        if state != "recorded":
            raise RecordError(
                f"measurement {self.name} in {folder} is {state}; "
                f"accepted: after resnet-study measure {self.name}"
            )
        found = read_record(self.path(folder), "measurement")["tables"]
        return {name: pd.DataFrame(columns) for name, columns in found.items()}


def _columns(table: pd.DataFrame) -> dict[str, list]:
    """A table as JSON has it: no NaN and no infinity, floats with ``DIGITS`` significant digits."""

    def plain(value: object) -> object:
        if isinstance(value, float):
            return float(f"{value:.{DIGITS}g}") if abs(value) < float("inf") else None
        return value

    return {name: [plain(value) for value in table[name].tolist()] for name in table}


def _anatomies() -> Iterator[Measurement]:
    """Plain and residual nets with batch normalisation, and shallower ones without."""
    for normalisation, depths in {"batch": (18, 34, 56), "none": (18, 34)}.items():
        for depth, family, seed in itertools.product(depths, ("plain", "residual"), range(3)):
            change = "" if normalisation == "batch" else f"-normalisation-{normalisation}"
            yield Measurement(
                name=f"anatomy-{family}-{depth}{change}-seed-{seed}",
                question=f"What goes on in {family}-{depth} while it trains? (C2, C3)",
                settings=anatomy.settings(family, depth, seed, normalisation),
                measure=anatomy.measure,
            )


# All measurements by name, in the order in which ``resnet-study measure`` makes them.
MEASUREMENTS = {
    measurement.name: measurement
    for measurement in (
        Measurement(
            name="multiplication",
            question="Do gradients vanish or explode when layers multiply? (C2)",
            settings=multiplication.SETTINGS,
            measure=multiplication.measure,
        ),
        *_anatomies(),
        *(
            Measurement(
                name=f"relief-{family}-34-seed-0",
                question=f"What is the loss like around {family}-34? (C3)",
                settings=landscapes.settings(family, 34, seed=0),
                measure=landscapes.measure,
            )
            for family in ("plain", "residual")
        ),
    )
}


def get_measurement(name: str) -> Measurement:
    """The measurement called ``name``, a key of ``MEASUREMENTS``.

    Raises:
        InputError: for an unknown name.
    """
    require_one_of("measurement", name, MEASUREMENTS)
    return MEASUREMENTS[name]


def record_missing(names: Iterable[str], jobs: int, overwrite: bool = False) -> Iterator[Path]:
    """Record those that are not, ``jobs`` processes at a time; yields each path when it is done.

    Raises:
        InputError: for an unknown name, a damaged file, or a folder that cannot be written.
    """
    require_at_least("jobs", jobs, 1)
    chosen = [get_measurement(name) for name in names]
    missing = [m.name for m in chosen if overwrite or m.state() != "recorded"]
    # Forked processes would share torch's threads.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(jobs, len(missing) or 1), mp_context=context) as pool:
        done = [pool.submit(_record, name) for name in missing]
        yield from (future.result() for future in as_completed(done))


def _record(name: str) -> Path:
    return get_measurement(name).record()
