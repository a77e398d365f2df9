"""Published errors of deep plain and residual nets on CIFAR-10, and ours beside them.

References: He et al. 2015, arXiv 1512.03385; He et al. 2016, arXiv 1603.05027; Li et al. 2018,
arXiv 1712.09913; nabla0001/resnet, a repository on GitHub.
"""

from dataclasses import dataclass

import pandas as pd

from resnet_study.effects import select
from resnet_study.statistics import estimate
from resnet_study.tables import mean_and_deviation


@dataclass(frozen=True)
class Published:
    """Test errors of one depth, in percent, as they are told; parameters are the residual net's."""

    source: str
    layers: int
    plain: str
    residual: str
    n: str  # trainings of each, as far as it is told
    parameters: str = "–"


PUBLISHED_ERRORS = (
    Published("He et al. 2015", 20, "–", "8.75", "1", "0.27 M"),
    Published("He et al. 2015", 56, "–", "6.97", "1", "0.85 M"),
    Published("He et al. 2015", 110, "above 60", "6.61 ± 0.16", "5 (ResNet)", "1.7 M"),
    Published("He et al. 2015", 1202, "–", "7.93", "1", "19.4 M"),
    Published("He et al. 2016", 1001, "–", "7.61; pre-activation 4.92", "–"),
    Published("Li et al. 2018", 20, "8.18", "7.37", "1"),
    Published("Li et al. 2018", 56, "13.31", "5.89", "1"),
    Published("Li et al. 2018", 110, "16.44", "5.79", "1"),
    Published("nabla0001/resnet", 20, "9.78 ± 0.13", "8.51 ± 0.22", "5"),
    Published("nabla0001/resnet", 56, "12.95 ± 0.22", "7.40 ± 0.27", "5"),
    Published("nabla0001/resnet", 110, "–", "7.14 ± 0.20", "5"),
)


def beside_published(scales: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """One row a source and depth: the published errors, then ours, which are of validation.

    ``scales`` maps the name of a data set to runs of :func:`resnet_study.records.load_runs`, of one
    width at each depth, or none.
    """
    rows = [
        {
            "who": one.source,
            "data": "CIFAR-10",
            "layers": f"{one.layers:,}",
            "plain, %": one.plain,
            "ResNet, %": one.residual,
            "ResNet, zero-γ, %": "–",
            "n": one.n,
            "parameters": one.parameters,
        }
        for one in PUBLISHED_ERRORS
    ]
    for data, runs in scales.items():
        for depth in sorted(set(runs.depth)) if len(runs) else ():
            rows.append({"who": "this book", "data": data, **_ours(runs, depth)})
    return pd.DataFrame(rows)


def _ours(runs: pd.DataFrame, depth: int) -> dict[str, str]:
    nets = {
        "plain, %": select(runs, "plain", depth),
        "ResNet, %": select(runs, "residual", depth, normalisation="batch"),
        "ResNet, zero-γ, %": select(runs, "residual", depth, normalisation="zero-gamma"),
    }
    counts = {title: str(len(chosen)) for title, chosen in nets.items()}
    return {
        "layers": f"{depth:,}",
        **{
            title: "diverged"
            if len(chosen) and chosen.diverged.all()
            else mean_and_deviation(estimate(chosen.validation_error.astype(float)))
            for title, chosen in nets.items()
        },
        "n": ", ".join(counts.values()) if len(set(counts.values())) > 1 else counts["plain, %"],
        "parameters": f"{runs[runs.depth == depth].parameters.iloc[0] / 1e6:.2f} M",
    }
