r"""In what sense Highway networks contain residual ones (claim C7), as code.

A residual block is :math:`y = \mathrm{ReLU}(F(x) + s(x))`. A coupled Highway block with
:math:`T = \tfrac{1}{2}` everywhere is :math:`y = \mathrm{ReLU}((H(x) + s(x)) / 2)`. Put
:math:`y_l = 2^{-l} x_l`, where :math:`x_l` is the output of residual block :math:`l`: then
:math:`H_l = 2^{-l} F_l` does it, because ReLU, padding and sub-sampling commute with a factor, and
because a branch that ends in batch normalisation can be given any factor: its first convolutions
do not see the scale of their input (once the running statistics and :math:`\varepsilon` are scaled
with it), its last normalisation puts out whatever its :math:`\gamma` and :math:`\beta` say. A
projection shortcut ends in batch normalisation too, and is scaled likewise. The classifier takes
the factor :math:`2^L` back.

So every ResNet with batch normalisation has its Highway net, exactly. That says nothing about
training: He et al. 2016 (1603.05027, Table 1) trained frozen factors of ½ to 12.35 % error where
the ResNet has 6.61 %.
"""

import copy

import torch
from torch import Tensor, nn

from resnet_study.errors import InputError
from resnet_study.models.blocks import ResidualBlock, named_blocks
from resnet_study.models.highway import HighwayBlock, highway_blocks
from resnet_study.models.networks import Network, build_model
from resnet_study.models.options import Gates

EQUAL = 1e-9  # largest relative error of what is the same but for rounding, in float64


def contain(resnet: Network, kernel: int = 1) -> Network:
    """The Highway net with T = ½ that computes what ``resnet`` computes, shortcuts of any option.

    Equal in evaluation mode, and in training mode on the same batch. The gates are real ones,
    with convolutions of size ``kernel`` whose weights and biases are zero: it can be trained on.
    ``resnet`` is left as it is.

    Raises:
        InputError: for a net that is not residual.
    """
    highway = _with_gates(resnet, Gates(kernel=kernel, bias=0))
    factor = 1.0  # of the present block's input against the residual net's
    for block in highway_blocks(highway).values():
        for path in (block.branch, block.shortcut):
            _scale_path(path, factor)
        factor /= 2
    with torch.no_grad():
        highway.classifier.weight /= factor
    return highway


def approach(resnet: Network, bias: float, kernel: int = 1) -> Network:
    r"""The uncoupled Highway net with T = C = σ(``bias``) on the weights of ``resnet``.

    It becomes the residual net as the bias grows, and never is it:
    :math:`1 - \sigma(b) \approx e^{-b}`.

    Raises:
        InputError: for a net that is not residual.
    """
    highway = _with_gates(resnet, Gates(kernel=kernel, bias=bias, form="uncoupled"))
    for block in highway_blocks(highway).values():
        nn.init.constant_(block.carry.shift, bias)
    return highway


def relative_error(network: Network, reference: Network, images: Tensor) -> float:
    """Largest difference of two nets' logits on ``images`` (N, C, H, W), as a fraction.

    Of the largest logit of ``reference``, in absolute value. The nets' modes are as they are given.
    """
    with torch.no_grad():
        ours, theirs = network(images), reference(images)
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()


def largest_error(
    depths: tuple[int, ...] = (18, 34), shortcuts: tuple[str, ...] = ("A", "B")
) -> float:
    """Largest :func:`relative_error` of contained nets, in float64, on random nets and images.

    Their weights and the statistics and shifts of normalisation are drawn, so none is trivial.
    """
    generator = torch.Generator().manual_seed(0)
    errors = []
    for depth in depths:
        for shortcut in shortcuts:
            options = {"classes": 10, "stem": "small", "width": 4, "shortcut": shortcut}
            resnet = build_model("residual", depth, **options).double().eval()
            for tensor in resnet.state_dict().values():
                if tensor.is_floating_point() and tensor.ndim == 1:
                    tensor.uniform_(0.5, 1.5, generator=generator)
            images = torch.randn(8, 3, 16, 16, dtype=torch.float64, generator=generator)
            errors.append(relative_error(contain(resnet), resnet, images))
    return max(errors)


def negative_part(resnet: Network, images: Tensor) -> dict[str, float]:
    """How far each F is from every function that is never negative: block name to distance.

    The H of the original Highway network is one affine map and a ReLU, so it is never negative.
    Whatever its weights, its relative distance ‖H − F‖ / ‖F‖ over ``images`` (N, C, H, W) is at
    least that of the nearest non-negative function max(F, 0): ‖min(F, 0)‖ / ‖F‖. 0 would mean that
    F could be such an H; a symmetric F has 0.71. The net's mode is as it is given.

    Raises:
        InputError: for a net that is not residual.
    """
    distances: dict[str, float] = {}
    handles = []

    def watch(name: str):
        def keep(branch, given, output):
            distances[name] = (output.clamp(max=0).norm() / output.norm()).item()

        return keep

    for name, block in _residual_blocks(resnet).items():
        handles.append(block.branch.register_forward_hook(watch(name)))
    try:
        with torch.no_grad():
            resnet(images)
    finally:
        for handle in handles:
            handle.remove()
    return distances


def _residual_blocks(network: Network) -> dict[str, ResidualBlock]:
    """The blocks of a net that has no others."""
    blocks: dict[str, ResidualBlock] = {}
    for name, block in named_blocks(network).items():
        if not isinstance(block, ResidualBlock):
            raise InputError(
                f"the net has a {type(block).__name__}; accepted: a residual net, "
                "of ResidualBlock alone"
            )
        blocks[name] = block
    return blocks


def _with_gates(resnet: Network, gates: Gates) -> Network:
    """A copy of ``resnet`` with each block between constant gates σ(``gates.bias``)."""
    highway = copy.deepcopy(resnet)
    paths = {block: path for path, block in highway.named_modules()}
    for block in _residual_blocks(highway).values():
        first = block.branch.conv1
        with torch.random.fork_rng(devices=[]):  # a branch is drawn, and replaced at once
            gated = HighwayBlock(first.in_channels, first.out_channels, first.stride[0], "A", gates)
        gated.branch, gated.shortcut = block.branch, block.shortcut
        highway.set_submodule(paths[block], gated.to(first.weight).train(resnet.training))
    return highway


def _scale_path(path: nn.Module, factor: float) -> None:
    """Turn a branch or shortcut f into one that gives ``factor``·f(x) for ``factor``·x.

    A path without normalisation is the identity or padding, and does so as it is.
    """
    layers = [part for part in path.modules() if isinstance(part, nn.BatchNorm2d)]
    if not layers:
        return
    first, last = layers[0], layers[-1]
    with torch.no_grad():
        first.get_buffer("running_mean").mul_(factor)
        first.get_buffer("running_var").mul_(factor**2)
        first.eps *= factor**2  # no part of the state_dict
        last.weight.mul_(factor)
        last.bias.mul_(factor)
