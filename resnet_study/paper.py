"""The curves of He et al. 2015, Fig. 4 (Fig. 2 of the post), as digitised in ``data/paper``."""

import pandas as pd

from resnet_study import paths
from resnet_study.tables import NETWORKS

PLATEAUS = {  # iterations before the first drop of the rate, before the second, and last
    "before the first drop": (130_000, 148_000),
    "before the second drop": (250_000, 295_000),
    "end": (500_000, 600_000),
}


def load_paper_curves() -> pd.DataFrame:
    """Columns family, depth, split, iteration, error_percent (centre crop, ±0.3 points)."""
    return pd.read_csv(paths.PAPER / "fig2_curves.csv")


def final_paper_errors(curves: pd.DataFrame) -> pd.DataFrame:
    """Mean error on each plateau, one row a split and family, and the gap 34 − 18 layers."""
    rows = []
    for (split, family), lines in curves.groupby(["split", "family"]):
        for plateau, (first, last) in PLATEAUS.items():
            on_plateau = lines[lines.iteration.between(first, last)]
            errors = on_plateau.groupby("depth").error_percent.mean()
            rows.append(
                {
                    "error": split,
                    "family": NETWORKS[family],
                    "plateau": plateau,
                    "18 layers, %": f"{errors[18]:.1f}",
                    "34 layers, %": f"{errors[34]:.1f}",
                    "gap, points": f"{errors[34] - errors[18]:+.1f}".replace("-", "−"),
                }
            )
    return pd.DataFrame(rows)
