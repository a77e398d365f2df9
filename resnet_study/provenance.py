"""Where a result comes from: commit, code, packages, machine."""

import hashlib
import platform
import resource
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import torch

from resnet_study import paths
from resnet_study.distributed import processes

PACKAGES = ("torch", "torchvision", "numpy", "scikit-learn")  # those that can move a curve
TRAINING_CODE = (
    "augmentation",
    "blocks",
    "containment",
    "data",
    "diagnostics/inspection",
    "diagnostics/lesions",
    "distributed",
    "graphs",
    "imagenet",
    "gate_statistics",
    "highway",
    "matching",
    "models",
    "recipes",
    "runs",
    "tiny_imagenet",
    "training",
)


def _git(*arguments: str) -> str | None:
    """Output of a git command in the checkout, or None where there is none."""
    command = ["git", "-C", str(paths.ROOT), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def commit() -> str | None:
    """The checkout's commit; ``+modified`` is added where the library differs from it."""
    name = _git("rev-parse", "HEAD")
    if name and _git("status", "--porcelain", "--", "resnet_study"):
        return f"{name}+modified"
    return name


def code_fingerprint() -> str:
    """SHA-256 of the source of the modules that decide a curve."""
    digest = hashlib.sha256()
    for name in TRAINING_CODE:
        digest.update((Path(__file__).parent / f"{name}.py").read_bytes())
    return digest.hexdigest()


def device_name(device: torch.device) -> str:
    """The processor's or the GPU's own name."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def describe_device(device: torch.device) -> dict:
    """Type and name; of a CPU also the instructions torch uses, which decide how sums round."""
    found = {"type": device.type, "name": device_name(device)}
    if device.type == "cpu":
        found["instructions"] = torch.backends.cpu.get_cpu_capability()
    return found


def peak_memory(device: torch.device) -> int:
    """Most bytes so far: allocated on a GPU, or of this process with all its libraries on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024  # in which getrusage counts
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def describe(device: torch.device) -> dict:
    """Provenance of a run that starts now on ``device``."""
    return {
        "commit": commit(),
        "code": code_fingerprint(),
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "device": describe_device(device),
        "threads": torch.get_num_threads(),
        "processes": processes(),
    }
