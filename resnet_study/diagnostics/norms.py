"""Size of activations and gradients, layer by layer.

Plotted by layer on a logarithmic scale, a gradient that vanishes or explodes is a straight line.
X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks",
AISTATS 2010, section 4.2.
"""

from collections.abc import Iterable

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_study.diagnostics.inspection import (
    find_layers,
    require_batch,
    require_mode,
    untouched,
    watched,
    weighted_layers,
)

COLUMNS = ("position", "layer", "activation", "gradient", "weight_gradient")


def layer_norms(
    model: nn.Module, images: Tensor, labels: Tensor, layers: Iterable[str] | None = None
) -> pd.DataFrame:
    """One row a layer, in the order of execution, from one forward and one backward pass.

    - ``position``: 1 for the layer that runs first; a layer that runs twice has two rows.
    - ``layer``: its name, as ``named_modules`` has it.
    - ``activation``: √mean(h²) of its output h over images and units.
    - ``gradient``: ‖∂E/∂h‖₂ over images and units, with E the mean cross-entropy of the batch. Of
      h as the layer puts it out, whatever then overwrites it.
    - ``weight_gradient``: ‖∂E/∂W‖₂ of the layer's ``weight``; NaN without one, or a frozen one.

    Norms are taken in double precision. The gradients have the precision of the model: those below
    1e-45 are 0 in single precision.

    Args:
        model: images to logits, with batch normalisation in training mode. Running statistics
            mean nothing at initialisation, and the gradient is then that of a training step.
        images: (N, …).
        labels: (N), classes.
        layers: names; all convolutions and linear layers if not given.

    Raises:
        InputError: for an unknown layer, an empty batch, one of fewer labels than images, or batch
            normalisation in evaluation mode.
    """
    require_batch(images, labels)
    require_mode(model, training=True)
    found = weighted_layers(model) if layers is None else find_layers(model, layers)
    rows = []

    def see(name: str, output: Tensor) -> None:
        activation = _norm(output) / output.numel() ** 0.5
        row = {"layer": name, "activation": activation, "gradient": 0.0}
        rows.append(row)
        output.register_hook(lambda gradient: row.update(gradient=_norm(gradient)))

    with untouched(model), torch.enable_grad(), watched(found, see):
        # The images take part, so that gradients reach layers whose weights are all frozen.
        logits = model(images.detach().requires_grad_())
        F.cross_entropy(logits, labels).backward()
        for position, row in enumerate(rows, start=1):
            weight = getattr(found[row["layer"]], "weight", None)
            gradient = None if weight is None else weight.grad
            row["position"] = position
            row["weight_gradient"] = float("nan") if gradient is None else _norm(gradient)
    return pd.DataFrame(rows, columns=COLUMNS)


def _norm(values: Tensor) -> float:
    # In double precision, as the squares of small gradients underflow in single.
    return torch.linalg.vector_norm(values.detach(), dtype=torch.float64).item()
