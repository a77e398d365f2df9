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
import pandas as pd

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


def _labels(record: dict) -> dict:
    """What tells runs apart; a net without gates has none, whichever its age."""
    config = record["config"]
    gates = config.get("gates") or dict.fromkeys(("kernel", "bias"))
    if config.get("gates"):
        gates = {"layers": 1, **gates}
    return {
        "recipe": config["recipe"]["name"],
        **{key: config[key] for key in ("family", "depth", "shortcut", "seed")},
        **{key: config["recipe"][key] for key in ("rate", "epochs", "width")},
        "fraction": config["recipe"].get("fraction", 1.0),
        "own_subset": config["recipe"].get("own_subset", False),
        "match": config.get("match"),
        "start": config.get("start", "drawn"),
        "normalisation": config.get("normalisation", "batch"),
        **{f"gate_{name}": value for name, value in gates.items()},
    }


def load_runs(records: Iterable[Path]) -> pd.DataFrame:
    """One row a run: labels, final errors, cost and provenance.

    - What tells runs apart: ``recipe``, ``family``, ``depth``, ``shortcut``, ``seed``, ``rate``,
      ``epochs``, ``width``, ``fraction``, ``own_subset``, ``match``, ``start``, ``normalisation``,
      and the gates of a Highway net, ``gate_kernel``, ``gate_bias``, ``gate_form``,
      ``gate_reshaping``, ``gate_normalised``, ``gate_relu`` and ``gate_layers``.
    - ``diverged``, and errors at the last epoch in percent, none for a run that diverged:
      ``training_error``, ``clean_training_error``, ``validation_error``, and ``ten_crop_error``
      where the recipe says so.
    - ``parameters``; ``multiply_adds``, for one image; ``seconds``; ``images_per_second``;
      ``peak_memory``, in bytes, none in older records.
    - ``device``, ``torch``, ``commit``, ``data_fingerprint``, ``sha256``, ``path``.

    Raises:
        RecordError: if a record is missing or damaged.
    """
    rows = []
    for path in records:
        record = read_record(path, "run")
        provenance = record["provenance"]
        rows.append(
            {
                **_labels(record),
                "diverged": record["diverged_at"] is not None,
                **record["final"],
                "parameters": record["parameters"],
                "multiply_adds": record["multiply_adds"],
                "seconds": record["seconds"],
                "images_per_second": record["images_per_second"],
                "peak_memory": record.get("peak_memory"),  # a record may be older
                "device": provenance["device"]["name"],
                "torch": provenance["packages"]["torch"],
                "commit": provenance["commit"],
                "data_fingerprint": provenance["data"],
                "sha256": record["sha256"],
                "path": str(path),
            }
        )
    return pd.DataFrame(rows)


def load_curves(records: Iterable[Path]) -> pd.DataFrame:
    """One row an evaluation, at the end of an epoch.

    The fields of :class:`~resnet_study.training.loop.Evaluation`, and what tells runs apart as in
    :func:`load_runs`.

    Raises:
        RecordError: if a record is missing or damaged.
    """
    tables = []
    for path in records:
        record = read_record(path, "run")
        tables.append(pd.DataFrame(record["curve"]).assign(**_labels(record)))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def load_gates(records: Iterable[Path]) -> pd.DataFrame:
    """One row a gated block, before (``when`` is start) and after training (end).

    Labels and size of the run, ``position`` (1 is the block nearest the image), the columns of
    :func:`resnet_study.diagnostics.gates.measure_gates`, and ``carry_product``, that of the carry
    factors up to the block. A record without gates has no row: no Highway net, or it diverged.

    Raises:
        RecordError: if a record is missing or damaged.
    """
    tables = []
    for record in _read_runs(records):
        for when in ("start", "end") if "gates" in record else ():
            table = _by_block(record, when).assign(when=when)
            tables.append(table.assign(carry_product=table.carry.cumprod()))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def load_lesions(records: Iterable[Path]) -> pd.DataFrame:
    """One row a gated block that was taken out: validation errors, in percent.

    Labels and size of the run, ``position``, the columns of
    :func:`resnet_study.diagnostics.gates.measure_lesions`, and what the lesion costs against the
    whole net, in points: ``cost``, and ``cost_recalibrated``.

    Raises:
        RecordError: if a record is missing or damaged.
    """
    tables = []
    for record in _read_runs(records):
        if "gates" in record:
            table, whole = _by_block(record, "lesions"), record["final"]["validation_error"]
            costs = {"cost": table.error - whole, "cost_recalibrated": table.recalibrated - whole}
            # Errors after a lesion have six digits: without rounding, no cost would be exactly 0.
            tables.append(table.assign(**costs).round(dict.fromkeys(costs, 3)))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _read_runs(records: Iterable[Path]) -> Iterator[dict]:
    return (read_record(path, "run") for path in records)


def _by_block(record: dict, part: str) -> pd.DataFrame:
    """A part of a record's gates, a row a block in their order, with what tells runs apart."""
    table = pd.DataFrame(record["gates"][part])
    size = {name: record[name] for name in ("parameters", "multiply_adds", "validation_images")}
    return table.assign(position=range(1, len(table) + 1), **_labels(record), **size)
