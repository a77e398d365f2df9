"""The training loop: it knows a model, a data set and a recipe, and no family.

In several processes (see :mod:`resnet_study.training.distributed`) each learns from its share of
every batch. Errors are percentages, losses are mean cross-entropies in nats.
"""

import math
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, astuple, dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.optim.swa_utils import update_bn

from resnet_study.data.datasets import Dataset
from resnet_study.errors import InputError, OutOfTime
from resnet_study.processes import is_leader, processes, share
from resnet_study.signals import Stopped, held, let_through, waiting
from resnet_study.training.checkpoints import Checkpoint
from resnet_study.training.distributed import (
    average_statistics,
    leader_first,
    leaders,
    own_gpu,
    parallel,
    total,
)
from resnet_study.training.graphs import GraphedGradients
from resnet_study.training.recipes import Recipe, learning_rate


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
    # Of clean images in evaluation mode, as the validation error is: of ``data.sample``.
    clean_training_error: float


@dataclass
class History:
    """What a training leaves behind besides the model."""

    curve: list[Evaluation] = field(default_factory=list)
    # Of all training images, in evaluation mode and without augmentation, at the end.
    clean_training_error: float | None = None
    wrong_images: list[bool] | None = None  # of the validation set, in its order, at the end
    ten_crop_error: float | None = None  # validation, at the end, if the recipe says so
    diverged_at: int | None = None  # iteration at which a loss was first found not finite
    seconds: float = field(default=0.0, compare=False)  # of training, with its evaluations
    # What is known of each part of a training that was interrupted, and its first ``iteration``.
    parts: list[dict] = field(default_factory=list, compare=False)


Report = Callable[[int, int, Evaluation | None], None]
"""Called with the steps done, those of the whole training, and the evaluation just made, if any;
see :mod:`resnet_study.training.progress`."""

Callback = Callable[[nn.Module, Dataset, int], None]
"""Called with model, data and iteration before the first step, after each evaluation, and
after the steps that ``train`` is given as ``moments``; it may switch the model's mode."""


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

    def over_processes(self) -> tuple[Tensor, int]:
        """Wrong answers and summed loss (2), and number of images, of all processes together."""
        count = torch.tensor(self.count, device=self.sums.device)
        return total(self.sums), int(total(count))

    def read(self) -> tuple[float, float]:
        """(error in percent, mean loss), over all processes."""
        sums, count = self.over_processes()
        wrong, loss = (sums / count).tolist()
        return 100 * wrong, loss


def choose_device(name: str = "auto") -> torch.device:
    """``auto``: the GPU where there is one, else the CPU; or ``cpu``, ``cuda``, ``cuda:1``, …

    Under ``torchrun`` each process has a GPU of its own.

    Raises:
        InputError: for a device that does not exist on this machine, or fewer GPUs than
            processes.
    """
    # A driver too old for torch counts its GPUs, and none of them can be used.
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        name = "cuda" if gpus else "cpu"
    accepted = ["auto", "cpu"] + (["cuda"] if gpus else [])
    if processes() == 1:
        accepted += [f"cuda:{i}" for i in range(gpus)]
    if name not in accepted:
        raise InputError(f"device {name!r} is not here; accepted: {', '.join(accepted)}")
    return own_gpu() if name == "cuda" else torch.device(name)


def set_precision(recipe: Recipe) -> None:
    """Let GPUs round the factors of float32 products if, and only if, the recipe says so."""
    allowed = recipe.precision == "tensorfloat32"
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = allowed


def forward(model: nn.Module, images: Tensor, recipe: Recipe) -> Tensor:
    """Logits (n, classes) in float32; the pass is in the recipe's precision.

    bfloat16 needs no scaling of the loss, as its exponents reach as far as float32's.
    TensorFloat32 is a way in which GPUs multiply float32: elsewhere it is float32 itself.
    """
    half = recipe.precision == "bfloat16"
    # A weight is used once in a pass: nothing to cache.
    with torch.autocast(images.device.type, torch.bfloat16, enabled=half, cache_enabled=False):
        return model(images).float()


class Forward(nn.Module):
    """:func:`forward` as a module, for what wants one."""

    def __init__(self, model: nn.Module, recipe: Recipe):
        super().__init__()
        self.model = model
        self.recipe = recipe

    def forward(self, images: Tensor) -> Tensor:
        return forward(self.model, images, self.recipe)


@torch.no_grad()
def evaluate(model: nn.Module, data: Dataset, split: str, recipe: Recipe) -> tuple[float, float]:
    """Error (percent) and loss on clean images: ``"train"``, its ``"sample"``, ``"validation"``."""
    model.eval()
    average_statistics(model)
    score = Score(data.device)
    for images, labels in data.evaluation_batches(split, recipe.augmentation):
        logits = forward(model, images, recipe)
        score.add(logits, labels, F.cross_entropy(logits, labels))
    return score.read()


@torch.no_grad()
def find_wrong(model: nn.Module, data: Dataset, recipe: Recipe) -> Tensor:
    """Which validation images get a wrong answer: bool (N), in the order of the set."""
    model.eval()
    average_statistics(model)
    wrong = torch.zeros(len(data.validation), dtype=torch.int64, device=data.device)
    mine = [
        forward(model, images, recipe).argmax(dim=1) != labels
        for images, labels in data.evaluation_batches("validation", recipe.augmentation)
    ]
    if mine:
        share(wrong).copy_(torch.cat(mine))
    return total(wrong).bool()


@torch.no_grad()
def evaluate_ten_crops(model: nn.Module, data: Dataset, recipe: Recipe) -> float:
    """Validation error (percent), the probabilities averaged over ten crops of each image.

    As in Table 2 of He et al. 2015; Krizhevsky, Sutskever & Hinton 2012, section 4.1.
    """
    model.eval()
    average_statistics(model)
    score = Score(data.device)
    for crops, labels in data.ten_crop_batches(recipe.augmentation):
        logits = forward(model, crops.flatten(0, 1), recipe).unflatten(0, crops.shape[:2])
        mean = logits.softmax(dim=2).mean(dim=1).log()
        score.add(mean, labels, F.nll_loss(mean, labels))
    return score.read()[0]


@torch.no_grad()
def reestimate_statistics(
    model: nn.Module, data: Dataset, recipe: Recipe, generator: torch.Generator
) -> None:
    """Set the statistics of batch normalisation to their averages over one training epoch.

    The trained weights no longer change while they are taken, as in the networks that the
    authors published; moving averages lag behind.
    """
    order = data.draw_order(generator)
    batches = data.training_batches(order, recipe.batch, recipe.augmentation, generator)
    update_bn(batches, Forward(model, recipe))
    average_statistics(model)


def make_optimiser(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Stochastic gradient descent with momentum, all parameters decayed alike, as in the paper."""
    return torch.optim.SGD(
        model.parameters(),
        lr=recipe.rate,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
        fused=True,
    )


def require_batches(recipe: Recipe, images: int) -> None:
    """Raise :class:`InputError` unless ``images`` fill a batch, and the last one for all of us."""
    if recipe.batch > images:
        raise InputError(
            f"batch {recipe.batch} is larger than the training set; accepted: up to its "
            f"{images} images"
        )
    last = images % recipe.batch or recipe.batch
    if last // processes() < 2:
        raise InputError(
            f"batch {recipe.batch} leaves a last batch of {last} of {images} images "
            f"to {processes()} process(es); accepted: two or more to each, since batch "
            "normalisation needs them"
        )


class Training:
    """A training that can stop between any two steps and go on later, to the bit.

    ``seed`` decides the order of the data and their augmentation, alone: runs of the same
    seed see the same batches, whatever the model.
    """

    def __init__(self, model: nn.Module, data: Dataset, recipe: Recipe, seed: int):
        self.on_gpu = data.device.type == "cuda"
        if self.on_gpu:
            torch.cuda.set_device(data.device)  # whose streams a graph is captured from
        set_precision(recipe)
        layout = torch.channels_last if self.on_gpu else torch.preserve_format
        # torch documents memory_format, and leaves it out of its signatures.
        model.to(data.device, memory_format=layout)  # pyright: ignore[reportCallIssue]
        self.model = model
        self.network = parallel(self.model)
        self.data = data
        self.recipe = recipe
        self.optimiser = make_optimiser(self.model, recipe)
        self.plateau: ReduceLROnPlateau | None = None
        if recipe.patience:  # less one, or it would wait for one epoch more
            self.plateau = ReduceLROnPlateau(
                self.optimiser, factor=0.1, patience=recipe.patience - 1
            )
        self.graphed = GraphedGradients(self.gradients, self.model)
        self.generator = torch.Generator(data.device).manual_seed(seed)
        self.batches_per_epoch = math.ceil(data.epoch_images / recipe.batch)
        self.steps = self.batches_per_epoch * recipe.epochs
        self.step = 0  # optimiser steps done
        self.order: Tensor | None = None  # of the training images, in the present epoch
        self.score = Score(data.device)  # of the present epoch
        self.history = History()

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do: all epochs are done, or it diverged."""
        return len(self.history.curve) == self.recipe.epochs or self.diverged

    @property
    def diverged(self) -> bool:
        """Whether a loss was found not finite."""
        return self.history.diverged_at is not None

    @property
    def step_of_epoch(self) -> int:
        """Optimiser steps done in the present epoch."""
        return self.step - len(self.history.curve) * self.batches_per_epoch

    def rest_of_epoch(self) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of the present epoch that were not yet learnt from."""
        self.network.train()
        if self.order is None:
            # GPUs of different models may draw different orders.
            self.order = leaders(self.data.draw_order(self.generator))
        rest = self.order[self.step_of_epoch * self.recipe.batch :]
        return self.data.training_batches(
            rest, self.recipe.batch, self.recipe.augmentation, self.generator
        )

    def gradients(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (n, classes) and mean loss of this process's share of a batch.

        Leaves the gradients of the whole batch's mean loss in the parameters.
        """
        logits = forward(self.network, images, self.recipe)
        loss = F.cross_entropy(logits, labels)
        # Gradients are averaged over processes, but their shares of a batch may differ by one.
        batch = min(
            self.recipe.batch, self.data.epoch_images - self.step_of_epoch * self.recipe.batch
        )
        self.optimiser.zero_grad()
        (loss * (len(labels) * processes() / batch)).backward()
        return logits.detach(), loss.detach()

    def learn(self, images: Tensor, labels: Tensor) -> None:
        """One optimiser step, from this process's share of a batch."""
        if not self.plateau:
            rate = learning_rate(self.recipe, self.step, self.steps)
            for group in self.optimiser.param_groups:
                group["lr"] = rate
        graph = self.on_gpu and processes() == 1 and len(labels) == self.recipe.batch
        logits, loss = (self.graphed if graph else self.gradients)(images, labels)
        if self.recipe.clip:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        self.optimiser.step()
        self.score.add(logits, labels, loss)
        self.step += 1

    def evaluate(self) -> Evaluation | None:
        """The point of the curve at the end of the present epoch, None where a loss is not finite.

        Changes nothing that the training depends on.
        """
        running = self.score.read()
        validation = evaluate(self.model, self.data, "validation", self.recipe)
        if not math.isfinite(running[1]) or not math.isfinite(validation[1]):
            return None
        clean, _ = evaluate(self.model, self.data, "sample", self.recipe)
        return Evaluation(len(self.history.curve) + 1, self.step, *running, *validation, clean)

    def close_epoch(self, point: Evaluation | None) -> None:
        """Add what :meth:`evaluate` found to the curve, and get ready for the next epoch."""
        if point is None:
            self.history.diverged_at = self.step
        else:
            self.history.curve.append(point)
            if self.plateau:
                self.plateau.step(point.training_error)
        self.order = None
        self.score = Score(self.data.device)

    def state_dict(self) -> dict:
        """All that the future depends on, in tensors and plain values; the same in all processes.

        Processes that train together have to call it together.
        """
        average_statistics(self.model)
        return {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "plateau": self.plateau and self.plateau.state_dict(),
            "generator": self.generator.get_state(),
            "random": torch.get_rng_state(),
            "step": self.step,
            "steps": self.steps,
            "order": self.order,
            "score": self.score.over_processes(),
            "curve": [asdict(point) for point in self.history.curve],
            "seconds": self.history.seconds,
            "parts": self.history.parts,
        }

    def load_state_dict(self, state: dict) -> None:
        """Go back to where :meth:`state_dict` was called."""
        device = self.data.device
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.plateau:
            self.plateau.load_state_dict(state["plateau"])
        self.generator.set_state(state["generator"])
        torch.set_rng_state(state["random"])
        self.step = state["step"]
        self.order = state["order"] if state["order"] is None else state["order"].to(device)
        if is_leader():  # the sum over the processes is so the saved one, however many there are
            sums, self.score.count = state["score"]
            self.score.sums = sums.to(device)
        self.history = History(
            [Evaluation(**point) for point in state["curve"]],
            seconds=state["seconds"],
            parts=state["parts"],
        )

    def require_possible(self) -> None:
        """Raise ValueError or the like for a loaded state that no training of this kind can reach.

        Loading finds other weights by itself; this is what a later step would stumble over.
        """
        history, momenta = self.history, self.optimiser.state.items()
        options = self.optimiser.defaults.items()
        possible = (
            isinstance(self.step, int) and 0 <= self.step <= self.steps,
            0 <= self.step_of_epoch <= self.batches_per_epoch,
            self.order is None or self._can_be_an_order(self.order),
            self.score.sums.shape == (2,) and self.score.count >= 0,
            all(kept["momentum_buffer"].shape == part.shape for part, kept in momenta),
            all(_alike(g[name], o) for g in self.optimiser.param_groups for name, o in options),
            all(math.isfinite(x) for point in history.curve for x in astuple(point)),
            history.seconds >= 0 and all("iteration" in part for part in history.parts),
        )
        if not all(possible):
            raise ValueError(f"which of these can be: {possible}")

    def _can_be_an_order(self, order: Tensor) -> bool:
        """Whether it names images of the training set, as many as an epoch has."""
        images = order.reshape(len(order), -1)[:, 0]
        return (
            order.dtype == torch.int64
            and len(order) == self.data.epoch_images
            and bool(0 <= images.min() <= images.max() < len(self.data.train))
        )


def _alike(found: object, usual: object) -> bool:
    """Whether an option of an optimiser is of its usual type; a number is a number."""
    types = {type(found), type(usual)}
    return len(types) == 1 or types == {int, float}


def train(
    model: nn.Module,
    data: Dataset,
    recipe: Recipe,
    *,
    seed: int,
    callbacks: Iterable[Callback] = (),
    moments: Collection[int] = (),
    checkpoint: Checkpoint | None = None,
    part: dict | None = None,
    report: Report | None = None,
) -> History:
    """Train ``model`` in place, on the device where ``data`` lie.

    With a ``checkpoint`` it goes on from what is saved there, and saves itself there from
    time to time. A loss that is not finite ends the training and is told in the history.
    ``moments`` are iterations after which callbacks are called besides their usual ones. What
    ``part`` says of this part of the training (when, where, with what) is added to the history's.
    ``report`` is told of every step and every evaluation.

    Raises:
        OutOfTime: at the checkpoint's deadline; the training is saved.
        Stopped: by a signal, where those are caught; the training is saved.
        InputError: if the images do not fill the batches, or the checkpoint is of another training
            or cannot be written.
    """
    with leader_first():
        require_batches(recipe, data.epoch_images)
        saved = checkpoint.load() if checkpoint else None
    training = Training(model, data, recipe, seed)
    if checkpoint and saved is not None:
        with checkpoint.fitting():
            training.load_state_dict(saved)
            training.require_possible()
    training.history.parts.append({"iteration": training.step, **(part or {})})
    if leaders(torch.tensor(training.step)) != training.step and checkpoint:
        raise InputError(
            f"processes find different checkpoints {checkpoint.path}; "
            "accepted: a folder of records that all machines see"
        )
    before, clock = training.history.seconds, time.perf_counter()

    def save() -> None:
        if checkpoint is None:
            return
        training.history.seconds = before + time.perf_counter() - clock
        state = training.state_dict()
        if is_leader():
            checkpoint.save(state)

    def keep() -> None:
        """Save if it is time to, or to stop; the leader decides for all processes."""
        own = [checkpoint.due, checkpoint.out_of_time] if checkpoint else [False, False]
        asked = torch.tensor([*own, waiting() or 0], dtype=torch.int64)
        due, over, signal = leaders(asked).tolist()
        if due or signal:
            save()
        where = f"stopped at iteration {training.step} of {training.steps}"
        if signal:
            raise Stopped(signal, where)
        if over:
            raise OutOfTime(where)

    def call_back() -> None:
        for callback in callbacks:
            callback(model, data, training.step)

    @contextmanager
    def interruptible() -> Iterator[None]:
        """Within it nothing changes that a later part depends on: a signal need not wait."""
        try:
            with let_through() if processes() == 1 else nullcontext():
                yield
        except Stopped as stop:
            save()
            where = f"stopped at iteration {training.step} of {training.steps}"
            raise Stopped(stop.number, where) from None

    def finish() -> None:
        history = training.history
        with interruptible():
            history.clean_training_error, _ = evaluate(model, data, "train", recipe)
            history.wrong_images = find_wrong(model, data, recipe).tolist()
        if recipe.ten_crop:
            save()  # what follows changes statistics and draws at random
            reestimate_statistics(model, data, recipe, training.generator)
            history.ten_crop_error = evaluate_ten_crops(model, data, recipe)

    def tell(point: Evaluation | None = None) -> None:
        if report:
            report(training.step, training.steps, point)

    if training.step == 0:
        call_back()
    with held():
        tell()
        while not training.finished:
            for images, labels in training.rest_of_epoch():
                training.learn(images, labels)
                if training.step in moments and training.step % training.batches_per_epoch:
                    call_back()
                    training.network.train()
                tell()
                keep()
            with interruptible():
                point = training.evaluate()
            training.close_epoch(point)
            if training.diverged:
                break
            tell(training.history.curve[-1])
            call_back()
            keep()
    if not training.diverged:
        finish()
    training.history.seconds = before + time.perf_counter() - clock
    return training.history
