"""Records: one training run, one small JSON file that git can diff.

A record holds the full configuration of a run, where it comes from, and its curve. It is
written in one piece and sealed with a SHA-256, so that a record cut short or changed by
hand is found out.
"""

import base64
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from resnet_study import paths
from resnet_study.errors import InputError
from resnet_study.files import write_atomically

SCHEMA = 1


class RecordError(InputError):
    """A record that is missing, cut short, altered, or of another schema."""


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


def read_record(path: Path) -> dict:
    """Read a record and check it.

    Raises:
        RecordError: names the file and what is wrong with it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise RecordError(f"record {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RecordError(f"record {path} is no text: {error}") from error
    return parse_record(text, path)


def parse_record(text: str, path: Path) -> dict:
    """The record that ``text`` holds, checked; ``path`` is named if it is damaged.

    Raises:
        RecordError: names ``path`` and what is wrong with it.
    """
    try:
        record = json.loads(text)
    except ValueError as error:
        raise RecordError(f"record {path} is cut short or no JSON: {error}") from error
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        found = record.get("schema") if isinstance(record, dict) else None
        raise RecordError(f"record {path} has schema {found!r}; accepted: {SCHEMA}")
    if record.get("sha256") != _seal(record):
        raise RecordError(f"record {path} was altered: its content does not match its sha256")
    return record


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


def find_records(runs_dir: Path | str = paths.RUNS) -> list[Path]:
    """All records below ``runs_dir``, sorted.

    Raises:
        RecordError: if there is no such folder.
    """
    if not Path(runs_dir).is_dir():
        raise RecordError(f"records folder {runs_dir} does not exist")
    return sorted(Path(runs_dir).rglob("*.json"))


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
        record = read_record(path)
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

    The fields of :class:`~resnet_study.training.Evaluation`, and what tells runs apart as in
    :func:`load_runs`.

    Raises:
        RecordError: if a record is missing or damaged.
    """
    tables = []
    for path in records:
        record = read_record(path)
        tables.append(pd.DataFrame(record["curve"]).assign(**_labels(record)))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def load_gates(records: Iterable[Path]) -> pd.DataFrame:
    """One row a gated block, before (``when`` is start) and after training (end).

    Labels and size of the run, ``position`` (1 is the block nearest the image), the columns of
    :func:`resnet_study.gate_statistics.measure_gates`, and ``carry_product``, that of the carry
    factors up to the block. A record without gates has no row: no Highway net, or it diverged.

    Raises:
        RecordError: if a record is missing or damaged.
    """
    tables = []
    for record in map(read_record, records):
        for when in ("start", "end") if "gates" in record else ():
            table = _by_block(record, when).assign(when=when)
            tables.append(table.assign(carry_product=table.carry.cumprod()))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def load_lesions(records: Iterable[Path]) -> pd.DataFrame:
    """One row a gated block that was taken out: validation errors, in percent.

    Labels and size of the run, ``position``, the columns of
    :func:`resnet_study.gate_statistics.measure_lesions`, and what the lesion costs against the
    whole net, in points: ``cost``, and ``cost_recalibrated``.

    Raises:
        RecordError: if a record is missing or damaged.
    """
    tables = []
    for record in map(read_record, records):
        if "gates" in record:
            table, whole = _by_block(record, "lesions"), record["final"]["validation_error"]
            costs = {"cost": table.error - whole, "cost_recalibrated": table.recalibrated - whole}
            # Errors after a lesion have six digits: without rounding, no cost would be exactly 0.
            tables.append(table.assign(**costs).round(dict.fromkeys(costs, 3)))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _by_block(record: dict, part: str) -> pd.DataFrame:
    """A part of a record's gates, a row a block in their order, with what tells runs apart."""
    table = pd.DataFrame(record["gates"][part])
    size = {name: record[name] for name in ("parameters", "multiply_adds", "validation_images")}
    return table.assign(position=range(1, len(table) + 1), **_labels(record), **size)
