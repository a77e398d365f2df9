"""The training loop: it knows a model, a data set and a recipe, and no family.

Errors are percentages, losses are mean cross-entropies in nats.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from resnet_study.augmentation import Augmentation
from resnet_study.checkpoints import Checkpoint, OutOfTime
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
    seconds: float = field(default=0.0, compare=False)  # of training, with its evaluations


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


class Training:
    """A training that can stop between any two steps and go on later, to the bit.

    ``seed`` decides the order of the data and their augmentation, alone: runs of the same
    seed see the same batches, whatever the model.
    """

    def __init__(self, model: nn.Module, data: Dataset, recipe: Recipe, seed: int):
        self.model = model.to(data.device)
        self.data = data
        self.recipe = recipe
        self.optimiser = make_optimiser(model, recipe)
        self.generator = torch.Generator(data.device).manual_seed(seed)
        if data.epoch_images % recipe.batch == 1:
            raise InputError(
                f"batch {recipe.batch} leaves a last batch of one image of {data.epoch_images}; "
                "accepted: any other, since batch normalisation needs two"
            )
        self.batches_per_epoch = math.ceil(data.epoch_images / recipe.batch)
        self.steps = self.batches_per_epoch * recipe.epochs
        self.step = 0  # optimiser steps done
        self.order: Tensor | None = None  # of the training images, in the present epoch
        self.score = Score(data.device)  # of the present epoch
        self.history = History()

    @property
    def finished(self) -> bool:
        return len(self.history.curve) == self.recipe.epochs or self.diverged

    @property
    def diverged(self) -> bool:
        return self.history.diverged_at is not None

    def rest_of_epoch(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of the present epoch that were not yet learnt from."""
        if self.order is None:
            self.order = self.data.draw_order(self.generator)
        done = self.step - len(self.history.curve) * self.batches_per_epoch
        rest = self.order[done * self.recipe.batch :]
        return self.data.training_batches(
            rest, self.recipe.batch, self.recipe.augmentation, self.generator
        )

    def learn(self, images: Tensor, labels: Tensor) -> None:
        """One optimiser step."""
        rate = learning_rate(self.recipe, self.step, self.steps)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.model.train()
        logits = self.model(images)
        loss = F.cross_entropy(logits, labels)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.score.add(logits, labels, loss)
        self.step += 1

    def close_epoch(self) -> None:
        """Evaluate, add a point to the curve, and get ready for the next epoch."""
        running = self.score.read()
        validation = evaluate(self.model, self.data, "validation", self.recipe.augmentation)
        if math.isfinite(running[1]) and math.isfinite(validation[1]):
            epoch = len(self.history.curve) + 1
            self.history.curve.append(Evaluation(epoch, self.step, *running, *validation))
        else:
            self.history.diverged_at = self.step
        self.order = None
        self.score = Score(self.data.device)

    def state_dict(self) -> dict:
        """All that the future depends on, in tensors and plain values."""
        return {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "generator": self.generator.get_state(),
            "random": torch.get_rng_state(),
            "step": self.step,
            "order": self.order,
            "score": (self.score.sums, self.score.count),
            "curve": [asdict(point) for point in self.history.curve],
            "seconds": self.history.seconds,
        }

    def load_state_dict(self, state: dict) -> None:
        """Go back to where :meth:`state_dict` was called."""
        device = self.data.device
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.generator.set_state(state["generator"])
        torch.set_rng_state(state["random"])
        self.step = state["step"]
        self.order = state["order"] if state["order"] is None else state["order"].to(device)
        sums, self.score.count = state["score"]
        self.score.sums = sums.to(device)
        self.history = History(
            [Evaluation(**point) for point in state["curve"]], seconds=state["seconds"]
        )


def train(
    model: nn.Module,
    data: Dataset,
    recipe: Recipe,
    *,
    seed: int,
    callbacks: Iterable[Callback] = (),
    checkpoint: Checkpoint | None = None,
    progress: bool = False,
) -> History:
    """Train ``model`` in place, on the device where ``data`` lie.

    With a ``checkpoint`` it goes on from what is saved there, and saves itself there from
    time to time. A loss that is not finite ends the training and is told in the history.

    Raises:
        OutOfTime: at the checkpoint's deadline; the training is saved.
        InputError: if the checkpoint is of another training or cannot be written.
    """
    training = Training(model, data, recipe, seed)
    saved = checkpoint.load() if checkpoint else None
    if saved:
        training.load_state_dict(saved)
    before, clock = training.history.seconds, time.perf_counter()

    def keep() -> None:
        training.history.seconds = before + time.perf_counter() - clock
        if checkpoint and checkpoint.due:
            checkpoint.save(training.state_dict())
            if checkpoint.out_of_time:
                raise OutOfTime(f"stopped at iteration {training.step} of {training.steps}")

    if training.step == 0:
        for callback in callbacks:
            callback(model, data, 0)
    bar = tqdm(initial=training.step, total=training.steps, unit="step", disable=not progress)
    with bar:
        while not training.finished:
            for images, labels in training.rest_of_epoch():
                training.learn(images, labels)
                bar.update()
                keep()
            training.close_epoch()
            if training.diverged:
                break
            last = training.history.curve[-1]
            bar.set_postfix_str(
                f"training {last.training_error:.1f} %, validation {last.validation_error:.1f} %"
            )
            for callback in callbacks:
                callback(model, data, training.step)
            keep()
    if not training.diverged:
        training.history.clean_training_error, _ = evaluate(
            model, data, "train", recipe.augmentation
        )
    training.history.seconds = before + time.perf_counter() - clock
    return training.history
