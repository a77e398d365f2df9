"""Records as tables of pandas: runs, curves, gates and lesions."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pandas as pd

from resnet_study.pipeline.records import read_record
from resnet_study.settings import settings
from resnet_study.training.recipes import Recipe


def _labels(record: dict) -> dict:
    """What tells runs apart; a net without gates has none, whichever its age."""
    config = record["config"]
    gates = config.get("gates") or dict.fromkeys(("kernel", "bias"))
    if config.get("gates"):
        gates = {"layers": 1, **gates}
    recipe = config["recipe"]
    return {
        "recipe": recipe["name"],
        **{key: config[key] for key in ("family", "depth", "shortcut", "seed")},
        # A record may be older than a setting, which then was not used.
        **{
            each.name: recipe.get(each.name, each.default)
            for each in settings(Recipe)
            if each.kind is not tuple
        },
        "match": config.get("match"),
        "start": config.get("start", "drawn"),
        "normalisation": config.get("normalisation", "batch"),
        **{f"gate_{name}": value for name, value in gates.items()},
    }


def load_runs(records: Iterable[Path]) -> pd.DataFrame:
    """One row a run: labels, final errors, cost and provenance.

    - What tells runs apart: ``recipe``, ``family``, ``depth``, ``shortcut``, ``seed``, the
      settings of :class:`~resnet_study.training.recipes.Recipe` that are one value, ``match``,
      ``start``, ``normalisation``, and the gates of a Highway net, as ``gate_kernel``.
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
