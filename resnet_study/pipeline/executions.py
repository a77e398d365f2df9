"""How long the committed notebooks took to execute, when, and with what: one sealed file.

The notebooks themselves are kept free of times and versions, so that they stay the same.
"""

import platform
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import torch

from resnet_study import paths
from resnet_study.pipeline.provenance import PACKAGES, device_name
from resnet_study.pipeline.records import read_record, write_record

DRAWING = ("altair", "ipykernel", "matplotlib", "pandas", "papermill", "scipy", "seaborn")


def log_execution(notebook: Path, seconds: float, log: Path) -> None:
    """Note in the file ``log`` that ``notebook`` was executed just now, and took ``seconds``.

    Notebooks that are there no more are dropped from it.

    Raises:
        RecordError: if the file is damaged.
        InputError: if it cannot be written.
    """
    notebook = Path(notebook)
    known = load_executions(log) if Path(log).exists() else {}
    known[notebook.stem] = {
        "seconds": round(seconds, 1),
        "date": datetime.now(UTC).date().isoformat(),
        "processor": device_name(torch.device("cpu")),
        "python": platform.python_version(),
        "packages": {
            name: metadata.version(name) for name in (*PACKAGES, *DRAWING) if _there(name)
        },
    }
    kept = {
        name: known[name] for name in sorted(known) if notebook.with_name(f"{name}.ipynb").exists()
    }
    write_record(Path(log), {"executions": kept})


def _there(package: str) -> bool:
    """Whether it is installed; what draws only some of the figures may not be."""
    return any(metadata.distributions(name=package))


def load_executions(log: Path = paths.EXECUTIONS) -> dict[str, dict]:
    """Seconds, date, processor and versions by the names of the notebooks.

    Raises:
        RecordError: if the file is missing or damaged.
    """
    return read_record(Path(log), "executions")["executions"]
