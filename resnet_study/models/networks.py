"""Networks of every family, from one builder; and how large and how costly they are.

A network is a stem, a chain of stages made of blocks, and a linear classifier. A
family is the block it is made of; everything else is shared, so two families differ in
nothing but their blocks. Models know nothing of data or training.

Reference: K. He, X. Zhang, S. Ren, J. Sun, "Deep residual learning for image
recognition", arXiv 1512.03385, sections 3.3, 3.4 and 4.2.
"""

import copy
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from resnet_study.errors import require_at_least, require_one_of
from resnet_study.models.blocks import PlainBlock, ResidualBlock, convolution
from resnet_study.models.families import load_family
from resnet_study.models.highway import ScaledBlock, draw_gates, make_highway_block
from resnet_study.models.options import (
    FAMILIES,
    FOUR_STAGES,
    SHORTCUTS,
    STEMS,
    Gates,
    Scales,
    has_batch_normalisation,
    require_normalisation,
    stage_lengths,
)


def make_stem(kind: str, channels_in: int, width: int, normalised: bool = True) -> nn.Sequential:
    """7×7/2 convolution and 3×3/2 max-pool ("imagenet"), or one 3×3 convolution ("small")."""
    kernel, stride = (7, 2) if kind == "imagenet" else (3, 1)
    return nn.Sequential(
        convolution(channels_in, width, kernel, stride, bias=not normalised),
        *([nn.BatchNorm2d(width)] if normalised else []),
        nn.ReLU(inplace=True),
        *([nn.MaxPool2d(3, 2, padding=1)] if kind == "imagenet" else []),
    )


BLOCKS = {  # what makes the blocks of a family that is no file of its own
    "plain": PlainBlock,
    "residual": ResidualBlock,
    "highway": make_highway_block,
    "scaled": ScaledBlock,
}


class Network(nn.Module):
    """Stem, stages of blocks, global average pool, linear classifier.

    Stage ``s`` (from 0) has ``widths[s]`` channels and halves the resolution in its
    first block, except stage 0. ``block`` makes a block from channels in and out, stride and
    shortcut; ``normalised`` is the stem's.
    """

    def __init__(
        self,
        block: Callable[[int, int, int, str], nn.Module],
        blocks_per_stage: tuple[int, ...],
        *,
        widths: tuple[int, ...],
        classes: int,
        channels: int,
        stem: str,
        shortcut: str,
        normalised: bool = True,
    ):
        super().__init__()
        self.stem = make_stem(stem, channels, widths[0], normalised)
        self.stages = nn.ModuleList()
        channels_in = widths[0]
        for index, (length, channels_out) in enumerate(zip(blocks_per_stage, widths, strict=True)):
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


def build_model(
    family: str,
    depth: int,
    *,
    classes: int,
    channels: int = 3,
    stem: str = "imagenet",
    width: int | tuple[int, ...] | None = None,
    shortcut: str = "A",
    gates: Gates | None = None,
    scales: Scales | None = None,
    normalisation: str = "batch",
) -> Network:
    """Build a network with the current state of torch's random generator.

    Args:
        family: one of ``options.FAMILIES``.
        depth: weighted layers, see :func:`stage_lengths`.
        classes: number of classes.
        channels: channels of the images.
        stem: one of ``STEMS``.
        width: channels of the first stage, doubled in each one that follows, or those of every
            stage; 64 (four stages) or 16 (6n+2) if not given.
        shortcut: one of ``SHORTCUTS``; a plain net has none.
        gates: of the Highway family; its defaults if not given.
        scales: of the scaled family; its defaults if not given.
        normalisation: one of ``NORMALISATIONS`` of ``blocks``; Highway and scaled nets have
            "batch" alone, as have families of a file, plain ones also "none".

    Raises:
        InputError: for a family, depth, stem, shortcut, width or normalisation that does not
            exist.
    """
    require_one_of("family", family, FAMILIES)
    require_one_of("stem", stem, STEMS)
    require_one_of("shortcut", shortcut, SHORTCUTS)
    require_normalisation(family, shortcut, normalisation)
    lengths = stage_lengths(depth)
    if width is None:
        width = 64 if depth in FOUR_STAGES else 16
    widths = stage_widths(width, len(lengths)) if isinstance(width, int) else width
    for channels_of_stage in widths:
        require_at_least("width", channels_of_stage, 1)
    own = None if family in BLOCKS else load_family(family)
    block = own.Block if own else BLOCKS[family]
    if family == "highway":
        block = partial(block, gates=gates or Gates())
    elif family == "scaled":
        block = partial(block, scales=scales or Scales())
    else:
        block = partial(block, normalisation=normalisation)
    model = Network(
        block,
        lengths,
        widths=widths,
        classes=classes,
        channels=channels,
        stem=stem,
        shortcut=shortcut,
        normalised=has_batch_normalisation(normalisation),
    )
    draw_gates(model)
    if own and hasattr(own, "finish"):
        own.finish(model)
    return model


def stage_widths(width: float, stages: int) -> tuple[int, ...]:
    """Channels of each stage: ``width`` in the first, twice as many in each one that follows."""
    return tuple(round(width * 2**index) for index in range(stages))


def count_parameters(model: nn.Module) -> int:
    """Number of trainable scalars."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def count_multiply_adds(model: nn.Module, image_shape: tuple[int, int, int]) -> int:
    """Multiply-adds of the convolutions and the classifier for one image (C, H, W).

    The unit of He et al. 2015, Table 1 (there called FLOPs). Counted on a copy made of
    shape-only "meta" tensors, so it costs no arithmetic.
    """
    shapes = copy.deepcopy(model).to("meta").eval()
    for part in shapes.modules():
        if isinstance(part, nn.BatchNorm2d):  # counts for nothing, and takes most of the time
            part.forward = nn.Identity().forward
    with FlopCounterMode(display=False) as counter:
        shapes(torch.empty(1, *image_shape, device="meta"))
    return counter.get_total_flops() // 2
