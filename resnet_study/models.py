"""Plain and residual networks of He et al. 2015, from one builder.

A network is a stem, a chain of stages made of blocks, and a linear classifier. A
family is the block it is made of; everything else is shared, so two families differ in
nothing but their blocks. Models know nothing of data or training.

Reference: K. He, X. Zhang, S. Ren, J. Sun, "Deep residual learning for image
recognition", arXiv 1512.03385, sections 3.3, 3.4 and 4.2.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from resnet_study.errors import InputError, require_at_least, require_one_of

SHORTCUTS = ("A", "B", "C")
STEMS = ("imagenet", "small")
FOUR_STAGES = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}  # He et al. 2015, Table 1


def convolution(channels_in: int, channels_out: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """A convolution without bias (batch normalisation follows), "same" padding, He-initialised.

    Initialised here and not by a sweep over the finished model, so that a block may start
    some of its parameters elsewhere. Fan-out for every family, as in torchvision.
    """
    layer = nn.Conv2d(channels_in, channels_out, kernel, stride, padding=kernel // 2, bias=False)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
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


class Branch(nn.Sequential):
    """The residual function F of a block: conv–BN–ReLU–conv–BN, both convolutions 3×3."""

    def __init__(self, channels_in: int, channels_out: int, stride: int):
        super().__init__()
        self.conv1 = convolution(channels_in, channels_out, 3, stride)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = convolution(channels_out, channels_out, 3)
        self.bn2 = nn.BatchNorm2d(channels_out)


class PlainBlock(nn.Module):
    """y = ReLU(F(x)): two layers of a plain net. ``shortcut`` is accepted and has no meaning."""

    def __init__(self, channels_in: int, channels_out: int, stride: int, shortcut: str):
        super().__init__()
        self.branch = Branch(channels_in, channels_out, stride)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.branch(x), inplace=True)


class ResidualBlock(nn.Module):
    """y = ReLU(F(x) + shortcut(x)); He et al. 2015, equations 1 and 2."""

    def __init__(self, channels_in: int, channels_out: int, stride: int, shortcut: str):
        super().__init__()
        self.branch = Branch(channels_in, channels_out, stride)
        self.shortcut = make_shortcut(channels_in, channels_out, stride, shortcut)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.branch(x) + self.shortcut(x), inplace=True)


FAMILIES = {"plain": PlainBlock, "residual": ResidualBlock}


def make_stem(kind: str, channels_in: int, width: int) -> nn.Sequential:
    """7×7/2 convolution and 3×3/2 max-pool ("imagenet"), or one 3×3 convolution ("small")."""
    if kind == "imagenet":
        first, pool = convolution(channels_in, width, 7, 2), [nn.MaxPool2d(3, 2, padding=1)]
    else:
        first, pool = convolution(channels_in, width, 3), []
    return nn.Sequential(first, nn.BatchNorm2d(width), nn.ReLU(inplace=True), *pool)


class Network(nn.Module):
    """Stem, stages of blocks, global average pool, linear classifier.

    Stage ``s`` (from 0) has ``width * 2**s`` channels and halves the resolution in its
    first block, except stage 0.
    """

    def __init__(
        self,
        block: type[nn.Module],
        blocks_per_stage: tuple[int, ...],
        *,
        width: int,
        classes: int,
        channels: int,
        stem: str,
        shortcut: str,
    ):
        super().__init__()
        self.stem = make_stem(stem, channels, width)
        self.stages = nn.ModuleList()
        channels_in = width
        for index, length in enumerate(blocks_per_stage):
            channels_out = width * 2**index
            stage = nn.Sequential()
            for position in range(length):
                stride = 2 if index > 0 and position == 0 else 1
                stage.append(block(channels_in, channels_out, stride, shortcut))
                channels_in = channels_out
            self.stages.append(stage)
        self.classifier = nn.Linear(channels_in, classes)

    def forward(
        self, images: Tensor, return_stages: bool = False
    ) -> Tensor | tuple[Tensor, dict[str, Tensor]]:
        """Map images (N, C, H, W) to logits (N, classes).

        With ``return_stages`` also a dict of the outputs, each (N, C', H', W'), named
        ``stem``, ``stage1``, ``stage2``, …
        """
        stages = {"stem": self.stem(images)}
        x = stages["stem"]
        for number, stage in enumerate(self.stages, start=1):
            x = stages[f"stage{number}"] = stage(x)
        logits = self.classifier(x.mean(dim=(2, 3)))
        return (logits, stages) if return_stages else logits


def stage_lengths(depth: int) -> tuple[int, ...]:
    """Blocks in each stage of a net of ``depth`` weighted layers.

    18 and 34 have the four stages of He et al. 2015, Table 1; other depths are the
    three-stage 6n+2 family of section 4.2.

    Raises:
        InputError: for a depth of neither kind.
    """
    if depth in FOUR_STAGES:
        return FOUR_STAGES[depth]
    if depth < 8 or (depth - 2) % 6:
        raise InputError(f"depth {depth} is unknown; accepted: 18, 34, and 6n+2 (8, 14, 20, 26, …)")
    return ((depth - 2) // 6,) * 3


def build_model(
    family: str,
    depth: int,
    *,
    classes: int,
    channels: int = 3,
    stem: str = "imagenet",
    width: int | None = None,
    shortcut: str = "A",
) -> Network:
    """Build a network with the current state of torch's random generator.

    Args:
        family: a key of ``FAMILIES``.
        depth: weighted layers, see :func:`stage_lengths`.
        classes: number of classes.
        channels: channels of the images.
        stem: one of ``STEMS``.
        width: channels of the first stage; 64 (four stages) or 16 (6n+2) if not given.
        shortcut: one of ``SHORTCUTS``; it matters to the residual family only.

    Raises:
        InputError: for a family, depth, stem, shortcut or width that does not exist.
    """
    require_one_of("family", family, FAMILIES)
    require_one_of("stem", stem, STEMS)
    require_one_of("shortcut", shortcut, SHORTCUTS)
    if width is None:
        width = 64 if depth in FOUR_STAGES else 16
    require_at_least("width", width, 1)
    return Network(
        FAMILIES[family],
        stage_lengths(depth),
        width=width,
        classes=classes,
        channels=channels,
        stem=stem,
        shortcut=shortcut,
    )


def count_parameters(model: nn.Module) -> int:
    """Number of trainable scalars."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def count_multiply_adds(model: nn.Module, image_shape: tuple[int, int, int]) -> int:
    """Multiply-adds of the convolutions and the classifier for one image (C, H, W).

    The unit of He et al. 2015, Table 1 (there called FLOPs). Counted on a copy made of
    shape-only "meta" tensors, so it costs no arithmetic.
    """
    shapes = copy.deepcopy(model).to("meta").eval()
    with FlopCounterMode(display=False) as counter:
        shapes(torch.empty(1, *image_shape, device="meta"))
    return counter.get_total_flops() // 2
