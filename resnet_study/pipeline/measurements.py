"""Measurements: pipeline steps that look inside networks, each one sealed JSON file of tables.

Training writes records of runs; a measurement writes what only the network itself can tell, as
weights are not kept. Figure notebooks read the tables.
"""

import importlib
import itertools
import multiprocessing
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from resnet_study import paths
from resnet_study.errors import require_at_least, require_one_of
from resnet_study.files import require_writable
from resnet_study.pipeline.records import RecordError, read_record, write_record
from resnet_study.processes import end_with_parent

DIGITS = 6  # significant ones that a file keeps

MOMENTS = (0, 1, 2, 5, 10, 23, 46, 115, 230, 460)  # iterations; an epoch of digits has 23
BATCH = 256  # clean training images on which norms are measured
MULTIPLICATION = {
    "depths": [6, 18, 32, 54],  # the last three as in Yang et al., arXiv 1902.08129
    "width": 256,
    "inputs": 64,
    "images": 256,
    "classes": 10,
    "draws": 10,
}
BALANCE = {  # as registered, see book/registration.md; nets as wide as those of the digits
    "depth": 34,
    "width": 16,
    "draws": 20,
    "images": 64,
    "size": 32,
    "classes": 10,
}

Tables = dict[str, pd.DataFrame]  # tables of a measurement by name


@dataclass(frozen=True)
class Measurement:
    """A step: its settings, and the module whose ``measure`` they are given to."""

    name: str
    question: str
    settings: dict
    module: str

    def path(self, folder: Path | str = paths.MEASUREMENTS) -> Path:
        """Where to read it: in ``folder``, or among the study's own measurements."""
        return paths.find(Path(folder) / f"{self.name}.json")

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
        import torch  # which takes a second, and who lists measurements needs none

        from resnet_study.pipeline import provenance

        require_writable(Path(folder))
        torch.set_num_threads(1)
        device = torch.device("cpu")
        clock = time.perf_counter()
        origin = provenance.describe(device)
        study = importlib.import_module(f"resnet_study.{self.module}")
        tables: Tables = study.measure(**self.settings)
        content = {
            "measurement": self.name,
            "settings": self.settings,
            "provenance": origin,
            "seconds": round(time.perf_counter() - clock, 2),
            "peak_memory": provenance.peak_memory(device),
            "tables": {name: _columns(table) for name, table in tables.items()},
        }
        path = Path(folder) / f"{self.name}.json"
        write_record(path, content)
        return path

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


def anatomy_settings(
    family: str, depth: int, seed: int, normalisation: str = "batch"
) -> dict[str, object]:
    """What ``anatomy.measure`` is given for a run of the digits recipe."""
    return {
        "recipe": "digits",
        "family": family,
        "depth": depth,
        "seed": seed,
        "normalisation": normalisation,
        "moments": list(MOMENTS),
        "batch": BATCH,
    }


def landscape_settings(family: str, depth: int, seed: int) -> dict[str, object]:
    """What ``landscapes.measure`` is given: 25×25 points, as far as the weights are long."""
    return {
        "recipe": "digits",
        "family": family,
        "depth": depth,
        "seed": seed,
        "points": 25,
        "reach": 1.0,
        "directions": 0,
    }


def _anatomies() -> Iterator[Measurement]:
    """Plain and residual nets with batch normalisation, and shallower ones without."""
    for normalisation, depths in {"batch": (18, 34, 56), "none": (18, 34)}.items():
        for depth, family, seed in itertools.product(depths, ("plain", "residual"), range(3)):
            change = "" if normalisation == "batch" else f"-normalisation-{normalisation}"
            yield Measurement(
                name=f"anatomy-{family}-{depth}{change}-seed-{seed}",
                question=f"What goes on in {family}-{depth} while it trains? (C2, C3)",
                settings=anatomy_settings(family, depth, seed, normalisation),
                module="pipeline.anatomy",
            )


# All measurements by name, in the order in which ``resnet-study measure`` makes them.
MEASUREMENTS = {
    measurement.name: measurement
    for measurement in (
        Measurement(
            name="multiplication",
            question="Do gradients vanish or explode when layers multiply? (C2)",
            settings=MULTIPLICATION,
            module="pipeline.multiplication",
        ),
        Measurement(
            name="balance",
            question="Do shortcuts keep gradients in balance, before any training? (C3)",
            settings=BALANCE,
            module="pipeline.balance",
        ),
        Measurement(
            name="rules",
            question="How often do our rules decide where there is nothing to decide?",
            settings={"draws": 10_000, "seeds": [3, 4, 5, 6, 10]},
            module="questions.simulation",
        ),
        *_anatomies(),
        *(
            Measurement(
                name=f"relief-{family}-34-seed-0",
                question=f"What is the loss like around {family}-34? (C3)",
                settings=landscape_settings(family, 34, seed=0),
                module="pipeline.landscapes",
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
    count = min(jobs, len(missing) or 1)
    with ProcessPoolExecutor(count, context, initializer=end_with_parent) as pool:
        done = [pool.submit(_record, name) for name in missing]
        yield from (future.result() for future in as_completed(done))


def _record(name: str) -> Path:
    return get_measurement(name).record()
