"""Blocks of plain and residual nets, and the layers that blocks of every family share.

A block maps (N, channels_in, H, W) to (N, channels_out, H/stride, W/stride), rounded up. So do its
branch and its shortcut.

Reference: K. He, X. Zhang, S. Ren, J. Sun, "Deep residual learning for image
recognition", arXiv 1512.03385, sections 3.2, 3.3 and 4.1.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_study.models.options import has_batch_normalisation

SMALL_GAMMA = 1 / (1 + math.exp(2))  # 0.12, to which a gate of bias −2 damps its branch at first


def initialise(layer: nn.Conv2d) -> None:
    """He initialisation of a convolution's weights. Fan-out everywhere, as in torchvision."""
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")


def start_orthogonal(layer: nn.Conv2d) -> None:
    """Delta-orthogonal start: the kernel's centre maps channels orthogonally, all else is 0.

    Scaled by √2 for the ReLU that follows. L. Xiao et al., arXiv 1806.05393, algorithm 1.
    """
    nn.init.zeros_(layer.weight)
    centre = layer.kernel_size[0] // 2
    nn.init.orthogonal_(layer.weight.data[:, :, centre, centre], gain=2**0.5)


def convolution(
    channels_in: int, channels_out: int, kernel: int, stride: int = 1, bias: bool = False
) -> nn.Conv2d:
    """A convolution, "same" padding, He-initialised; a bias only where no normalisation follows.

    Initialised here and not by a sweep over the finished model, so that a block may start
    some of its parameters elsewhere.
    """
    layer = nn.Conv2d(channels_in, channels_out, kernel, stride, padding=kernel // 2, bias=bias)
    initialise(layer)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class PaddedIdentity(nn.Module):
    """Shortcut A: strided identity, with new channels filled with zeros. No parameters."""

    def __init__(self, channels_in: int, channels_out: int, stride: int):
        super().__init__()
        self.new_channels = channels_out - channels_in
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.new_channels))


def make_shortcut(channels_in: int, channels_out: int, stride: int, option: str) -> nn.Module:
    """Shortcut of a residual block: option A, B or C of He et al. 2015, section 4.1."""
    same_shape = channels_in == channels_out and stride == 1
    if option == "C" or (option == "B" and not same_shape):
        projection = convolution(channels_in, channels_out, 1, stride)
        return nn.Sequential(projection, nn.BatchNorm2d(channels_out))
    return nn.Identity() if same_shape else PaddedIdentity(channels_in, channels_out, stride)


class LearntFactor(nn.Module):
    """x times a scalar that is learnt and starts at 0."""

    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x


class Branch(nn.Sequential):
    """The residual function F of a block: conv–BN–ReLU–conv–BN, both convolutions 3×3.

    Or what one of ``NORMALISATIONS`` has in place of BN.
    """

    def __init__(
        self, channels_in: int, channels_out: int, stride: int, normalisation: str = "batch"
    ):
        super().__init__()
        normalised = has_batch_normalisation(normalisation)
        self.conv1 = convolution(channels_in, channels_out, 3, stride, bias=not normalised)
        if normalised:
            self.bn1 = nn.BatchNorm2d(channels_out)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = convolution(channels_out, channels_out, 3, bias=not normalised)
        if normalised:
            self.bn2 = nn.BatchNorm2d(channels_out)
        if normalisation == "zero-gamma":
            nn.init.zeros_(self.bn2.weight)
        elif normalisation == "small-gamma":
            nn.init.constant_(self.bn2.weight, SMALL_GAMMA)
        elif normalisation == "orthogonal":
            start_orthogonal(self.conv1)
            start_orthogonal(self.conv2)
        elif normalisation == "skip-init":
            self.factor = LearntFactor()


class PlainBlock(nn.Module):
    """y = ReLU(F(x)): two layers of a plain net. ``shortcut`` is accepted and has no meaning."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        stride: int,
        shortcut: str,
        normalisation: str = "batch",
    ):
        super().__init__()
        self.branch = Branch(channels_in, channels_out, stride, normalisation)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.branch(x), inplace=True)


class ResidualBlock(nn.Module):
    """y = ReLU(F(x) + shortcut(x)); He et al. 2015, equations 1 and 2."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        stride: int,
        shortcut: str,
        normalisation: str = "batch",
    ):
        super().__init__()
        self.branch = Branch(channels_in, channels_out, stride, normalisation)
        self.shortcut = make_shortcut(channels_in, channels_out, stride, shortcut)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.branch(x) + self.shortcut(x), inplace=True)


def named_blocks(model: nn.Module) -> dict[str, nn.Module]:
    """The blocks of a network in their order: ``stage1.1`` is the first of the first stage."""
    return {
        f"stage{s}.{position}": block
        for s, stage in enumerate(model.get_submodule("stages").children(), start=1)
        for position, block in enumerate(stage.children(), start=1)
    }
