"""How the gradient grows from the output of a net towards its input, as a few numbers.

A plain net multiplies the gradient by much the same factor at each layer, so its logarithm is
linear in the layer l. In a residual net it may change more slowly: as exp(√l), or a power of l.
G. Yang, S. Schoenholz, "Mean field residual networks: on the edge of chaos", arXiv 1712.08969.

l counts from the input. A normalised branch adds as much as any other to a sum that grows with each
block, so the l-th block matters the less the larger l is, and the gradient grows most at the input.
"""

from dataclasses import asdict, dataclass
from math import nan

import numpy as np
import pandas as pd

from resnet_study.errors import InputError, require_at_least
from resnet_study.statistics import estimate

LAWS = {"l": np.asarray, "sqrt(l)": np.sqrt, "log(l)": np.log}
FEWEST = 3  # layers: through two points, every law fits


@dataclass(frozen=True)
class Growth:
    """Of the gradient, from the last layer measured back to the first, which is l = 1.

    - ``factor``: by which the gradient is multiplied at each layer, exp of minus the least-squares
      slope of log gradient against position.
    - ``total``: gradient of the first layer over that of the last.
    - ``r_squared``: R² of the least-squares line of log gradient against each of ``LAWS``.
    - ``best``: the law of the largest R²; None without any.
    - ``left_out``: layers whose gradient is 0 or not finite.
    """

    factor: float
    total: float
    r_squared: dict[str, float]
    best: str | None
    left_out: int


def growth(norms: pd.DataFrame) -> Growth:
    """Growth of the gradients in a table of :func:`resnet_study.diagnostics.norms.layer_norms`.

    Positions should count the links of one chain, so choose the layers: without projections, which
    run beside it, and without the classifier, whose output has another size.

    A gradient of 0 (underflow), an infinite one and a NaN have no logarithm. Such layers are left
    out of the fits and counted, but not of ``total``, which is then 0, infinite or NaN. With fewer
    than three layers left, ``factor`` and R² are NaN.

    Raises:
        InputError: for a table of fewer than three layers.
    """
    require_at_least("number of layers in the table", len(norms), FEWEST)
    norms = norms.sort_values("position")
    gradient = norms.gradient.to_numpy(dtype=float)
    position = norms.position.to_numpy(dtype=float)
    usable = np.isfinite(gradient) & (gradient > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        total = float(gradient[0] / gradient[-1])
    factor, r_squared = nan, dict.fromkeys(LAWS, nan)
    if usable.sum() >= FEWEST:
        position, logarithm = position[usable], np.log(gradient[usable])
        factor = float(np.exp(-np.polyfit(position, logarithm, 1)[0]))
        r_squared = {name: _r_squared(law(position), logarithm) for name, law in LAWS.items()}
    fits = {name: value for name, value in r_squared.items() if np.isfinite(value)}
    best = max(fits, key=fits.get, default=None)
    return Growth(factor, total, r_squared, best, left_out=int(sum(~usable)))


def _r_squared(x: np.ndarray, y: np.ndarray) -> float:
    """Of the least-squares line of y against x; NaN if y is constant."""
    return float(np.corrcoef(x, y)[0, 1] ** 2) if np.ptp(y) > 0 else nan


def growth_over_draws(norms: pd.DataFrame) -> pd.DataFrame:
    """Growth over several draws of the weights, told by the column ``draw``.

    Two rows: ``quantity`` is ``factor``, or ``decades``, the log₁₀ of ``total``. The other columns
    are of :class:`resnet_study.statistics.Estimate`: n draws, mean, deviation, and the 95 %
    interval from low to high. Draws without a finite value are left out and show as a smaller n.

    Raises:
        InputError: for a table without ``draw``, or a draw of fewer than three layers.
    """
    if "draw" not in norms:
        raise InputError("the table has no column 'draw'; accepted: one that tells draws apart")
    draws = [growth(table) for _, table in norms.groupby("draw")]
    with np.errstate(divide="ignore"):
        values = {
            "factor": pd.Series([draw.factor for draw in draws]),
            "decades": np.log10(pd.Series([draw.total for draw in draws])),
        }
    found = {name: estimate(value.where(np.isfinite(value))) for name, value in values.items()}
    return pd.DataFrame({"quantity": name, **asdict(value)} for name, value in found.items()).drop(
        columns=["least", "most"]
    )
