"""Repeated multiplication by itself: gradients in untrained fully connected nets of every kind.

The mechanism that the post gives for the failure of depth (C2): each layer multiplies the gradient,
so factors below 1 make it vanish with depth, and factors above 1 explode.
"""

import itertools
from collections.abc import Iterable

import numpy as np
import pandas as pd
import torch

from resnet_study.diagnostics.growth import growth, growth_over_draws
from resnet_study.diagnostics.norms import layer_norms
from resnet_study.models.fully_connected import (
    ACTIVATIONS,
    INITIALISATIONS,
    FullyConnected,
    build_fully_connected,
)

KNOBS = ["activation", "initialisation", "normalised", "shortcut"]


def kinds() -> list[dict[str, object]]:
    """Every combination of ``KNOBS``, as arguments of :func:`build_fully_connected`."""
    values = (ACTIVATIONS, INITIALISATIONS, (False, True), (False, True))
    return [dict(zip(KNOBS, choice, strict=True)) for choice in itertools.product(*values)]


def chain(model: FullyConnected) -> dict[str, int]:
    """The layers through which the gradient passes one after another, to their number from 1.

    Before the activation in a plain net; in one with shortcuts the outputs of stem and blocks,
    since a gradient within a branch is but a part.
    """
    if hasattr(model.body[0], "branch"):
        return {"stem": 1} | {f"body.{i}": 2 * i + 3 for i in range(len(model.body))}
    return {"stem.linear": 1} | {f"body.{i}.linear": i + 2 for i in range(len(model.body))}


def norms_of_draws(
    depth: int, draws: Iterable[int], *, images: int, inputs: int, classes: int, **options: object
) -> pd.DataFrame:
    """Norms of the layers of :func:`chain`, one row a ``draw`` of weights, images and labels.

    Columns of :func:`resnet_study.diagnostics.norms.layer_norms`; ``position`` counts layers.
    Images are normal, of mean 0 and deviation 1.
    """
    tables = []
    for draw in draws:
        torch.manual_seed(draw)
        model = build_fully_connected(depth, inputs=inputs, classes=classes, **options)
        batch = torch.randn(images, inputs), torch.randint(classes, (images,))
        layers = chain(model)
        norms = layer_norms(model, *batch, layers)
        tables.append(norms.assign(position=norms.layer.map(layers), draw=draw))
    return pd.concat(tables, ignore_index=True)


def measure(
    depths: list[int], width: int, inputs: int, images: int, classes: int, draws: int
) -> dict[str, pd.DataFrame]:
    """Tables ``profiles`` and ``growth``, both by depth and ``KNOBS``.

    - ``profiles``, one row a layer: ``position`` (1 is the stem), and ``decades``, log₁₀ of the
      gradient over that of the last layer: mean over draws, ``low`` and ``high`` the extremes.
    - ``growth``, one row a net: ``factor`` a layer and ``decades`` from the last layer to the
      first, each an estimate over draws (``factor_n``, ``factor_mean``, …), ``law``, which fits
      the mean profile best, and ``underflow``, the layers of all draws whose gradient was 0.
    """
    profiles, rows = [], []
    for depth, options in itertools.product(depths, kinds()):
        norms = norms_of_draws(
            depth,
            range(draws),
            width=width,
            inputs=inputs,
            images=images,
            classes=classes,
            **options,
        )
        profile = _profile(norms)
        label = {"depth": depth, **options}
        profiles.append(profile.assign(**label)[[*label, *profile]])
        found = growth_over_draws(norms).set_index("quantity")
        estimates = {
            f"{quantity}_{field}": value
            for quantity, row in found.iterrows()
            for field, value in row.items()
        }
        law = growth(profile.assign(gradient=10.0**profile.decades)).best
        rows.append(
            {**label, **estimates, "law": law, "underflow": int((norms.gradient == 0).sum())}
        )
    return {"profiles": pd.concat(profiles, ignore_index=True), "growth": pd.DataFrame(rows)}


def _profile(norms: pd.DataFrame) -> pd.DataFrame:
    """``decades`` of the gradient by position, over draws: mean, low and high."""
    by_draw = norms.pivot(index="position", columns="draw", values="gradient")
    with np.errstate(divide="ignore"):
        decades = np.log10(by_draw / by_draw.iloc[-1])
    return pd.DataFrame(
        {"decades": decades.mean(axis=1), "low": decades.min(axis=1), "high": decades.max(axis=1)}
    ).reset_index()
