"""What gradients say of C2 and C3: the rules, on measurements."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from resnet_study.pipeline.measurements import MOMENTS
from resnet_study.questions.effects import FEWEST_SEEDS, sign
from resnet_study.statistics import Estimate, estimate, paired_difference


def load(tables: Iterable[tuple[dict, dict[str, pd.DataFrame]]], name: str) -> pd.DataFrame:
    """The table called ``name`` of several measurements, with columns family, depth, seed, …

    ``tables`` are pairs of settings and tables; a measurement without that table has no row.
    """
    labels = ("family", "depth", "normalisation", "seed")
    return pd.concat(
        [
            found[name].assign(**{label: chosen[label] for label in labels})
            for chosen, found in tables
            if name in found
        ],
        ignore_index=True,
    )


# The rules of C2 and C3, for nets with the depth that fails in Fig. 2. They were written after a
# look at the growth of plain-34, seed 0, and before any other net was watched. "Decades" is the
# log₁₀ of the gradient at the stem over that at the last block; for "vanishes", "explodes" and
# "stays in bounds" see ``multiplication.reading``, here over seeds.


def decades(grown: pd.DataFrame, iteration: int, **net: object) -> pd.Series:
    """log₁₀ of ``total`` by seed, in a table ``growth`` of :func:`load`, at one moment of a net."""
    chosen = grown[grown.iteration == iteration]
    for label, value in net.items():
        chosen = chosen[chosen[label] == value]
    return np.log10(chosen.set_index("seed").total.astype(float))


def verdict_c2(readings: list[str]) -> str:
    """C2, that a plain net fails since its gradients vanish or explode, from its readings in time.

    ``supported``: out of bounds at every moment. ``supported at the start alone``: out of bounds
    first, and in bounds at the last moment. ``refuted``: in bounds throughout. Else ``not
    decided``.
    """
    out = [reading in ("vanishes", "explodes") for reading in readings]
    bounded = [reading == "stays in bounds" for reading in readings]
    if all(out):
        return "supported"
    if all(bounded):
        return "refuted"
    return "supported at the start alone" if out[0] and bounded[-1] else "not decided"


def verdict_c3(gaps: dict[str, Estimate]) -> str:
    """C3, that shortcuts solve it, from sizes of decades: the residual net's − the plain one's.

    ``gaps`` are by normalisation, at the start. ``supported`` if lower in all of them, ``refuted``
    if in none is it lower and in one higher, ``supported with batch normalisation alone`` if lower
    there and not in the others, else ``not decided``.
    """
    signs = {name: sign(gap) for name, gap in gaps.items()}
    lower = {name for name, found in signs.items() if found == "lower"}
    if lower == set(signs):
        return "supported"
    if lower == {"batch"}:
        return "supported with batch normalisation alone"
    return "refuted" if not lower and "higher" in signs.values() else "not decided"


def decide_c2(grown: pd.DataFrame) -> tuple[str, dict[int, Estimate]]:
    """C2 for plain-34 with batch normalisation: the verdict, and its decades by iteration."""
    net = {"family": "plain", "depth": 34, "normalisation": "batch"}
    moments = {moment: estimate(decades(grown, moment, **net)) for moment in MOMENTS}
    return verdict_c2([reading(measured) for measured in moments.values()]), moments


def decide_c3(grown: pd.DataFrame) -> tuple[str, dict[str, Estimate]]:
    """C3 for 34 layers: the verdict, and its gaps at the start by normalisation."""
    gaps = {}
    for normalisation in ("batch", "none"):
        net = {"depth": 34, "normalisation": normalisation}
        residual, plain = (
            decades(grown, 0, family=family, **net).abs() for family in ("residual", "plain")
        )
        gaps[normalisation] = paired_difference(residual, plain)
    return verdict_c3(gaps), gaps


def reading(decades: Estimate) -> str:
    """What the gradient does on its way from the last layer to the first, by a rule.

    ``vanishes`` if it shrinks to less than a tenth in the whole interval, ``explodes`` if it grows
    to more than ten times, ``stays in bounds`` if neither end of the interval reaches that far,
    else ``not decided``, as with fewer than ``FEWEST_SEEDS``. ``decades`` is the log₁₀ of the
    ratio, over draws or seeds.
    """
    if decades.n < FEWEST_SEEDS:
        return "not decided"
    if decades.high < -1:
        return "vanishes"
    if decades.low > 1:
        return "explodes"
    return "stays in bounds" if decades.low >= -1 and decades.high <= 1 else "not decided"


def fits_the_post(decades: Estimate, law: str) -> bool:
    """Whether the net does what the post says: vanishes or explodes, by a factor a layer.

    So exponentially: a straight line against the layer is the best of the laws of ``growth``.
    """
    return reading(decades) in ("vanishes", "explodes") and law == "l"


def with_readings(growth: pd.DataFrame) -> pd.DataFrame:
    """The table ``growth`` of ``multiplication`` with what the rules say of each net.

    Columns ``reading`` and ``fits``, see :func:`reading` and :func:`fits_the_post`.
    """
    fields = ("n", "mean", "deviation", "low", "high")
    estimates = [
        Estimate(*(net[f"decades_{name}"] for name in fields)) for _, net in growth.iterrows()
    ]
    return growth.assign(
        reading=[reading(decades) for decades in estimates],
        fits=[fits_the_post(*pair) for pair in zip(estimates, growth.law, strict=True)],
    )
