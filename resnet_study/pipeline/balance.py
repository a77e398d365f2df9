"""Balance of gradients over depth in nets that are drawn and not trained: what C3 is about.

The images are larger than the digits', whose last maps are single pixels: there a 3×3 kernel
meets more padding than image, so that gradients vanish for a reason that has nothing to do with
shortcuts.
"""

import itertools

import numpy as np
import pandas as pd
import torch

from resnet_study.diagnostics.norms import layer_norms
from resnet_study.models.networks import Network, build_model

NORMALISATIONS = ("batch", "none")


def decades(model: Network, images: torch.Tensor, labels: torch.Tensor) -> float:
    """log₁₀ of the gradient's norm at the weights of the first block over that at the last.

    Of images (N, C, H, W) and labels (N); convolutions alone, in the mode of a training step.
    """
    blocks = [block for stage in model.stages for block in stage]
    norms = layer_norms(model, images, labels).set_index("layer").weight_gradient
    of = {}
    for name, part in model.named_modules():
        if part in (blocks[0], blocks[-1]):
            inside = norms[norms.index.str.startswith(f"{name}.")]
            of[part] = float(np.sqrt((inside**2).sum()))
    return float(np.log10(of[blocks[0]] / of[blocks[-1]]))


def measure(
    depth: int, width: int, draws: int, images: int, size: int, classes: int
) -> dict[str, pd.DataFrame]:
    """Draw plain and residual nets and take their :func:`decades` on one random batch each.

    A draw decides weights, images of unit normal noise, (``images``, 3, ``size``, ``size``), and
    labels; both families get the same ones.

    Returns:
        The table ``balance``: draw, family, normalisation, decades.
    """
    rows = []
    for draw, normalisation, family in itertools.product(
        range(draws), NORMALISATIONS, ("plain", "residual")
    ):
        torch.manual_seed(draw)
        batch = torch.randn(images, 3, size, size), torch.randint(classes, (images,))
        model = build_model(
            family,
            depth,
            classes=classes,
            stem="small",
            width=width,
            normalisation=normalisation,
        )
        rows.append((draw, family, normalisation, decades(model, *batch)))
    return {"balance": pd.DataFrame(rows, columns=["draw", "family", "normalisation", "decades"])}
