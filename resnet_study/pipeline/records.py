"""Records: one training run, one small JSON file that git can diff.

A record holds the full configuration of a run, where it comes from, and its curve. It is
written in one piece and sealed with a SHA-256, so that a record cut short or changed by
hand is found out.
"""

import base64
import hashlib
import json
import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from resnet_study import paths
from resnet_study.errors import InputError, one_line
from resnet_study.files import write_atomically
from resnet_study.pipeline import schemas

SCHEMA = 1
_SOUND: set[tuple[str, str]] = set()  # kind and seal of what was checked already


class RecordError(InputError):
    """A record that is missing, cut short, altered, of another schema, or in another's place.

    One line, whatever the name of the file.
    """

    def __init__(self, message: str):
        super().__init__(one_line(message))


def _seal(record: dict) -> str:
    """SHA-256 of a record's content, whatever its layout."""
    content = {key: value for key, value in record.items() if key != "sha256"}
    text = json.dumps(content, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def write_record(path: Path, content: dict) -> None:
    """Seal ``content`` and write it to ``path``, all of it or nothing."""
    record = {"schema": SCHEMA, **content}
    record["sha256"] = _seal(record)
    text = json.dumps(record, indent=1, allow_nan=False) + "\n"
    write_atomically(path, text.encode())


def read_record(path: Path, kind: str | None = None) -> dict:
    """Read a record and check it.

    Args:
        path: the file.
        kind: what it has to be, one of those in :mod:`resnet_study.pipeline.schemas`; fields that
            those do not know may be a newer version's. Any sealed file will do if None.

    Raises:
        RecordError: names the file and what is wrong with it.
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_file():
            raise RecordError(f"record {path} is no file")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise RecordError(f"record {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RecordError(f"record {path} is no text: {error}") from error
    record = parse_record(text, path)
    if kind is not None and (kind, record["sha256"]) not in _SOUND:
        for fault in schemas.faults(record, kind, unknown=False):
            raise RecordError(f"record {path} has a fault: {fault}")
        _SOUND.add((kind, record["sha256"]))
    return record


def parse_record(text: str, path: Path) -> dict:
    """The record that ``text`` holds, checked against its seal; ``path`` is named if it is damaged.

    Raises:
        RecordError: names ``path`` and what is wrong with it.
    """
    try:
        record = json.loads(
            text,
            parse_float=_finite,
            parse_constant=_finite,
            object_pairs_hook=_without_duplicates,
        )
        if not isinstance(record, dict) or record.get("schema") != SCHEMA:
            found = schemas.short(record.get("schema") if isinstance(record, dict) else None)
            raise RecordError(f"record {path} has schema {found}; accepted: {SCHEMA}")
        seal = _seal(record)
    except RecordError:
        raise
    except RecursionError as error:
        raise RecordError(f"record {path} is nested too deeply for a record") from error
    except ValueError as error:
        raise RecordError(f"record {path} is cut short or no JSON: {error}") from error
    if record.get("sha256") != seal:
        raise RecordError(f"record {path} was altered: its content does not match its sha256")
    return record


def _finite(text: str) -> float:
    """The number that ``text`` is; neither NaN nor infinite, as 1e7105 would be."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{schemas.short(text)} is no finite number")
    return number


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict:
    """An object of JSON, none of whose keys stands there twice."""
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError("a key stands there twice")
    return content


def pack_bits(bits: Iterable[bool]) -> str:
    """``bits`` as base64 of eight to a byte, the first in a byte's highest place."""
    return base64.b64encode(np.packbits(np.fromiter(bits, dtype=bool)).tobytes()).decode()


def unpack_bits(text: str, count: int) -> np.ndarray:
    """The first ``count`` of the bits that :func:`pack_bits` packed: bool (count)."""
    packed = np.frombuffer(base64.b64decode(text), dtype=np.uint8)
    return np.unpackbits(packed, count=count).astype(bool)


def wrong_images(record: dict) -> np.ndarray | None:
    """Which validation images the trained net got wrong: bool (N), in the order of the set.

    None for a run that diverged, and for a record from before they were kept.
    """
    text = record.get("wrong_images")
    return None if text is None else unpack_bits(text, record["validation_images"])


def find_sealed(folder: Path | str) -> list[Path]:
    """All files below ``folder`` that are named as sealed ones are, sorted.

    Hidden ones are left out, and all in hidden folders: copies and locks that editors make.

    Raises:
        RecordError: if there is no such folder, or one in it cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise RecordError(f"records folder {error.filename} cannot be read: {error.strerror}")

    if not Path(folder).is_dir():
        raise RecordError(f"records folder {folder} does not exist")
    found = []
    for place, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = _visible(folders)
        named = [name for name in (*folders, *_visible(names)) if name.endswith(".json")]
        found += [Path(place) / name for name in named]
    return sorted(found)


def _visible(names: Iterable[str]) -> Iterator[str]:
    return (name for name in names if not name.startswith("."))


def weights_path(record: Path) -> Path:
    """Where the weights of a record lie, if they were kept."""
    return Path(record).with_suffix(".safetensors")


def are_weights_of(path: Path, record: dict) -> bool:
    """Whether the file at ``path`` is the one whose SHA-256 ``record`` has."""
    return hashlib.sha256(path.read_bytes()).hexdigest() == record["weights"]["sha256"]


def find_records(runs_dir: Path | str = paths.RUNS) -> list[Path]:
    """All records below ``runs_dir``, sorted, of each run one; see :func:`find_sealed`.

    Raises:
        RecordError: if there is no such folder, or a copy in it that would count twice.
    """
    found, of_run = find_sealed(runs_dir), {}
    for path in found:
        config = _config(path)
        if config is None:
            continue  # whoever reads it is told what is wrong
        first = of_run.setdefault(json.dumps(config, sort_keys=True), path)
        if first != path:
            raise RecordError(f"records {first} and {path} are of one run; move or delete one")
        if not _may_lie_at(path, config):
            raise RecordError(
                f"record {path} does not lie where its run belongs; move or delete it"
            )
    return found


def all_records(runs_dir: Path) -> list[Path]:
    """Those of :func:`find_records`, and the study's own, each unless the workspace has it anew.

    Raises:
        RecordError: as :func:`find_records` does.
    """
    folders = [folder for folder in (paths.in_study(runs_dir), runs_dir) if folder.is_dir()]
    found = {
        path.relative_to(folder): path
        for folder in folders or [runs_dir]
        for path in find_records(folder)
    }
    return sorted(found.values())


def _config(path: Path) -> dict | None:
    """The configuration in a record of a run; None for a damaged file, or one of another kind."""
    try:
        return read_record(path, "run")["config"]
    except RecordError:
        return None


def _may_lie_at(path: Path, config: dict) -> bool:
    """Whether ``path`` is that of such a run, whatever else changed in its recipe since."""
    return (
        path.absolute().parent.name == config["recipe"]["name"]
        and path.name.startswith(f"{config['family']}-{config['depth']}-")
        and path.name.endswith(f"-seed-{config['seed']}.json")
    )
