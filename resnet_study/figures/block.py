"""Blocks and nets as they are built: diagrams, layout and cost."""

import matplotlib.pyplot as plt
import pandas as pd
import torch
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from torch import nn

from resnet_study.figures.style import FAMILY_COLOURS, NEUTRAL
from resnet_study.models.blocks import PaddedIdentity, PlainBlock, ResidualBlock
from resnet_study.models.highway import HighwayBlock
from resnet_study.models.networks import Network, build_model, count_multiply_adds, count_parameters
from resnet_study.models.options import Gates
from resnet_study.questions.words import network

BRANCH = NEUTRAL[0]  # colour of the branch, which all families have
SHORTCUT = FAMILY_COLOURS["residual"]  # colour of the shortcut
GATE = FAMILY_COLOURS["highway"]  # colour of the gate
INK = "#222222"  # of text and lines
OPERATIONS = "+×"  # stand in a circle, all else in a box
# Rows, counted from the top.
INPUT = 0  # row of the input
FORKS = {SHORTCUT: 0.3, GATE: 0.5}  # rows where shortcut and gate fork off
FIRST = {BRANCH: 1, SHORTCUT: 3, GATE: 4}  # row of the first layer of each path
MULTIPLICATION = 6  # row of the products with the gate
ADDITION = 7  # row where the paths are added
RELU = 8  # row of the last ReLU
OUTPUT = 9  # row of the output


def same_shape(channels: int = 64) -> Figure:
    """A plain, a residual and a Highway block whose output has the shape of their input."""
    shape = (channels, channels, 1, "A")
    return _figure(
        {
            "plain": PlainBlock(*shape),
            "residual": ResidualBlock(*shape),
            "Highway": HighwayBlock(*shape, Gates()),
        }
    )


def new_shape(channels: int = 64) -> Figure:
    """Residual blocks that halve the resolution and double the channels: shortcuts A and B."""
    return _figure(
        {
            f"residual, shortcut {option}": ResidualBlock(channels, 2 * channels, 2, option)
            for option in ("A", "B")
        }
    )


def layers(path: nn.Module) -> list[str]:
    """What a branch, a shortcut or a gate does, layer by layer; nothing for an identity.

    Raises:
        TypeError: for a layer that there is no name for.
    """
    match path:
        case nn.Identity():
            return []
        case nn.Sequential():
            return [text for layer in path for text in layers(layer)]
        case nn.Conv2d():
            size = "×".join(map(str, path.kernel_size))
            bias = "\n+ b" if path.bias is not None else ""
            stride = f"\nstride {path.stride[0]}" if path.stride[0] > 1 else ""
            return [f"{size} conv, {path.out_channels}{bias}{stride}"]
        case PaddedIdentity():
            return [f"stride {path.stride},\npad with zeros"]
        case nn.BatchNorm2d():
            return ["BN"]
        case nn.ReLU():
            return ["ReLU"]
        case nn.Sigmoid():
            return ["sigmoid"]
    raise TypeError(f"a diagram has no name for {type(path).__name__}")


def _figure(blocks: dict[str, nn.Module]) -> Figure:
    """Diagrams side by side, by title; each as wide as its block has paths."""
    widths = [1 + hasattr(b, "shortcut") + hasattr(b, "transform") for b in blocks.values()]
    figure, panels = plt.subplots(
        1, len(blocks), figsize=(1.25 * sum(widths), 5.4), width_ratios=widths, layout="constrained"
    )
    for axes, (title, block), width in zip(panels, blocks.items(), widths, strict=True):
        axes.set(xlim=(-0.5, width - 0.5), ylim=(OUTPUT + 0.3, INPUT - 0.3), title=title)
        axes.axis("off")
        _draw(axes, block, width - 1)
    return figure


def _draw(axes: plt.Axes, block: nn.Module, last: int) -> None:
    """The branch in column 0, the shortcut in the ``last`` one, the gate between them."""
    gated = {MULTIPLICATION: "×"} if hasattr(block, "transform") else {}
    added = {ADDITION: "+"} if last else {}
    branch = _rows(BRANCH, block.branch) | gated | added
    _chain(axes, 0, branch, BRANCH, start=INPUT + 0.2)
    if last:
        end = _path(axes, last, _rows(SHORTCUT, block.shortcut) | gated, SHORTCUT)
        axes.plot([last, last], [end, ADDITION], color=SHORTCUT)
        _arrow(axes, (last, ADDITION), (0.11, ADDITION), SHORTCUT)
    if gated:
        end = _path(axes, 1, _rows(GATE, block.transform), GATE)
        axes.plot([1, 1], [end, MULTIPLICATION], color=GATE)
        for factor, column in {"T": 0.11, "1 − T": 1.89}.items():
            _arrow(axes, (1, MULTIPLICATION), (column, MULTIPLICATION), GATE)
            _text(axes, (1 + column) / 2, MULTIPLICATION - 0.25, factor)
    end = _chain(axes, 0, {RELU: "ReLU"}, INK, start=max(branch) + _reach(branch[max(branch)]))
    _arrow(axes, (0, end), (0, OUTPUT - 0.2), INK)
    _text(axes, 0, INPUT, "x")
    _text(axes, 0, OUTPUT, "y")


def _rows(path: str, module: nn.Module) -> dict[int, str]:
    """The layers of a branch, shortcut or gate (by its colour), and the rows they stand in."""
    return dict(enumerate(layers(module), start=FIRST[path]))


def _path(axes: plt.Axes, column: int, rows: dict[int, str], colour: str) -> float:
    """A path that forks off from the branch; returns where it ends."""
    fork = FORKS[colour]
    axes.plot([0, column], [fork, fork], color=colour)
    return _chain(axes, column, rows, colour, start=fork)


def _chain(axes: plt.Axes, column: int, rows: dict[int, str], colour: str, start: float) -> float:
    """Layers and operations in one column, joined by arrows from ``start``; returns the end."""
    for row, text in sorted(rows.items()):
        reach = _reach(text)
        _arrow(axes, (column, start), (column, row - reach), colour)
        if text in OPERATIONS:
            axes.plot(column, row, "o", markersize=15, color="none", markeredgecolor=INK)
        else:
            corner = (column - 0.44, row - reach)
            box = FancyBboxPatch(
                corner, 0.88, 2 * reach, "round,pad=0,rounding_size=0.06", ec=colour, fc="none"
            )
            axes.add_patch(box)
        _text(axes, column, row, text)
        start = row + reach
    return start


def _reach(text: str) -> float:
    """Half the height of what stands for ``text``, in rows."""
    return 0.2 if text in OPERATIONS else 0.33


def _arrow(axes: plt.Axes, start: tuple, end: tuple, colour: str) -> None:
    style = {"arrowstyle": "-|>", "color": colour, "shrinkA": 0, "shrinkB": 0, "lw": 1.5}
    axes.annotate("", xy=end, xytext=start, arrowprops=style)


def _text(axes: plt.Axes, column: float, row: float, text: str) -> None:
    axes.text(column, row, text, ha="center", va="center", fontsize=9, color=INK)


IMAGE = (3, 224, 224)  # channels, height and width of an image of ImageNet
CLASSES = 1000
DEPTHS = (18, 34)
# Family, what tells its variants apart, and the options that make them.
VARIANTS = (
    ("plain", "", {}),
    ("residual", "shortcut A", {"shortcut": "A"}),
    ("residual", "shortcut B", {"shortcut": "B"}),
    ("residual", "shortcut C", {"shortcut": "C"}),
    ("highway", "shortcut A, 1×1 gates", {"gates": Gates(kernel=1)}),
    ("highway", "shortcut A, 3×3 gates", {"gates": Gates(kernel=3)}),
)


def build_for_imagenet(family: str, depth: int, **options) -> Network:
    """A net for ImageNet without memory or arithmetic: of shape-only "meta" tensors.

    Raises:
        InputError: as :func:`resnet_study.models.networks.build_model` does.
    """
    with torch.device("meta"):
        return build_model(family, depth, classes=CLASSES, **options).eval()


def layout() -> pd.DataFrame:
    """From image to logits: parts of a net, and what plain nets of each depth have in them.

    Columns part, made of, output (channels × height × width), and one for each depth.
    """
    columns = {}
    for depth in DEPTHS:
        model = build_for_imagenet("plain", depth)
        _, outputs = model(torch.empty(1, *IMAGE, device="meta"), return_stages=True)
        blocks = [f"{len(stage)} blocks" for stage in model.stages]
        columns[f"{depth} layers"] = ["1 layer", *blocks, "1 layer"]
    shapes = [" × ".join(map(str, output.shape[1:])) for output in outputs.values()]
    stages = len(shapes) - 1
    return pd.DataFrame(
        {
            "part": [name.replace("stage", "stage ") for name in outputs] + ["classifier"],
            "made of": [
                "7×7 convolution, 3×3 max-pooling",
                *["blocks of two layers"] * stages,
                "mean over pixels, linear layer",
            ],
            "output": [*shapes, str(CLASSES)],
            **columns,
        }
    )


def costs() -> pd.DataFrame:
    """Parameters and multiply-adds for one image of each kind of net, and beside the plain one's.

    Columns family, variant, depth, network, parameters, multiply_adds; extra_parameters and
    extra_multiply_adds are in percent of the plain net of the same depth.
    """
    rows = []
    for depth in DEPTHS:
        for family, variant, options in VARIANTS:
            model = build_for_imagenet(family, depth, **options)
            size, cost = count_parameters(model), count_multiply_adds(model, IMAGE)
            if family == "plain":
                plain = size, cost
            rows.append(
                {
                    "family": family,
                    "variant": variant,
                    "depth": depth,
                    "network": network(family, depth),
                    "parameters": size,
                    "multiply_adds": cost,
                    "extra_parameters": 100 * (size / plain[0] - 1),
                    "extra_multiply_adds": 100 * (cost / plain[1] - 1),
                }
            )
    return pd.DataFrame(rows)
