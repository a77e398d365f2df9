"""Residual blocks that normalise and rectify before each convolution, and not after the addition.

The sum that leaves a block then reaches the next as it is, so that an identity leads from the stem
to the end. Reference: K. He, X. Zhang, S. Ren, J. Sun, "Identity mappings in deep residual
networks", arXiv 1603.05027, Fig. 4(e) and the appendix.
"""

import torch
from torch import Tensor, nn

from resnet_study.models.blocks import convolution, make_shortcut, named_blocks

LABEL = "pre-activation"
COLOUR = "#56B4E9"


class Block(nn.Module):
    """y = s(x) + F(x), where F is BN–ReLU–conv–BN–ReLU–conv.

    Where the shape changes by a projection (shortcuts B and C), it sees what the first BN and ReLU
    put out, as the branch does; padding (A) sees x itself.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        stride: int,
        shortcut: str,
        normalisation: str = "batch",
    ):
        super().__init__()
        self.channels = channels_out
        self.activation: torch.nn.Module = _activation(channels_in)
        self.branch = nn.Sequential(
            convolution(channels_in, channels_out, 3, stride),
            _activation(channels_out),
            convolution(channels_out, channels_out, 3),
        )
        made = make_shortcut(channels_in, channels_out, stride, shortcut)
        self.projects = isinstance(made, nn.Sequential)
        self.shortcut = made[0] if isinstance(made, nn.Sequential) else made  # without its BN
        self.last: torch.nn.Module = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        active = self.activation(x)
        return self.last(self.branch(active) + self.shortcut(active if self.projects else x))


def finish(network: nn.Module) -> None:
    """The stem activates once for the first block, and the sum of the last block is activated."""
    first, *_, last = named_blocks(network).values()
    assert isinstance(first, Block) and isinstance(last, Block)
    first.activation = nn.Identity()
    last.last = _activation(last.channels)


def _activation(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU())
