"""Published comparisons of Highway nets with ResNets, and ours beside them.

References: He et al. 2015, arXiv 1512.03385; He et al. 2016, arXiv 1603.05027; Srivastava et al.
2015, arXiv 1507.06228; Srivastava 2025, github.com/flukeskywalker/highway-resnet-comparison.
"""

from dataclasses import dataclass

import pandas as pd

from resnet_study.effects import gap, select
from resnet_study.statistics import estimate
from resnet_study.tables import gate, mean_and_deviation, mean_and_interval, signed


@dataclass(frozen=True)
class Published:
    """One comparison: test errors in percent on CIFAR-10, parameters in millions."""

    source: str
    layers: str  # of the Highway net, of the ResNet
    gate: str
    highway: float
    residual: float
    n: str  # trainings of each, as far as it is told
    parameters: str


# What each changes besides the gates is told below their table in the chapter.
PUBLISHED_COMPARISONS = (
    Published(
        # The Highway net's error is that of Srivastava et al. 2015, means over trainings.
        "He et al. 2015",
        "19, 110",
        "−2",
        7.72,
        6.61,
        "5 (ResNet)",
        "2.3 M, 1.7 M",
    ),
    Published(
        "He et al. 2016, Table 1",
        "110, 110",
        "1×1, −6",  # the best of 0 to −7; those of 0 to −5 fail
        8.70,
        6.61,
        "5 (median)",
        "–",
    ),
    Published(
        "Srivastava 2025",
        "110, 110",
        "normalised, −6",
        6.04,
        6.25,
        "1",
        "2.65 M, 1.73 M",
    ),
)


def beside_published(scales: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """One row a comparison: the published ones, then ours at each depth.

    ``scales`` maps the name of a data set to runs of :func:`resnet_study.records.load_runs`, of one
    gate and one rate for each network, or none; their errors are those of validation.
    """
    rows = [
        {
            "who": one.source,
            "data": "CIFAR-10",
            "gap, points": signed(one.highway - one.residual),
            "n": one.n,
            "layers": one.layers,
            "gate": one.gate,
            "Highway, %": f"{one.highway:.2f}",
            "ResNet, %": f"{one.residual:.2f}",
            "parameters": one.parameters,
        }
        for one in PUBLISHED_COMPARISONS
    ]
    for data, runs in scales.items():
        for depth in (18, 34):
            ours = _ours(data, runs, depth)
            rows.extend([ours] if ours else [])
    return pd.DataFrame(rows)


def _ours(data: str, runs: pd.DataFrame, depth: int) -> dict | None:
    if runs.empty:
        return None
    highway, residual = (select(runs, family, depth) for family in ("highway", "residual"))
    if highway.empty or residual.empty:
        return None
    errors = (estimate(nets.validation_error.astype(float)) for nets in (highway, residual))
    measured = gap(highway, residual, "validation_error")
    sizes = (f"{nets.parameters.iloc[0] / 1e6:.2f} M" for nets in (highway, residual))
    return {
        "who": "this book",
        "data": data,
        "gap, points": mean_and_interval(measured),
        "n": str(measured.n),
        "layers": f"{depth}, {depth}",
        "gate": gate(highway.gate_kernel.iloc[0], highway.gate_bias.iloc[0]),
        **dict(zip(("Highway, %", "ResNet, %"), map(mean_and_deviation, errors), strict=True)),
        "parameters": ", ".join(sizes),
    }
