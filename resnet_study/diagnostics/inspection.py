"""What every diagnostic needs: the layers of a network, its mode, and leaving it as it was."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from resnet_study.errors import InputError

NORMALISATIONS = nn.modules.batchnorm._NormBase
WEIGHTED = (nn.Conv2d, nn.Linear)


def weighted_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Name to module of the convolutions and linear layers, in the order of their definition."""
    return {name: part for name, part in model.named_modules() if isinstance(part, WEIGHTED)}


def find_layers(model: nn.Module, names: Iterable[str]) -> dict[str, nn.Module]:
    """The modules called ``names``, as ``named_modules`` has them.

    Raises:
        InputError: for a name that the model does not have.
    """
    parts = dict(model.named_modules())
    names = list(names)
    for name in names:
        if name not in parts or not name:
            known = ", ".join(part for part in weighted_layers(model))
            raise InputError(f"the model has no layer {name!r}; accepted: such as {known}")
    return {name: parts[name] for name in names}


def require_batch(images: Tensor, labels: Tensor | None = None) -> None:
    """Raise :class:`InputError` for an empty batch, or one of fewer labels than images."""
    if len(images) == 0:
        raise InputError("the batch is empty; accepted: one image or more")
    if labels is not None and len(labels) != len(images):
        raise InputError(f"{len(images)} images have {len(labels)} labels; accepted: one for each")


def require_mode(model: nn.Module, *, training: bool) -> None:
    """Raise :class:`InputError` if batch normalisation is in the other mode.

    In training mode it uses the statistics of the batch, in evaluation mode running ones, which
    mean nothing before training.
    """
    for name, part in model.named_modules():
        if isinstance(part, NORMALISATIONS) and part.training != training:
            found, wanted = ("evaluation", "train") if training else ("training", "eval")
            raise InputError(
                f"batch normalisation {name} is in {found} mode; accepted: model.{wanted}() first"
            )


@torch.no_grad()
def calibrate(model: nn.Module, inputs: Tensor) -> None:
    """Set all running statistics to those of ``inputs`` (N, ...); evaluation mode afterwards.

    An untrained network in evaluation mode then normalises as it would in training mode, yet maps
    each input by itself.

    Raises:
        InputError: for an empty batch.
    """
    require_batch(inputs)
    model.eval()
    layers = [part for part in model.modules() if isinstance(part, NORMALISATIONS)]
    usual = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # a plain average, here over the one batch
        layer.train()
    model(inputs)
    for layer, momentum in zip(layers, usual, strict=True):
        layer.momentum = momentum
        layer.eval()


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Within it ``model`` may be run and differentiated; afterwards it is as it was.

    Gradients, running statistics and torch's random generator are put back, so that a diagnostic
    in a callback does not change the training.
    """
    gradients = [parameter.grad for parameter in model.parameters()]
    buffers = [buffer.clone() for buffer in model.buffers()]
    state = torch.get_rng_state()
    for parameter in model.parameters():
        parameter.grad = None
    try:
        yield
    finally:
        for parameter, gradient in zip(model.parameters(), gradients, strict=True):
            parameter.grad = gradient
        with torch.no_grad():
            for buffer, kept in zip(model.buffers(), buffers, strict=True):
                buffer.copy_(kept)
        torch.set_rng_state(state)


@contextmanager
def watched(layers: dict[str, nn.Module], see: Callable[[str, Tensor], None]) -> Iterator[None]:
    """Within it ``see`` is given name and output of each of ``layers`` as soon as it has run.

    What follows may overwrite an output, as a ReLU in place does, so ``see`` measures it at once or
    puts a hook on it; a tensor that it keeps may change.
    """

    def show(name: str, layer: nn.Module):
        return layer.register_forward_hook(lambda part, given, output: see(name, output))

    handles = [show(name, layer) for name, layer in layers.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
