"""The Jacobian of the map from image to logits: how much each direction of the input counts.

Singular values that are all 1 ("dynamical isometry") let a signal and its gradient through as they
are; with depth, those of a plain net spread over many orders of magnitude.

References: A. M. Saxe, J. L. McClelland, S. Ganguli, "Exact solutions to the nonlinear dynamics of
learning in deep linear neural networks", arXiv 1312.6120, section 3; J. Pennington,
S. S. Schoenholz, S. Ganguli, "Resurrecting the sigmoid in deep learning through dynamical
isometry", arXiv 1711.04735, section 2.
"""

import pandas as pd
import torch
from torch import Tensor, nn
from torch.func import jacrev

from resnet_study.diagnostics.inspection import require_batch, require_mode, untouched


def jacobian(model: nn.Module, image: Tensor) -> Tensor:
    """∂ logits / ∂ image of one image (C, H, W): a matrix (classes, C·H·W)."""
    return jacrev(lambda one: model(one[None])[0])(image.detach()).flatten(1).detach()


def singular_values(model: nn.Module, images: Tensor) -> pd.DataFrame:
    """Singular values of the :func:`jacobian` at each of ``images`` (N, C, H, W).

    Columns ``image``, its position in the batch; ``index``, 0 for the largest value; and
    ``value``, in logits a unit of the input. There are min(classes, C·H·W) values an image.

    In evaluation mode, in which images do not mix; for an untrained network after
    :func:`resnet_study.diagnostics.inspection.calibrate`. A pass costs as much memory as
    a batch of as many images as there are classes: meant for small nets.

    Raises:
        InputError: for an empty batch, or batch normalisation in training mode.
    """
    require_batch(images)
    require_mode(model, training=False)
    rows = []
    with untouched(model):
        for position, image in enumerate(images):
            values = torch.linalg.svdvals(jacobian(model, image).double())
            rows += [(position, index, value) for index, value in enumerate(values.tolist())]
    return pd.DataFrame(rows, columns=["image", "index", "value"])
