"""Train a few steps, alone or under torchrun, and write what was measured as JSON.

    python tests/few_steps.py OUTPUT STATE STEPS

goes on from STATE if it exists, and leaves the state after STEPS steps there. Batch normalisation
is in evaluation mode: in training mode each process has the statistics of its own share.
"""

import json
import sys
from pathlib import Path

import torch
from conftest import random_images
from torch import nn

from resnet_study.data.datasets import make_dataset
from resnet_study.models.networks import build_model
from resnet_study.processes import is_leader, processes
from resnet_study.training.checkpoints import Checkpoint
from resnet_study.training.distributed import process_group, total
from resnet_study.training.loop import Training, evaluate
from resnet_study.training.recipes import get_recipe

RECIPE = get_recipe("digits", epochs=2, batch=16)


def make_model() -> nn.Module:
    """A small residual net whose batch normalisation stays in evaluation mode."""
    torch.manual_seed(0)
    model = build_model("residual", 8, classes=3, channels=1, stem="small", width=2)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.train = lambda mode=True, module=module: module
            module.training = False
    return model


def measure(state: Path, steps: int) -> dict:
    """Losses and gradient norms of the steps, and the validation score after them."""
    # Uneven shares: 53 images in batches of 16 leave a last one of 5, 19 validate.
    data = make_dataset(random_images(53), random_images(19, seed=1))
    training = Training(make_model(), data, RECIPE, seed=0)
    checkpoint = Checkpoint(state, identity={})
    if saved := checkpoint.load():
        training.load_state_dict(saved)
    losses, norms = [], []
    while training.step < steps:
        for images, labels in training.rest_of_epoch():
            before = training.score.sums.clone()
            training.learn(images, labels)
            losses.append(total(training.score.sums - before)[1].item())
            norms.append(
                sum(p.grad.double().square().sum() for p in training.model.parameters()).item()
            )
            if training.step == steps:
                break
        else:
            training.close_epoch(training.evaluate())
    found = training.state_dict()
    if is_leader():
        checkpoint.save(found)
    return {
        "processes": processes(),
        "losses": losses,
        "squared_gradient_norms": norms,
        "images_of_epoch": found["score"][1],
        "validation": evaluate(training.model, data, "validation", RECIPE),
        "curve": found["curve"],
    }


if __name__ == "__main__":
    output, state, steps = sys.argv[1:]
    torch.set_num_threads(1)
    with process_group(torch.device("cpu")):
        measured = measure(Path(state), int(steps))
        if is_leader():
            Path(output).write_text(json.dumps(measured))
