"""Highway blocks: gates that mix what a block computes with what it was given.

y = H(x)·T(x) + s(x)·(1 − T(x)), where H is the residual function F of the other families, s the
shortcut, and T the transform gate: one value in (0, 1) for each unit, the sigmoid of a
convolution of the block's input. A block maps (N, channels_in, H, W) to (N, channels_out,
H/stride, W/stride), rounded up; H(x), s(x) and T(x) have the shape of its output.

References: R. K. Srivastava, K. Greff, J. Schmidhuber, "Highway networks", arXiv 1505.00387, and
"Training very deep networks", arXiv 1507.06228; K. He, X. Zhang, S. Ren, J. Sun, "Identity
mappings in deep residual networks", arXiv 1603.05027, section 3 and Table 1; R. K. Srivastava,
2025, the published code of a comparison (github.com/flukeskywalker/highway-resnet-comparison).
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_study.models.blocks import Branch, PlainBlock, initialise, make_shortcut, named_blocks
from resnet_study.models.options import Gates, Scales


def undrawn(channels_in: int, channels_out: int, kernel: int, stride: int, bias: bool) -> nn.Conv2d:
    """A convolution, "same" padding, with weights of zero: a fresh one would draw them."""
    layer = nn.Conv2d(
        channels_in, channels_out, kernel, stride, padding=kernel // 2, bias=bias, device="meta"
    ).to_empty(device=torch.get_default_device())
    nn.init.zeros_(layer.weight)
    return layer


class Gate(nn.Sequential):
    """sigmoid(convolution(x) + bias): (N, C, H, W) to one value in (0, 1) for each unit.

    Two layers put convolution, normalisation and ReLU before it.

    It starts with weights of zero, so as the constant σ(bias), and draws nothing at random;
    :func:`draw_gates` draws the weights.
    """

    def __init__(self, channels_in: int, channels_out: int, stride: int, gates: Gates, bias: float):
        super().__init__()
        if gates.layers == 2:
            self.conv1 = undrawn(channels_in, channels_out, gates.kernel, stride, bias=False)
            self.norm1 = nn.BatchNorm2d(channels_out)
            self.relu = nn.ReLU(inplace=True)
            channels_in, stride = channels_out, 1
        bias_of_its_own = not gates.normalised
        self.conv = undrawn(channels_in, channels_out, gates.kernel, stride, bias_of_its_own)
        if gates.normalised:
            self.norm = nn.BatchNorm2d(channels_out)
        nn.init.constant_(self.shift, bias)
        self.sigmoid = nn.Sigmoid()

    @property
    def shift(self) -> nn.Parameter:
        """The bias (C): of the convolution, or of the normalisation that follows it."""
        layer = self.norm if hasattr(self, "norm") else self.conv
        return layer.get_parameter("bias")


class HighwayBlock(nn.Module):
    """y = s + T·(H − s), or another ``form`` of :class:`Gates`."""

    def __init__(
        self, channels_in: int, channels_out: int, stride: int, shortcut: str, gates: Gates
    ):
        super().__init__()
        self.gates = gates
        self.branch = Branch(channels_in, channels_out, stride)
        self.shortcut = make_shortcut(channels_in, channels_out, stride, shortcut)
        self.transform = Gate(channels_in, channels_out, stride, gates, gates.bias)
        if gates.form == "uncoupled":
            self.carry = Gate(channels_in, channels_out, stride, gates, -gates.bias)

    def forward(self, x: Tensor) -> Tensor:
        h, s, t = self.branch(x), self.shortcut(x), self.transform(x)
        if self.gates.relu == "inside":
            h = F.relu(h, inplace=True)
        if self.gates.form == "coupled":
            y = s + t * (h - s)
        elif self.gates.form == "uncoupled":
            y = h * t + s * self.carry(x)
        else:
            y = h + s * (1 - t)
        return F.relu(y, inplace=True) if self.gates.relu == "after" else y


def make_highway_block(
    channels_in: int, channels_out: int, stride: int, shortcut: str, gates: Gates
) -> nn.Module:
    """A Highway block, or a plain one where the shape changes and ``gates`` has it so."""
    same_shape = channels_in == channels_out and stride == 1
    if gates.reshaping == "plain" and not same_shape:
        return PlainBlock(channels_in, channels_out, stride, shortcut)
    return HighwayBlock(channels_in, channels_out, stride, shortcut, gates)


class ScaledBlock(nn.Module):
    """y = ReLU(b·F(x) + a·shortcut(x)) with constants a and b of :class:`Scales`."""

    def __init__(
        self, channels_in: int, channels_out: int, stride: int, shortcut: str, scales: Scales
    ):
        super().__init__()
        self.scales = scales
        self.branch = Branch(channels_in, channels_out, stride)
        self.shortcut = make_shortcut(channels_in, channels_out, stride, shortcut)

    def forward(self, x: Tensor) -> Tensor:
        mix = self.scales.branch * self.branch(x) + self.scales.shortcut * self.shortcut(x)
        return F.relu(mix, inplace=True)


def draw_gates(model: nn.Module) -> None:
    """He-initialise the weights of all gates, as in the papers; biases stay as they are.

    To be called when the rest of the model is drawn, so that a Highway net starts from the very
    branches, stem and classifier of a residual net of the same seed.
    """
    for part in model.modules():
        if isinstance(part, Gate):
            for layer in part.children():
                if isinstance(layer, nn.Conv2d):
                    initialise(layer)


def highway_blocks(model: nn.Module) -> dict[str, HighwayBlock]:
    """The gated blocks in their order: ``stage1.1`` is the first of the first stage."""
    blocks = named_blocks(model).items()
    return {name: block for name, block in blocks if isinstance(block, HighwayBlock)}


@contextmanager
def watch_gates(model: nn.Module, factor: str = "transform") -> Iterator[dict[str, Tensor]]:
    """Within it, a forward pass of ``model`` fills the dict: block name to T, (N, C, H, W).

    Each pass replaces the values of the one before. With ``factor="carry"`` they are the factors
    of the shortcut instead: 1 − T, or C where there is a carry gate.
    """
    values: dict[str, Tensor] = {}

    def watch(name: str, gate: Gate, complement: bool):
        def keep(part, given, output):
            values[name] = 1 - output.detach() if complement else output.detach()

        return gate.register_forward_hook(keep)

    handles = [
        watch(name, block.carry, False)
        if factor == "carry" and block.gates.form == "uncoupled"
        else watch(name, block.transform, factor == "carry")
        for name, block in highway_blocks(model).items()
    ]
    try:
        yield values
    finally:
        for handle in handles:
            handle.remove()
