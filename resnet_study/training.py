"""The training loop: it knows a model, a data set and a recipe, and no family.

Errors are percentages, losses are mean cross-entropies in nats.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from resnet_study.augmentation import Augmentation
from resnet_study.data import Dataset
from resnet_study.errors import InputError
from resnet_study.recipes import Recipe, learning_rate


@dataclass(frozen=True)
class Evaluation:
    """One point of a curve, at the end of an epoch.

    ``training_error`` and ``training_loss`` are running: over the epoch's augmented
    batches, each as the network stood when it saw it.
    """

    epoch: int
    iteration: int  # optimiser steps done
    training_error: float
    training_loss: float
    validation_error: float
    validation_loss: float


@dataclass
class History:
    """What a training leaves behind besides the model."""

    curve: list[Evaluation] = field(default_factory=list)
    clean_training_error: float | None = None  # evaluation mode, no augmentation, at the end
    diverged_at: int | None = None  # iteration at which a loss was first found not finite


Callback = Callable[[nn.Module, Dataset, int], None]
"""Called with model, data and iteration before the first step and after each evaluation."""


class Score:
    """Error and loss summed on the device, read once at the end: no waiting in between."""

    def __init__(self, device: torch.device):
        self.sums = torch.zeros(2, dtype=torch.float64, device=device)
        self.count = 0

    def add(self, logits: Tensor, labels: Tensor, loss: Tensor) -> None:
        """Count a batch: logits (n, classes), labels (n), mean loss."""
        wrong = (logits.argmax(dim=1) != labels).sum()
        self.sums += torch.stack([wrong.double(), loss.detach().double() * len(labels)])
        self.count += len(labels)

    def read(self) -> tuple[float, float]:
        """(error in percent, mean loss)."""
        wrong, loss = (self.sums / self.count).tolist()
        return 100 * wrong, loss


def choose_device(name: str = "auto") -> torch.device:
    """``auto``: the GPU where there is one, else the CPU; or ``cpu``, ``cuda``, ``cuda:1``, …

    Raises:
        InputError: for a device that does not exist on this machine.
    """
    gpus = torch.cuda.device_count()
    if name == "auto":
        return torch.device("cuda" if gpus else "cpu")
    accepted = ["auto", "cpu"] + (["cuda"] if gpus else []) + [f"cuda:{i}" for i in range(gpus)]
    if name not in accepted:
        raise InputError(f"device {name!r} is not here; accepted: {', '.join(accepted)}")
    return torch.device(name)


@torch.no_grad()
def evaluate(
    model: nn.Module, data: Dataset, split: str, augmentation: Augmentation
) -> tuple[float, float]:
    """Error (percent) and loss on the clean ``"train"`` or ``"validation"`` images."""
    model.eval()
    score = Score(data.device)
    for images, labels in data.evaluation_batches(split, augmentation):
        logits = model(images)
        score.add(logits, labels, F.cross_entropy(logits, labels))
    return score.read()


def make_optimiser(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Stochastic gradient descent with momentum, all parameters decayed alike, as in the paper."""
    return torch.optim.SGD(
        model.parameters(),
        lr=recipe.rate,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        fused=True,
    )


def train_epoch(
    model: nn.Module,
    data: Dataset,
    recipe: Recipe,
    optimiser: torch.optim.Optimizer,
    rates: Iterable[float],
    generator: torch.Generator,
) -> tuple[float, float]:
    """One pass over the training set, one of ``rates`` a step; running error and loss."""
    model.train()
    score = Score(data.device)
    batches = data.training_batches(recipe.batch, recipe.augmentation, generator)
    for (images, labels), rate in zip(batches, rates, strict=True):
        for group in optimiser.param_groups:
            group["lr"] = rate
        logits = model(images)
        loss = F.cross_entropy(logits, labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        score.add(logits, labels, loss)
    return score.read()


def train(
    model: nn.Module,
    data: Dataset,
    recipe: Recipe,
    *,
    seed: int,
    callbacks: Iterable[Callback] = (),
    progress: bool = False,
) -> History:
    """Train ``model`` in place, on the device where ``data`` lie.

    ``seed`` decides the order of the data and their augmentation, alone: runs of the same
    seed see the same batches, whatever the model. A loss that is not finite ends the
    training and is told in the history.
    """
    model.to(data.device)
    generator = torch.Generator(data.device).manual_seed(seed)
    optimiser = make_optimiser(model, recipe)
    per_epoch = math.ceil(len(data.train) / recipe.batch)
    steps = per_epoch * recipe.epochs
    rates = iter([learning_rate(recipe, step, steps) for step in range(steps)])
    history = History()
    for callback in callbacks:
        callback(model, data, 0)
    bar = tqdm(range(1, recipe.epochs + 1), unit="epoch", disable=not progress)
    for epoch in bar:
        epoch_rates = [next(rates) for _ in range(per_epoch)]
        running = train_epoch(model, data, recipe, optimiser, epoch_rates, generator)
        validation = evaluate(model, data, "validation", recipe.augmentation)
        iteration = epoch * per_epoch
        if not (math.isfinite(running[1]) and math.isfinite(validation[1])):
            history.diverged_at = iteration
            return history
        history.curve.append(Evaluation(epoch, iteration, *running, *validation))
        bar.set_postfix_str(f"training {running[0]:.1f} %, validation {validation[0]:.1f} %")
        for callback in callbacks:
            callback(model, data, iteration)
    history.clean_training_error, _ = evaluate(model, data, "train", recipe.augmentation)
    return history
