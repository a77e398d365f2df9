"""The least time that a training step can take on a device, from counted work and speed.

A step multiplies and adds, and it moves numbers to and from memory. Neither can be faster than the
device does it in a single large operation: the roofline of Williams, Waterman & Patterson 2009.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import torch
from torch import nn

from resnet_study.models.networks import count_multiply_adds, count_parameters

DTYPES = {
    "float32": torch.float32,
    "tensorfloat32": torch.float32,  # a way to multiply, not to store
    "bfloat16": torch.bfloat16,
}


@dataclass(frozen=True)
class Ceilings:
    """The highest speeds that were measured on a device."""

    flops_per_second: float
    bytes_per_second: float

    def seconds(self, flops: int, size: int) -> float:
        """The least time for so many FLOPs and bytes, done at once."""
        return max(flops / self.flops_per_second, size / self.bytes_per_second)


def synchronise(device: torch.device) -> None:
    """Wait until the device has done all it was told to."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def least_seconds(work: Callable[[], object], device: torch.device) -> float:
    """Seconds of one ``work``: the least of ten trials of three, after one that does not count."""
    seconds = []
    for _ in range(11):
        synchronise(device)
        clock = perf_counter()
        for _ in range(3):
            work()
        synchronise(device)
        seconds.append((perf_counter() - clock) / 3)
    return min(seconds[1:])


def measure_ceilings(
    device: torch.device, precision: str, side: int | None = None, size: int | None = None
) -> Ceilings:
    """Speed of one product of ``side``×``side`` matrices, and of one copy of ``size`` bytes.

    Both are large enough for the device if not given. Whether a GPU multiplies float32 as
    TensorFloat32 is left as it is set.
    """
    large = (8192, 2**30) if device.type == "cuda" else (1024, 2**28)
    side, size = side or large[0], size or large[1]
    left, right = torch.rand(2, side, side, device=device, dtype=DTYPES[precision])
    product = left @ right
    multiplying = least_seconds(lambda: torch.mm(left, right, out=product), device)
    source = torch.zeros(size, dtype=torch.uint8, device=device)
    target = torch.ones_like(source)
    copying = least_seconds(lambda: target.copy_(source), device)
    return Ceilings(2 * side**3 / multiplying, 2 * size / copying)


def count_flops(model: nn.Module, image_shape: tuple[int, int, int], batch: int) -> int:
    """FLOPs of a step: two a multiply-add, forward once and backward twice."""
    return 3 * 2 * count_multiply_adds(model, image_shape) * batch


def count_bytes(
    model: nn.Module, image_shape: tuple[int, int, int], batch: int, precision: str
) -> int:
    """Bytes that a step has to move, at the very least.

    Weights, gradients and momentum (float32) are read and written once. So are, in the precision of
    the pass, the images and the output of each layer with weights, which the backward pass wants
    again: everything between two of them might be done on the way.
    """
    return 2 * (3 * 4 * count_parameters(model)) + 2 * DTYPES[precision].itemsize * batch * (
        torch.Size(image_shape).numel() + count_outputs(model, image_shape)
    )


def count_outputs(model: nn.Module, image_shape: tuple[int, int, int]) -> int:
    """Numbers that the convolutions and the classifier put out for one image (C, H, W)."""
    shapes = copy.deepcopy(model).to("meta").eval()
    outputs = []
    for layer in shapes.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(lambda _, __, output: outputs.append(output.numel()))
    shapes(torch.empty(1, *image_shape, device="meta"))
    return sum(outputs)
