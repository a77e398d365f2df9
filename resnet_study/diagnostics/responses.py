"""How strongly layers respond: the spread of what batch normalisation puts out.

K. He, X. Zhang, S. Ren, J. Sun, "Deep residual learning for image recognition", arXiv 1512.03385,
section 4.2, "Analysis of layer responses", and Fig. 7: residual functions that are close to zero
show as small responses, the smaller the deeper the net.
"""

from collections.abc import Iterable

import pandas as pd
import torch
from torch import Tensor, nn

from resnet_study.diagnostics.inspection import (
    NORMALISATIONS,
    find_layers,
    require_batch,
    require_mode,
    untouched,
    watched,
)
from resnet_study.errors import InputError

COLUMNS = ("position", "layer", "deviation")


def layer_responses(
    model: nn.Module, images: Tensor, layers: Iterable[str] | None = None
) -> pd.DataFrame:
    """One row a normalisation layer, in the order of execution.

    - ``position``: 1 for the layer that runs first.
    - ``layer``: its name, as ``named_modules`` has it.
    - ``deviation``: standard deviation of its output over images, channels and pixels; that is
      after batch normalisation, before the ReLU or the addition that follows.

    Args:
        model: batch normalisation in evaluation mode, so trained: with the statistics of the batch
            the response would be that of the scales and shifts alone.
        images: (N, C, H, W).
        layers: names; all batch normalisations if not given. Fig. 7 shows those that follow 3×3
            convolutions, so leave out projections and gates where the model has them.

    Raises:
        InputError: for an unknown layer, an empty batch, batch normalisation in training mode, or a
            model that has none.
    """
    require_batch(images)
    require_mode(model, training=False)
    if layers is None:
        names = [n for n, part in model.named_modules() if isinstance(part, NORMALISATIONS)]
        if not names:
            raise InputError("the model has no batch normalisation; accepted: names of layers")
        layers = names
    rows = []

    def see(name: str, output: Tensor) -> None:
        rows.append({"layer": name, "deviation": output.double().std(correction=0).item()})

    with untouched(model), torch.no_grad(), watched(find_layers(model, layers), see):
        model(images)
    for position, row in enumerate(rows, start=1):
        row["position"] = position
    return pd.DataFrame(rows, columns=COLUMNS)
