"""One training in several processes, as ``torchrun`` or another launcher starts them.

Every process holds the same network and draws the same order and the same augmentation; each
learns from its share of every batch, so that the batch is the recipe's whatever the number
of processes. Process 0, the leader, alone writes and speaks.

Without a launcher all of this stands still: one process, which is the leader.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from resnet_study.checkpoints import OutOfTime
from resnet_study.errors import InputError

LAUNCHER = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # as torch.distributed wants them
NUMBERS = ("RANK", "WORLD_SIZE", "MASTER_PORT", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
# What other programs tell the processes that they start: how many those are.
FOREIGN = {"SLURM_STEP_NUM_TASKS": "srun", "OMPI_COMM_WORLD_SIZE": "mpirun", "PMI_SIZE": "mpiexec"}
PATIENCE = timedelta(minutes=30)  # with a process that still reads its data, or whose machine died


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
    joined = distributed.is_available() and distributed.is_initialized()
    try:
        return joined or rank_here() == 0
    except InputError:  # what a launcher's variables say is what is wrong
        return True


def own_gpu() -> torch.device:
    """This process's own GPU.

    Raises:
        InputError: if the machine has more processes than GPUs.
    """
    gpus = torch.cuda.device_count()
    if processes_here() > gpus:
        raise InputError(
            f"{processes_here()} processes on a machine with {gpus} GPUs; "
            f"accepted: torchrun --nproc-per-node of at most {gpus}, or --device cpu"
        )
    return torch.device("cuda", rank_here())


@contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Join the other processes, on ``device``; does nothing for a single one.

    Raises:
        AnotherProcessFailed: in those that wait for one that failed.
    """
    if processes() == 1:
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    distributed.init_process_group(backend, timeout=PATIENCE)
    # All leave together, at the end or out of time. To part from processes that wait for one that
    # failed could take forever: that one just ends, and torchrun ends the others.
    try:
        yield
    except OutOfTime:
        distributed.destroy_process_group()
        raise
    except RuntimeError as error:
        if isinstance(error, distributed.DistBackendError) or "gloo" in str(error):
            raise AnotherProcessFailed("another process failed") from error
        raise
    distributed.destroy_process_group()


@contextmanager
def leader_first() -> Iterator[None]:
    """The leader does the work of the block before the others do, so it finds what is wrong."""
    if processes() > 1 and not is_leader():
        distributed.barrier()
    yield
    if processes() > 1 and is_leader():
        distributed.barrier()


def parallel(model: nn.Module) -> nn.Module:
    """``model``, its gradients averaged over the processes in every backward pass.

    Statistics of batch normalisation are each process's own, see :func:`average_statistics`; they
    would be the leader's alone if every pass began with those.
    """
    return DistributedDataParallel(model, broadcast_buffers=False) if processes() > 1 else model


def share(items: Tensor) -> Tensor:
    """This process's part of ``items`` (N, …): each item belongs to one process."""
    return items.tensor_split(processes())[rank()]


def total(numbers: Tensor) -> Tensor:
    """The sum of ``numbers`` over all processes."""
    if processes() > 1:
        numbers = numbers.clone()
        distributed.all_reduce(numbers)
    return numbers


def leaders(tensor: Tensor) -> Tensor:
    """The leader's ``tensor``, in all processes; they give one of the same shape and type."""
    if processes() > 1:
        tensor = tensor.contiguous()
        distributed.broadcast(tensor, src=0)
    return tensor


def average_statistics(model: nn.Module) -> None:
    """Make the statistics of batch normalisation the mean over all processes.

    Each process has those of its own share of the batches.
    """
    for buffer in model.buffers():
        if buffer.is_floating_point():
            buffer.copy_(total(buffer) / processes())
