"""One training in several processes, as ``torchrun`` or another launcher starts them.

Every process holds the same network and draws the same order and the same augmentation; each
learns from its share of every batch, so that the batch is the recipe's whatever the number
of processes. Process 0, the leader, alone writes and speaks.

Without a launcher all of this stands still: one process, which is the leader.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from resnet_study.errors import InputError, OutOfTime
from resnet_study.processes import (
    AnotherProcessFailed,
    is_leader,
    processes,
    processes_here,
    rank_here,
)

PATIENCE = timedelta(minutes=30)  # with a process that still reads its data, or whose machine died


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
