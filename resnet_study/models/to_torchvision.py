"""Residual nets as torchvision has them, for whatever goes on from there."""

import copy

import torch
from torch import nn

from resnet_study.errors import InputError
from resnet_study.models.blocks import PaddedIdentity, ResidualBlock, named_blocks
from resnet_study.models.networks import Network


def to_torchvision(network: Network) -> nn.Module:
    """A ``torchvision.models.ResNet`` with the weights of a residual ``network``, in its mode.

    Evaluated, it gives the same logits (N, classes). A shortcut without parameters (A), which
    torchvision does not have, becomes a 1×1 convolution that does the same, and batch normalisation
    that does nothing; trained further, both learn. A stage that ours has not is empty there.

    Raises:
        InputError: for a network that is not made of residual blocks with batch normalisation.
    """
    from torchvision.models import ResNet  # slow to import
    from torchvision.models.resnet import BasicBlock

    for name, block in named_blocks(network).items():
        if not isinstance(block, ResidualBlock) or [*dict(block.branch.named_children())] != LAYERS:
            raise InputError(
                f"{name} is no block of torchvision's; accepted: residual nets with batch "
                "normalisation"
            )
    convolution, normalisation, _, *pool = copy.deepcopy(network.stem)
    stages = [nn.Sequential(*map(_block, stage.children())) for stage in network.stages]
    stages += [nn.Identity()] * (4 - len(stages))
    parts = {
        "conv1": convolution,
        "bn1": normalisation,
        "maxpool": pool[0] if pool else nn.Identity(),
        **{f"layer{number}": stage for number, stage in enumerate(stages, start=1)},
        "fc": copy.deepcopy(network.classifier),
    }
    theirs = ResNet(BasicBlock, [1, 1, 1, 1])
    for name, part in parts.items():
        setattr(theirs, name, part)
    return theirs.to(network.classifier.weight).train(network.training)  # its type and device


LAYERS = ["conv1", "bn1", "relu", "conv2", "bn2"]


def _block(block: nn.Module) -> nn.Module:
    from torchvision.models.resnet import BasicBlock

    assert isinstance(block, ResidualBlock)
    first, last = block.branch.conv1, block.branch.conv2
    theirs = BasicBlock(first.in_channels, last.out_channels, first.stride[0])
    for name in LAYERS:
        setattr(theirs, name, copy.deepcopy(getattr(block.branch, name)))
    if isinstance(block.shortcut, PaddedIdentity):
        theirs.downsample = _padding(first.in_channels, last.out_channels, first.stride[0])
    elif isinstance(block.shortcut, nn.Sequential):
        theirs.downsample = copy.deepcopy(block.shortcut)
    return theirs


def _padding(channels_in: int, channels_out: int, stride: int) -> nn.Sequential:
    """Shortcut A, a strided identity with zeros for new channels, as convolution and BN."""
    projection = nn.Conv2d(channels_in, channels_out, 1, stride, bias=False)
    nn.init.dirac_(projection.weight)
    neutral = nn.BatchNorm2d(channels_out)
    neutral.running_var = torch.ones(channels_out) - neutral.eps  # what is added to it, and rooted
    return nn.Sequential(projection, neutral)
