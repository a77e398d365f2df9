"""One training in several processes, as ``torchrun`` starts them.

Every process holds the same network and draws the same order and the same augmentation; each
learns from its share of every batch, so that the batch is the recipe's whatever the number
of processes. Process 0, the leader, alone writes and speaks.

Without ``torchrun`` all of this stands still: one process, which is the leader.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from resnet_study.checkpoints import OutOfTime
from resnet_study.errors import InputError

PATIENCE = timedelta(minutes=30)  # with a process that still reads its data, or whose machine died


class AnotherProcessFailed(InputError):
    """A process that this one waited for has gone; it tells why itself."""


def under_torchrun() -> bool:
    """Whether ``torchrun`` started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def rank() -> int:
    """Number of this process, from 0."""
    return int(os.environ["RANK"]) if under_torchrun() else 0


def processes() -> int:
    """How many processes train together."""
    return int(os.environ["WORLD_SIZE"]) if under_torchrun() else 1


def processes_here() -> int:
    """How many of them run on this machine."""
    return int(os.environ["LOCAL_WORLD_SIZE"]) if under_torchrun() else 1


def is_leader() -> bool:
    """Whether this is the process that writes and speaks."""
    return rank() == 0


def speaks() -> bool:
    """Whether this process tells what is wrong with it.

    What is wrong before processes join is so for all of them: one on each machine tells it.
    """
    joined = distributed.is_available() and distributed.is_initialized()
    return joined or not under_torchrun() or os.environ["LOCAL_RANK"] == "0"


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
    return torch.device("cuda", int(os.environ["LOCAL_RANK"]) if under_torchrun() else 0)


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
    """``model``, its gradients averaged over the processes in every backward pass."""
    return DistributedDataParallel(model) if processes() > 1 else model


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
    """Make the statistics of batch normalisation the same in all processes.

    Every forward pass of a training begins with the leader's and adds those of each one's share of
    the batch: here the shares are averaged.
    """
    for buffer in model.buffers():
        if buffer.is_floating_point():
            buffer.copy_(total(buffer) / processes())
