"""Whether sealed files are what the study writes: their seals, their content, their place.

A seal tells that nothing changed since; anyone can make one. What is asked here is more: whether
a run of ours can have left such a record, and whether it lies where that run belongs.
"""

import base64
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from resnet_study import paths
from resnet_study.pipeline import schemas
from resnet_study.pipeline.benchmarks import result_path
from resnet_study.pipeline.records import (
    RecordError,
    are_weights_of,
    find_sealed,
    read_record,
    weights_path,
)
from resnet_study.pipeline.run import Run, run_from_config
from resnet_study.training.recipes import RECIPES


def everything(runs_dir: Path | str) -> list[Path]:
    """The folder of records, and what else is sealed in this checkout, if it is there."""
    others = (paths.PILOTS, paths.WEIGHTS, paths.MEASUREMENTS, paths.BENCHMARKS, paths.EXECUTIONS)
    return [Path(runs_dir), *(path for path in others if path.exists())]


def verify(places: Iterable[Path], runs_dir: Path | str) -> tuple[int, list[str]]:
    """How many sealed files there are in files and folders, and all that is wrong with them.

    Raises:
        RecordError: for a place that does not exist or cannot be read.
    """
    files = sorted({path for place in places for path in files_in(Path(place))})
    return len(files), [fault for path in files for fault in file_faults(path, runs_dir)]


def files_in(path: Path) -> list[Path]:
    """The sealed files below a folder, or the one that ``path`` is.

    Raises:
        RecordError: if there is none of that name, or a folder that cannot be read.
    """
    if path.is_dir():
        return find_sealed(path)
    if not path.exists():
        raise RecordError(f"{path} does not exist; accepted: records, and folders of them")
    return [path]


def file_faults(path: Path, runs_dir: Path | str) -> Iterator[str]:
    """What is wrong with a sealed file, one line each; ``runs_dir`` is the folder of records."""
    try:
        content = read_record(path)
    except RecordError as error:
        yield str(error)
        return
    kind = schemas.kind_of(content)
    if kind is None:
        found = [f"it is none of {', '.join(schemas.KINDS.values())}"]
    elif kind == "run":
        found = run_faults(content, _name(path.absolute(), Path(runs_dir).absolute()))
        kept = weights_path(path)
        if "weights" in content and kept.is_file() and not are_weights_of(kept, content):
            yield f"{kept} has other weights than those of its record"
    else:
        found = _other_faults(content, kind, path)
    for fault in found:
        yield str(RecordError(f"record {path} has a fault: {fault}"))


def _name(path: Path, runs_dir: Path) -> str:
    """The name of a record below the folder of records; outside, that of its folder and its own."""
    inside = path.is_relative_to(runs_dir)
    return (path.relative_to(runs_dir) if inside else Path(*path.parts[-2:])).as_posix()


def require_sound(record: dict, name: str, what: str) -> None:
    """Raise :class:`RecordError` unless a run of ours can have left ``record`` as ``name``.

    ``name`` is that below the folder of records; ``what`` is how the error calls the record.
    """
    for fault in run_faults(record, name):
        raise RecordError(f"{what} has a fault: {fault}")


def run_faults(record: dict, name: str) -> Iterator[str]:
    """What no record of a run of ours has that lies as ``name`` below its folder; one line each."""
    wrong = list(schemas.faults(record, "run"))
    yield from wrong
    if wrong:
        return  # the rest needs its fields and their types
    run = run_from_config(record["config"])
    if run is None:
        yield "config is of no run of today"
        return
    belongs = run.record_path("").as_posix()
    if run.recipe.name not in RECIPES:  # of a file, which alone tells what departs from it
        first, last = f"{run.recipe.name}/{run.family}-{run.depth}", f"-seed-{run.seed}.json"
        in_place = re.fullmatch(rf"{re.escape(first)}(-[\w.-]+)?{re.escape(last)}", name)
    else:
        in_place = name == belongs
    if not in_place:
        yield f"it is of a run that belongs at {schemas.short(belongs)}, not {schemas.short(name)}"
    yield from _curve_faults(run, record)
    yield from _end_faults(run, record)


def _curve_faults(run: Run, record: dict) -> Iterator[str]:
    """Whether the curve has an entry an epoch, and the errors at its end are the final ones."""
    curve, diverged = record["curve"], record["diverged_at"]
    if not curve:
        return
    epochs, iterations = len(curve["epoch"]), curve["iteration"]
    if diverged is None and epochs != run.recipe.epochs:
        yield f"curve has {epochs} epochs; accepted: the {run.recipe.epochs} of the recipe"
    if epochs > run.recipe.epochs:
        yield f"curve has {epochs} epochs of the recipe's {run.recipe.epochs}"
    if curve["epoch"] != list(range(1, epochs + 1)):
        yield "curve.epoch does not count from 1"
    if iterations != [iterations[0] * epoch for epoch in range(1, epochs + 1)]:
        yield "curve.iteration has epochs of different lengths"
    if diverged is not None and diverged <= iterations[-1]:
        yield "diverged_at is before the end of the curve"
    for name in ("training_error", "validation_error"):
        if diverged is None and record["final"][name] != curve[name][-1]:
            yield f"final.{name} is not the last of the curve"


def _end_faults(run: Run, record: dict) -> Iterator[str]:
    """Whether what is measured at the end is there for this run, and for all images and blocks."""
    if ("ten_crop_error" in record["final"]) != run.recipe.ten_crop:
        yield "final.ten_crop_error and the recipe's ten_crop do not go together"
    if "gates" in record:
        parts = record["gates"].values()
        if run.gates is None:
            yield f"gates have no place in a {run.family} net's record"
        elif any(part["block"] != record["gates"]["start"]["block"] for part in parts):
            yield "gates are of different blocks at the start, at the end, and in the lesions"
    text = record.get("wrong_images")
    if "wrong_images" in record and (text is None) != (record["diverged_at"] is not None):
        yield "wrong_images and diverged_at do not go together"
    if text is not None and not _is_packed(base64.b64decode(text), record["validation_images"]):
        yield f"wrong_images is not one bit for each of {record['validation_images']} images"


def _is_packed(content: bytes, bits: int) -> bool:
    """Whether ``content`` is as long as so many bits, and zero beyond them."""
    beyond = -bits % 8
    return len(content) == (bits + beyond) // 8 and not content[-1] & (1 << beyond) - 1


def _other_faults(content: dict, kind: str, path: Path) -> Iterator[str]:
    """What is wrong with a measurement, a benchmark or the log of executions."""
    wrong = list(schemas.faults(content, kind))
    yield from wrong
    if wrong:
        return
    if kind == "measurement" and path.stem != content["measurement"]:
        yield f"it is measurement {content['measurement']}, whose file has that name"
    if kind == "benchmark":
        device = content["provenance"]["device"]["name"]
        belongs = result_path(path.parent, device, content["recipe"], content["precision"])
        if path != belongs:
            yield f"it is a result that belongs at {belongs.name}"
