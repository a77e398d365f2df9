"""Several trainings on one GPU at the same time, by NVIDIA's Multi-Process Service (MPS).

Without it their kernels take turns. Source: https://docs.nvidia.com/deploy/mps/.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator

CONTROL = "nvidia-cuda-mps-control"
PATIENCE = 60  # seconds that the service and the first user of it may take
USE_THE_GPU = "import torch; torch.zeros(1, device='cuda').item()"


@contextlib.contextmanager
def shared_gpu() -> Iterator[dict[str, str]]:
    """The service, for as long as the context lasts; yields the variables that its users need.

    There are none, and the trainings take turns, where the service is not installed, somebody
    else's is set up already, or a GPU cannot be used through it.
    """
    if shutil.which(CONTROL) is None or "CUDA_MPS_PIPE_DIRECTORY" in os.environ:
        yield {}
        return
    with tempfile.TemporaryDirectory(prefix="mps-", ignore_cleanup_errors=True) as folder:
        variables = {"CUDA_MPS_PIPE_DIRECTORY": folder, "CUDA_MPS_LOG_DIRECTORY": folder}
        try:
            works = _ends_well([CONTROL, "-d"], variables) and _ends_well(
                [sys.executable, "-c", USE_THE_GPU], variables
            )
            yield variables if works else {}
        finally:
            _ends_well([CONTROL], variables, said="quit\n")


def _ends_well(command: list[str], variables: dict[str, str], said: str = "") -> bool:
    """Whether a command that reads ``said`` ends in time and with status 0."""
    try:
        done = subprocess.run(
            command,
            env=os.environ | variables,
            input=said,
            text=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=PATIENCE,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
