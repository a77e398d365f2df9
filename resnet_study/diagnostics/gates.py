"""Inside the gates: what a record keeps of them, as its weights are not kept.

Measured on the clean validation images: before the first step and after the last.
"""

import copy
import math
from dataclasses import replace

import torch
from torch import Tensor, nn

from resnet_study.data.datasets import Dataset
from resnet_study.diagnostics.lesions import lesion_errors
from resnet_study.models.highway import highway_blocks, watch_gates
from resnet_study.training.loop import evaluate
from resnet_study.training.recipes import Recipe

DIGITS = 6  # significant ones that a record keeps
RECALIBRATION = 500  # training images that running statistics are measured on
SMALLEST = 1e-30  # a carry factor that float32 rounds to zero, so that its logarithm is finite
COLUMNS = ("block", "transform", "deviation", "class_share", "carry", "bias", "bias_deviation")


@torch.no_grad()
def measure_gates(model: nn.Module, data: Dataset, recipe: Recipe) -> dict[str, list]:
    """Columns with one entry a gated block, in the order of the blocks; in the model's mode.

    - ``block``: its name, ``stage1.1`` being the first.
    - ``transform``, ``deviation``: mean and standard deviation of T over images, channels and
      positions.
    - ``class_share``: how T differs by class. The share of the variance over images of a channel's
      mean T that lies between classes, over all channels; by chance alone it would be about
      (classes − 1) / (images − 1).
    - ``carry``: geometric mean of the factor of the shortcut, 1 − T or C. Multiplied up over the
      blocks it is the geometric mean of the carry product.
    - ``bias``, ``bias_deviation``: mean and standard deviation over channels of the transform
      gate's bias.
    """
    found: dict[str, list[tuple[Tensor, ...]]] = {name: [] for name in highway_blocks(model)}
    classes = []
    with watch_gates(model) as transforms, watch_gates(model, "carry") as carries:
        for images, labels in data.evaluation_batches("validation", recipe.augmentation):
            model(images)
            classes.append(labels)
            for name, t in transforms.items():
                t, c = t.double(), carries[name].double()
                logarithm = c.clamp(min=SMALLEST).log()
                means = (t, t**2, logarithm)
                found[name].append(tuple(x.mean(dim=(2, 3)) for x in means))
    labels = torch.cat(classes)
    columns: dict[str, list] = {name: [] for name in COLUMNS}
    for name, block in highway_blocks(model).items():
        t, square, logarithm = (torch.cat(p) for p in zip(*found[name], strict=True))
        variance = (square.mean() - t.mean() ** 2).clamp(min=0)
        shift = block.transform.shift.double()
        row = (
            t.mean(),
            variance.sqrt(),
            _class_share(t, labels),
            logarithm.mean().exp(),
            shift.mean(),
            shift.std(correction=0),
        )
        for column, value in zip(COLUMNS, (name, *map(_rounded, row)), strict=True):
            columns[column].append(value)
    return columns


def _class_share(values: Tensor, labels: Tensor) -> Tensor:
    """Variance between classes over variance, (images, channels) to a scalar; 0 without any."""
    total = values.var(dim=0, correction=0).sum()
    between = sum(
        (labels == label).double().mean()
        * (values[labels == label].mean(dim=0) - values.mean(dim=0)) ** 2
        for label in labels.unique()
    ).sum()
    return between / total if total > 0 else total


def _rounded(value: Tensor | float) -> float:
    return float(f"{float(value):.{DIGITS}g}")


def measure_start(model: nn.Module, data: Dataset, recipe: Recipe) -> dict[str, list]:
    """:func:`measure_gates` of an untrained model, with the statistics of each batch.

    Running statistics mean nothing yet. ``model`` is left as it is.
    """
    untrained = copy.deepcopy(model).to(data.device).train()
    return measure_gates(untrained, data, recipe)


def describe_gates(model: nn.Module, data: Dataset, recipe: Recipe, start: dict[str, list]) -> dict:
    """What a record holds of a trained model's gates: ``start``, ``end`` and ``lesions``."""
    return {
        "start": start,
        "end": measure_gates(model.eval(), data, recipe),
        "lesions": measure_lesions(model, data, recipe),
    }


def measure_lesions(model: nn.Module, data: Dataset, recipe: Recipe) -> dict[str, list]:
    """Validation error in percent without one gated block at a time.

    Columns ``block``, ``error``, and ``recalibrated``, as of
    :func:`resnet_study.diagnostics.lesions.lesions`. The model is left as it is.
    """

    def error(injured: nn.Module) -> float:
        return evaluate(injured, data, "validation", recipe)[0]

    spread = recalibration_images(data, recipe)
    table = lesion_errors(model, highway_blocks(model), spread, error)
    return {
        "block": table.block.tolist(),
        "error": table.error.map(_rounded).tolist(),
        "recalibrated": table.recalibrated.map(_rounded).tolist(),
    }


def recalibration_images(data: Dataset, recipe: Recipe) -> Tensor:
    """Clean training images, normalised float (n, C, H, W): at most ``RECALIBRATION``.

    Evenly spread over the set, and cut as the recipe evaluates them.
    """
    spread = torch.arange(0, len(data.train), math.ceil(len(data.train) / RECALIBRATION))
    some = replace(data, train=data.train.take(spread.to(data.device)))
    return next(some.evaluation_batches("train", recipe.augmentation, batch=RECALIBRATION))[0]
