"""The loss around trained nets of the digits recipe: Li et al. 2018, arXiv 1712.09913.

The net of a run is trained once more, as weights are not kept; see
:mod:`resnet_study.diagnostics.landscape`.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from resnet_study import paths
from resnet_study.data.datasets import load_data
from resnet_study.diagnostics.landscape import evaluate_landscape
from resnet_study.pipeline.anatomy import batch_of
from resnet_study.pipeline.networks import make_model
from resnet_study.pipeline.run import Run
from resnet_study.training.loop import train
from resnet_study.training.recipes import get_recipe

WORK = paths.BUILD / "landscapes"  # what an interrupted evaluation goes on from; not committed


def measure(
    recipe: str,
    family: str,
    depth: int,
    seed: int,
    points: int,
    reach: float,
    directions: int,
    work: Path = WORK,
    **changes: object,
) -> dict[str, pd.DataFrame]:
    """Tables ``landscape``, of ``evaluate_landscape`` on all clean training images, and ``final``.

    ``points`` coordinates from ``-reach`` to ``reach`` each way, along two filter-normalised
    directions drawn by the seed ``directions``; ``final`` has the errors of the trained net.
    ``changes`` are of the recipe.
    """
    plan = get_recipe(recipe, **changes)
    run = Run(plan, family, depth, seed)
    data = load_data(plan.data, plan.held_out)
    torch.manual_seed(seed)
    model = make_model(run, data)
    history = train(model, data, plan, seed=seed)
    images, labels = batch_of(data, "train", plan, len(data.train))
    axis = np.linspace(-reach, reach, points).tolist()
    work.mkdir(parents=True, exist_ok=True)
    table = evaluate_landscape(
        model.eval(),
        images,
        labels,
        seed=directions,
        a=axis,
        b=axis,
        path=work / f"{run.name}.landscape",
    )
    final = {
        "clean_training_error": history.clean_training_error,
        "validation_error": history.curve[-1].validation_error,
    }
    return {"landscape": table, "final": pd.DataFrame([final])}
