"""What goes on inside a net of the digits recipe, from its first step to its last.

Weights are not kept, so the net of a run is trained once more and watched: the same seed, so on the
machine of its record the same net.
"""

import pandas as pd
import torch
from torch import Tensor, nn

from resnet_study.data.datasets import Dataset, load_data
from resnet_study.diagnostics.growth import growth
from resnet_study.diagnostics.inspection import calibrate
from resnet_study.diagnostics.lesions import lesions
from resnet_study.diagnostics.norms import layer_norms
from resnet_study.diagnostics.responses import layer_responses
from resnet_study.diagnostics.shattering import gradient_autocorrelation, line
from resnet_study.pipeline.networks import make_model
from resnet_study.pipeline.run import Run
from resnet_study.training.loop import train
from resnet_study.training.recipes import Recipe, get_recipe

POINTS = 64  # on a line between two images
LAGS = [1, 2, 4, 8]
LINES = 8


def chain(model: nn.Module) -> dict[str, int]:
    """Outputs of stem and blocks, which a gradient passes one after another, to their layer.

    The stem is layer 1, and a block has two: plain and residual nets are measured at the same
    places.
    """
    blocks = [f"stages.{s}.{b}" for s, stage in enumerate(model.stages) for b in range(len(stage))]
    return {"stem": 1} | {name: 2 * i + 3 for i, name in enumerate(blocks)}


def batch_of(data: Dataset, split: str, recipe: Recipe, size: int) -> tuple[Tensor, Tensor]:
    """Clean, normalised images (n, C, H, W) and labels (n): the first ``size`` of a split."""
    return next(iter(data.evaluation_batches(split, recipe.augmentation, batch=size)))


def measure(
    recipe: str,
    family: str,
    depth: int,
    seed: int,
    normalisation: str,
    moments: list[int],
    batch: int,
    **changes: object,
) -> dict[str, pd.DataFrame]:
    """Tables of one training; ``changes`` are of the recipe.

    - ``norms``: at each of ``moments`` (iterations) the table of ``layer_norms`` for the layers of
      :func:`chain`, with the statistics of the batch; ``position`` is the layer.
    - ``growth``: at each of them factor and total of the gradient over that chain.
    - ``lesions``: at the end, by block; columns of ``diagnostics.lesions``, and ``whole``, the
      validation error of the net that has all of them.
    - ``responses``: at the end, by layer (none without batch normalisation).
    - ``shattering``: autocorrelation of input gradients on lines between images, at the
      start and at the end; one row a line and lag.
    - ``curve``: errors by epoch.

    A training that diverges has norms up to then, and no table of its end.
    """
    plan = get_recipe(recipe, **changes)
    run = Run(plan, family, depth, seed, normalisation=normalisation)
    data = load_data(plan.data, plan.held_out)
    torch.manual_seed(seed)
    model = make_model(run, data)
    images, labels = batch_of(data, "train", plan, batch)
    norms, grown = [], []

    def watch(model: nn.Module, data: Dataset, iteration: int) -> None:
        if iteration not in moments:
            return
        was_training = model.training
        layers = chain(model)
        table = layer_norms(model.train(), images, labels, layers)
        model.train(was_training)
        table = table.assign(position=table.layer.map(layers))
        found = growth(table)
        norms.append(table.drop(columns="weight_gradient").assign(iteration=iteration))
        grown.append({"iteration": iteration, "factor": found.factor, "total": found.total})

    ends = images[: 2 * LINES]
    shattered = [_shattering(_calibrated(run, data, images), ends, "start")]
    history = train(model, data, plan, seed=seed, callbacks=[watch], moments=moments)
    tables = {
        "norms": pd.concat(norms, ignore_index=True),
        "growth": pd.DataFrame(grown),
        "curve": pd.DataFrame([vars(point) for point in history.curve]),
    }
    if history.diverged_at is None:
        model.eval()
        shattered.append(_shattering(model, ends, "end"))
        validation = batch_of(data, "validation", plan, len(data.validation))
        tables["lesions"] = lesions(model, *validation, recalibration=images).assign(
            whole=history.curve[-1].validation_error
        )
        if normalisation == "batch":
            tables["responses"] = layer_responses(model, images)
    return tables | {"shattering": pd.concat(shattered, ignore_index=True)}


def _calibrated(run: Run, data: Dataset, images: Tensor) -> nn.Module:
    """The untrained net of ``run``, with the statistics of ``images``."""
    torch.manual_seed(run.seed)
    model = make_model(run, data)
    calibrate(model, images)
    return model


def _shattering(model: nn.Module, ends: Tensor, when: str) -> pd.DataFrame:
    """Autocorrelation on lines from each even one of ``ends`` to the next odd one."""
    lines = [line(start, end, POINTS) for start, end in zip(ends[::2], ends[1::2], strict=True)]
    tables = [gradient_autocorrelation(model, inputs, LAGS) for inputs in lines]
    numbered = [table.assign(line=number) for number, table in enumerate(tables)]
    return pd.concat(numbered).assign(when=when)
