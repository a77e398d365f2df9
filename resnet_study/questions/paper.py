"""The results of He et al. 2015 (arXiv 1512.03385): Table 2, and the curves of Fig. 4.

That is Fig. 2 of the post.
"""

from math import nan

import pandas as pd

from resnet_study import paths
from resnet_study.questions import words
from resnet_study.statistics import estimate

CURVES = paths.PAPER / "fig2_curves.csv"  # digitised

TEN_CROP_ERRORS = {  # Table 2: top-1 error on ImageNet's validation set, percent
    ("plain", 18): 27.94,
    ("plain", 34): 28.54,
    ("residual", 18): 27.88,
    ("residual", 34): 25.03,
}

PLATEAUS = {  # iterations before the first drop of the rate, before the second, and last
    "before the first drop": (130_000, 148_000),
    "before the second drop": (250_000, 295_000),
    "end": (500_000, 600_000),
}


def load_paper_curves() -> pd.DataFrame:
    """The curves, as digitised in ``data/paper``.

    Columns family, depth, split, iteration, error_percent (centre crop, ±0.3 points).
    """
    return pd.read_csv(CURVES)


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
                    "family": words.NETWORKS[family],
                    "plateau": plateau,
                    "18 layers, %": f"{errors[18]:.1f}",
                    "34 layers, %": f"{errors[34]:.1f}",
                    "gap, points": f"{errors[34] - errors[18]:+.1f}".replace("-", "−"),
                }
            )
    return pd.DataFrame(rows)


def beside_table_2(scales: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """One row a network of the paper's Table 2, then the gaps between depths.

    ``scales`` maps a title to a table of :func:`resnet_study.pipeline.frames.load_runs`, which
    may be empty: the means over its seeds get a column beside the paper's errors. They are ten-crop
    errors where those were measured, else validation errors.
    """
    columns = {"ImageNet, Table 2": TEN_CROP_ERRORS}
    columns |= {title: _mean_errors(runs) for title, runs in scales.items()}
    rows = {
        words.network(*name): {title: f"{errors[name]:.2f}" for title, errors in columns.items()}
        for name in TEN_CROP_ERRORS
    }
    for family in ("plain", "residual"):
        deep, shallow = (family, 34), (family, 18)
        rows[f"{words.network(*deep)} − {words.network(*shallow)}"] = {
            title: f"{errors[deep] - errors[shallow]:+.2f}" for title, errors in columns.items()
        }
    table = pd.DataFrame(rows).T.replace({"nan": "–", "+nan": "–"})
    return table.apply(lambda column: column.str.replace("-", "−")).reset_index(names="error, %")


def _mean_errors(runs: pd.DataFrame) -> dict[tuple[str, int], float]:
    """The mean final error of each network of Table 2; NaN for one without a run."""
    errors = dict.fromkeys(TEN_CROP_ERRORS, nan)
    metric = "ten_crop_error" if "ten_crop_error" in runs else "validation_error"
    for name, group in runs.groupby(["family", "depth"]) if len(runs) else ():
        if name in errors:
            errors[name] = estimate(group[metric].astype(float)).mean
    return errors
