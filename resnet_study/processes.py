"""Which of several processes this one is, by what a launcher such as ``torchrun`` tells it."""

import os
import re
import sys
import threading
from multiprocessing import connection, parent_process
from typing import TYPE_CHECKING

from resnet_study.errors import InputError

if TYPE_CHECKING:  # a command that trains nothing needs no torch
    import torch

LAUNCHER = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # as torch.distributed wants them
NUMBERS = ("RANK", "WORLD_SIZE", "MASTER_PORT", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
# What other programs tell the processes that they start: how many those are.
FOREIGN = {"SLURM_STEP_NUM_TASKS": "srun", "OMPI_COMM_WORLD_SIZE": "mpirun", "PMI_SIZE": "mpiexec"}


class AnotherProcessFailed(InputError):
    """A process that this one waited for has gone; it tells why itself."""


def _launched() -> bool:
    """Whether a launcher (``torchrun``, Kubeflow's, …) started this process as one of several.

    Launchers tell by four variables. A single process needs none of them.

    Raises:
        InputError: if they are there in part, or if another program started several processes
            without them, each of which would train alone.
    """
    given = {name: os.environ[name] for name in LAUNCHER if os.environ.get(name)}
    if not given.keys() & {"RANK", "WORLD_SIZE"}:
        for name, program in FOREIGN.items():
            if os.environ.get(name, "1") not in ("0", "1"):
                raise InputError(
                    f"{program} started {os.environ[name]} processes that know nothing of each "
                    "other; accepted: one, or torchrun"
                )
        return False
    if given.get("WORLD_SIZE") == "1":
        return False
    missing = [name for name in LAUNCHER if name not in given]
    if missing:
        raise InputError(
            f"{', '.join(given)} set, but not {', '.join(missing)}; accepted: torchrun, which "
            "sets all of them, or none of them"
        )
    for name in NUMBERS:
        _number(name)
    return True


def _number(name: str, otherwise: int = 0) -> int:
    """A launcher's variable, ``otherwise`` if it is not set."""
    text = os.environ.get(name, str(otherwise))
    if not re.fullmatch("[0-9]{1,9}", text):
        raise InputError(f"{name}={text!r} is no number; accepted: what torchrun sets")
    return int(text)


def rank() -> int:
    """Number of this process, from 0."""
    return _number("RANK") if _launched() else 0


def processes() -> int:
    """How many processes train together."""
    return _number("WORLD_SIZE", 1) if _launched() else 1


def rank_here() -> int:
    """Number of this process among those of its machine; launchers that do not tell start one."""
    return _number("LOCAL_RANK") if _launched() else 0


def processes_here() -> int:
    """How many of them run on this machine."""
    return _number("LOCAL_WORLD_SIZE", 1) if _launched() else 1


def is_leader() -> bool:
    """Whether this is the process that writes and speaks."""
    return rank() == 0


def speaks() -> bool:
    """Whether this process tells what is wrong with it.

    What is wrong before processes join is so for all of them: one on each machine tells it.
    """
    distributed = sys.modules.get("torch.distributed")  # if none was imported, none has joined
    joined = distributed and distributed.is_available() and distributed.is_initialized()
    try:
        return bool(joined) or rank_here() == 0
    except InputError:  # what a launcher's variables say is what is wrong
        return True


def share(items: "torch.Tensor") -> "torch.Tensor":
    """This process's part of ``items`` (N, …): each item belongs to one process."""
    return items.tensor_split(processes())[rank()]


def end_with_parent() -> None:
    """See that this process does not outlive the one that started it, even if that is killed."""
    if parent := parent_process():
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    """End this process when the one behind ``sentinel`` has ended."""
    connection.wait([sentinel])
    os._exit(1)
