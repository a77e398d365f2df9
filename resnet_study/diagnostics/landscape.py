"""Loss landscape: the loss of a trained network around its weights, along random directions.

Reference: H. Li, Z. Xu, G. Taylor, C. Studer, T. Goldstein, "Visualizing the loss landscape of
neural nets", arXiv 1712.09913, sections 3 and 4.
"""

import copy
import hashlib
import math
from collections.abc import Iterable, Sequence
from itertools import chain, product
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_study.diagnostics.inspection import require_batch, require_mode
from resnet_study.errors import InputError, require_integers
from resnet_study.training.checkpoints import Checkpoint
from resnet_study.training.loop import Score

CHUNK = 500  # images in a pass, as in the evaluations of a training

Direction = dict[str, Tensor]
"""Name of a parameter to what is added to it, of its shape."""


def draw_direction(model: nn.Module, generator: torch.Generator) -> Direction:
    """A random direction in the space of all parameters, normalised filter by filter.

    Gaussian, and then d ← d·‖θ‖/‖d‖ for each filter of a convolution and each row of a linear
    layer (Frobenius norms; section 4): a step of 1 is as long as the filter itself, so that
    landscapes of nets whose weights differ in scale can be compared. Zero for parameters of fewer
    than two dimensions: biases and batch normalisation. ``generator`` lies on the CPU.
    """
    return {
        name: _normalise_filters(torch.randn(part.shape, generator=generator), part.detach())
        if part.ndim >= 2
        else torch.zeros_like(part)
        for name, part in model.named_parameters()
    }


def _normalise_filters(direction: Tensor, weights: Tensor) -> Tensor:
    """``direction`` with the norms of ``weights``, both (filters, …)."""

    def norms(filters: Tensor) -> Tensor:
        axes = tuple(range(1, filters.ndim))
        # In one layout: some processors add up in the order of memory.
        return torch.linalg.vector_norm(filters.contiguous(), dim=axes, keepdim=True)

    direction = direction.to(weights)
    return direction * (norms(weights) / norms(direction))


def evaluate_landscape(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    seed: int,
    a: Sequence[float],
    b: Sequence[float] = (0.0,),
    path: Path,
    seconds: float = 60,
) -> pd.DataFrame:
    """Loss and error of ``model`` at θ + a·d1 + b·d2, for each a with each b; one row a point.

    d1 and d2 are the first two directions that :func:`draw_direction` draws with ``seed``. Left at
    its one value 0, ``b`` makes the landscape a slice along d1. Batch normalisation is in
    evaluation mode, with its running statistics as they are.

    What is done is kept in ``path`` with the directions, so that an interrupted evaluation goes on
    from there, and gives the same numbers to the bit as one that was not; a finished one is read.

    Args:
        model: images to logits; it is left as it was.
        images: (N, C, H, W).
        labels: (N).
        path: the file; it belongs to one model, batch, seed and set of coordinates.
        seconds: least time between two writings of it; 0 writes after every point.

    Returns:
        ``a``, ``b``, mean cross-entropy ``loss`` in nats, and ``error`` in percent. A loss that is
        not finite is ``inf``.

    Raises:
        InputError: for batch normalisation in training mode, an empty batch, coordinates that are
            none or not finite, or a file that is damaged, of another landscape, or unwritable.
    """
    require_mode(model, training=False)
    require_batch(images, labels)
    require_integers(seed=seed)
    points = list(product(_coordinates("a", a), _coordinates("b", b)))
    identity = {
        "model": _fingerprint(chain(model.named_parameters(), model.named_buffers())),
        "batch": _fingerprint([("images", images), ("labels", labels)]),
        "seed": seed,
        "coordinates": points,
    }
    checkpoint = Checkpoint(path, identity, seconds)
    state, start = checkpoint.load(), _begin(model, seed, len(points))
    if state is None:
        state = start
    else:
        with checkpoint.fitting():
            _require_like(state, start)
    # The fastest layout on a CPU; and one for all, since the layout decides the last bits.
    moved = copy.deepcopy(model).to(memory_format=torch.channels_last)
    missing = state["scores"].isnan().any(dim=1).nonzero().flatten().tolist()
    for index in missing:
        _move(moved, model, zip(points[index], state["directions"], strict=True))
        state["scores"][index] = _loss_and_error(moved, images, labels)
        if checkpoint.due or index == missing[-1]:
            checkpoint.save(state)
    table = pd.DataFrame(points, columns=["a", "b"])
    table[["loss", "error"]] = state["scores"].numpy()
    return table


def _coordinates(name: str, values: Iterable[float]) -> list[float]:
    numbers = [float(value) for value in values]
    if not numbers or not all(map(math.isfinite, numbers)):
        raise InputError(f"coordinates {name} {numbers}; accepted: one or more finite numbers")
    return numbers


def _fingerprint(tensors: Iterable[tuple[str, Tensor]]) -> str:
    """SHA-256 over names, types, shapes and values."""
    digest = hashlib.sha256()
    for name, tensor in tensors:
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().numpy().tobytes())
    return digest.hexdigest()


def _begin(model: nn.Module, seed: int, points: int) -> dict:
    """Directions, and loss and error of each point: NaN, as they are missing."""
    generator = torch.Generator().manual_seed(seed)
    return {
        "directions": [draw_direction(model, generator) for _ in range(2)],
        "scores": torch.full((points, 2), math.nan, dtype=torch.float64),
    }


def _require_like(state: dict, start: dict) -> None:
    """Raise ValueError or the like unless ``state`` has the names, types and shapes of the start.

    Not its directions to the bit: another processor may round them otherwise.
    """
    pairs = [(state["scores"], start["scores"])]
    for found, drawn in zip(state["directions"], start["directions"], strict=True):
        pairs += [(found[name], part) for name, part in drawn.items()]
    if any((a.shape, a.dtype) != (b.shape, b.dtype) for a, b in pairs):
        raise ValueError("directions or scores of another landscape")


@torch.no_grad()
def _move(moved: nn.Module, model: nn.Module, steps: Iterable[tuple[float, Direction]]) -> None:
    """Set the parameters of ``moved`` to those of ``model`` and ``steps`` along directions."""
    there = {name: part.clone() for name, part in model.named_parameters()}
    for length, direction in steps:
        for name, part in there.items():
            part += length * direction[name].to(part.device)
    for name, part in moved.named_parameters():
        part.copy_(there[name])


@torch.no_grad()
def _loss_and_error(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy in nats, infinite if it is not finite, and error in percent."""
    score = Score(images.device)
    for some, truth in zip(images.split(CHUNK), labels.split(CHUNK), strict=True):
        logits = model(some)
        score.add(logits, truth, F.cross_entropy(logits, truth))
    error, loss = score.read()
    return torch.tensor([loss if math.isfinite(loss) else math.inf, error], dtype=torch.float64)
