"""Where a result comes from: commit, code, packages, machine."""

import hashlib
import os
import platform
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import torch

from resnet_study import paths
from resnet_study.data.pictures import jpeg_decoder
from resnet_study.errors import InputError
from resnet_study.processes import processes

# Those that can move a curve.
PACKAGES = ("torch", "torchvision", "numpy", "scikit-learn", "pillow")
COMMIT = "RESNET_STUDY_COMMIT"  # environment variable: the commit of a copy that has no git
TRAINING_CODE = (
    "models/*.py",
    "models/families/*.py",
    "data/*.py",
    "training/*.py",
    "diagnostics/*.py",
    "pipeline/run.py",
    "pipeline/perform.py",
)


def _git(*arguments: str) -> str | None:
    """Output of a git command in the checkout, or None where there is none.

    Neither the environment (``GIT_DIR``, …) nor a user's settings redirect it, and the checkout
    may belong to another user: who runs its code can as well read its history.
    """
    top = str(paths.PACKAGE.parent)
    settings = {"safe.directory": top, "core.fsmonitor": "false"}
    command = ["git", "-C", top]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    own |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}
    try:
        done = subprocess.run(
            [*command, *arguments], capture_output=True, text=True, check=True, env=own
        )
    except (OSError, subprocess.CalledProcessError, UnicodeDecodeError):
        return None
    return done.stdout.strip()


def _is_own_checkout() -> bool:
    """Whether git knows this very folder, and not a repository that happens to lie around it."""
    top = _git("rev-parse", "--show-toplevel")
    if not top or Path(top).resolve() != paths.PACKAGE.parent:
        return False
    own = f"{paths.PACKAGE.name}/paths.py"
    return _git("ls-files", "--error-unmatch", "--", own) is not None


def commit() -> str | None:
    """The checkout's commit; ``+modified`` is added where the library differs from it.

    Where there is no checkout, what the environment variable ``RESNET_STUDY_COMMIT`` says; else
    None.

    Raises:
        InputError: for a variable that names no commit.
    """
    if _is_own_checkout():
        name = _git("rev-parse", "HEAD")
        modified = _git("status", "--porcelain", "--", "resnet_study") != ""
        return f"{name}+modified" if modified else name
    name = os.environ.get(COMMIT)
    if name is not None and not re.fullmatch(r"[0-9a-f]{40}", name):
        raise InputError(f"{COMMIT}={name!r} is no commit; accepted: 40 hexadecimal digits")
    return name


def code_fingerprint() -> str:
    """SHA-256 of the source of the modules that decide a curve, whatever its line ends.

    Somebody's own blocks are among them.
    """
    digest = hashlib.sha256()
    ours = sorted(path for each in TRAINING_CODE for path in paths.PACKAGE.glob(each))
    for source in [*ours, *sorted(paths.BLOCKS.glob("*.py"))]:
        digest.update(source.read_bytes().replace(b"\r\n", b"\n"))
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
    """Type and name, and what decides how sums round.

    That is the instructions torch uses on a CPU; compute capability, driver and libraries of a GPU.
    """
    found = {"type": device.type, "name": device_name(device)}
    if device.type == "cpu":
        return found | {"instructions": torch.backends.cpu.get_cpu_capability()}
    return found | {
        "capability": ".".join(map(str, torch.cuda.get_device_capability(device))),
        "driver": driver_version(),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
    }


def driver_version() -> str | None:
    """Of NVIDIA's driver, such as 580.159.04; None where it cannot be asked."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.split()[0] if answer.stdout.split() else None


def peak_memory(device: torch.device) -> int | None:
    """Most bytes so far: allocated on a GPU, or of this process with all its libraries on a CPU.

    None on a CPU under Windows, which does not count them.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "win32":
        return None
    import resource  # Windows has none

    unit = 1 if sys.platform == "darwin" else 1024  # in which getrusage counts
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def describe(device: torch.device) -> dict:
    """Provenance of a run that starts now on ``device``."""
    return {
        "commit": commit(),
        "code": code_fingerprint(),
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "jpeg_decoder": jpeg_decoder(),
        "device": describe_device(device),
        "threads": torch.get_num_threads(),
        "processes": processes(),
    }
