"""Results of ``benchmarks/training_loop.py``: how fast three training loops are on a device.

One JSON file a device, recipe and precision, sealed like a record.
"""

import re
from pathlib import Path
from statistics import median

import pandas as pd

from resnet_study import paths
from resnet_study.pipeline.records import find_sealed, read_record

LOOPS = {"stock": "(a) stock", "resident": "(b) stock, data resident", "ours": "(c) ours"}


def result_path(folder: Path | str, device: str, recipe: str, precision: str) -> Path:
    """Where the result of ``recipe`` in ``precision`` on the device of that name belongs."""
    name = re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-")
    return Path(folder) / f"{name}-{recipe}-{precision}.json"


def find_results(folder: Path | str = paths.BENCHMARKS) -> list[Path]:
    """All results in ``folder``, sorted; none if there is no such folder."""
    return find_sealed(folder) if Path(folder).is_dir() else []


def load_speeds(path: Path) -> pd.DataFrame:
    """One row a network and loop of a result.

    ``images_per_second`` is the median over rounds, ``lowest`` and ``highest`` are its spread;
    ``floor_fraction`` is the least possible time of a step over the measured one (``step_ms``);
    ``peak_memory_bytes`` is NaN on a CPU.

    Raises:
        RecordError: names the file and what is wrong with it.
    """
    result = read_record(path, "benchmark")
    rows = []
    for network in result["networks"]:
        for loop, measured in network["loops"].items():
            speeds = measured["images_per_second"]
            step_ms = 1000 * result["batch"] / median(speeds)
            rows.append(
                {
                    "family": network["family"],
                    "depth": network["depth"],
                    "loop": loop,
                    "images_per_second": median(speeds),
                    "lowest": min(speeds),
                    "highest": max(speeds),
                    "step_ms": step_ms,
                    "floor_fraction": network["floor_ms"] / step_ms,
                    "peak_memory_bytes": measured["peak_memory_bytes"],
                }
            )
    return pd.DataFrame(rows).astype({"peak_memory_bytes": float})


def title(result: dict) -> str:
    """What a result is of, in words, such as ``digits in float32 on NVIDIA H200``."""
    device = result["provenance"]["device"]["name"]
    return f"{result['recipe']} in {result['precision']} on {device}"


def _plain(text: str) -> str:
    """``text`` in Markdown, where every character stands for itself; a device calls itself so."""
    return re.sub(r"([!-,./:-@\[-`{-~])", r"\\\1", text)


def coverage(results: list[Path]) -> str:
    """What has been measured, in Markdown, and the command for a GPU if none has."""
    read = [read_record(path, "benchmark") for path in results]
    text = f"Measured: {'; '.join(_plain(title(result)) for result in read) or 'nothing yet'}."
    if any(result["provenance"]["device"]["type"] == "cuda" for result in read):
        return text
    return (
        f"{text} **No GPU has been measured yet.** On a machine with one, this does it: "
        "`python benchmarks/training_loop.py --device cuda --recipe tiny-imagenet "
        "--data-dir FOLDER`, where FOLDER holds `tiny-imagenet-200`; with `--precision bfloat16` "
        "in mixed precision."
    )
