"""Lesions: what one block is worth to a trained network, by its deletion.

Reference: A. Veit, M. Wilber, S. Belongie, "Residual networks behave like ensembles of relatively
shallow networks", arXiv 1605.06431, section 4.1.
"""

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_study.diagnostics.inspection import calibrate, require_batch, require_mode
from resnet_study.errors import InputError, require_at_least
from resnet_study.models.blocks import PlainBlock, ResidualBlock, make_shortcut
from resnet_study.models.highway import HighwayBlock, ScaledBlock

OURS = (PlainBlock, ResidualBlock, HighwayBlock, ScaledBlock)


def lesions(
    model: nn.Module, images: Tensor, labels: Tensor, recalibration: Tensor
) -> pd.DataFrame:
    """Error of ``model`` without one block at a time; one row a block, in their order.

    A block without its residual function puts out its shortcut alone, through the ReLU it ends
    with: ReLU(s(x)), where the whole block is ReLU(F(x) + s(x)). A Highway block does so as if T
    were 0 and C were 1, a scaled block with the factor of its shortcut. A plain block has no
    shortcut; as something of the right shape must follow, it puts out the padded identity,
    shortcut A of He et al. 2015 (arXiv 1512.03385), section 3.3.

    Args:
        model: images to logits, in evaluation mode; it is left as it was.
        images: (N, C, H, W), to be classified.
        labels: (N).
        recalibration: training images (M, C, H, W), two or more, as normalised as ``images``.

    Returns:
        ``block``, its name in ``named_modules``; ``error`` in percent; ``recalibrated``, the error
        in percent when all running statistics are measured again on ``recalibration`` without it.

    Raises:
        InputError: for batch normalisation in training mode, an empty batch, or a model that has
            no blocks of ours or of torchvision's ResNets.
    """
    require_mode(model, training=False)
    require_batch(images, labels)
    require_at_least("number of images for recalibration", len(recalibration), 2)

    @torch.no_grad()
    def error(injured: nn.Module) -> float:
        return 100 * (injured(images).argmax(dim=1) != labels).double().mean().item()

    return lesion_errors(model, find_blocks(model), recalibration, error)


def lesion_errors(
    model: nn.Module,
    blocks: Mapping[str, nn.Module],
    recalibration: Tensor,
    error: Callable[[nn.Module], float],
) -> pd.DataFrame:
    """The table of :func:`lesions` for ``blocks`` of ``model``, by any measure of ``error``."""
    rows = []
    for name, block in blocks.items():
        with without(block):
            injured = copy.deepcopy(model)  # the lesion is copied along
        before = error(injured)
        calibrate(injured, recalibration)
        rows.append((name, before, error(injured)))
    return pd.DataFrame(rows, columns=["block", "error", "recalibrated"])


def find_blocks(model: nn.Module) -> dict[str, nn.Module]:
    """Name in ``named_modules`` to block: ours, and those of torchvision's ResNets.

    Raises:
        InputError: if there are none.
    """
    from torchvision.models.resnet import BasicBlock, Bottleneck  # slow; Highway records do without

    kinds = (*OURS, BasicBlock, Bottleneck)
    found = {name: part for name, part in model.named_modules() if isinstance(part, kinds)}
    if not found:
        accepted = ", ".join(kind.__name__ for kind in kinds)
        raise InputError(f"{type(model).__name__} has no blocks; accepted: nets of {accepted}")
    return found


@contextmanager
def without(block: nn.Module) -> Iterator[None]:
    """Within it ``block`` puts out its shortcut alone, see :func:`lesions`; a copy always does."""
    handle = block.register_forward_hook(_shortcut_alone)
    try:
        yield
    finally:
        handle.remove()


def _shortcut_alone(block: nn.Module, given: tuple[Tensor], output: Tensor) -> Tensor:
    shortcut = _shortcut(block, given[0])
    ends_with_relu = not (isinstance(block, HighwayBlock) and block.gates.relu == "inside")
    return F.relu(shortcut) if ends_with_relu else shortcut


def _shortcut(block: nn.Module, x: Tensor) -> Tensor:
    if isinstance(block, PlainBlock):
        first = block.branch.conv1
        return make_shortcut(first.in_channels, first.out_channels, first.stride[0], "A")(x)
    if isinstance(block, ScaledBlock):
        return block.scales.shortcut * block.shortcut(x)
    if isinstance(block, OURS):
        return block.shortcut(x)
    return x if block.downsample is None else block.downsample(x)
