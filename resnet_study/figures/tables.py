"""Tables that several chapters show."""

from html import escape

import pandas as pd

from resnet_study.questions.words import (
    METRICS,
    gate,
    mean_and_deviation,
    network,
    percent,
)
from resnet_study.statistics import estimate


def final_errors(runs: pd.DataFrame) -> pd.DataFrame:
    """One row a network: n, runs that diverged, and each final error over seeds."""
    rows = []
    for (family, depth), group in runs.groupby(["family", "depth"]):
        errors = {
            f"{label}, %": mean_and_deviation(estimate(group[metric].astype(float)))
            for metric, label in METRICS.items()
            if metric in runs
        }
        rows.append(
            {
                "network": network(family, depth),
                "parameters": f"{group.parameters.iloc[0]:,}",
                "n": len(group),
                "diverged": int(group.diverged.sum()),
                **errors,
            }
        )
    return pd.DataFrame(rows)


def costs(runs: pd.DataFrame) -> pd.DataFrame:
    """One row a recipe, network and device: runs, minutes of each, and images per second.

    Both are means; the seconds of a run include its evaluations.
    """
    rows = []
    for (recipe, family, depth, device), group in runs.groupby(
        ["recipe", "family", "depth", "device"], sort=False
    ):
        rows.append(
            {
                "recipe": recipe,
                "network": network(family, depth),
                "device": device,
                "n": len(group),
                "minutes a run": f"{group.seconds.mean() / 60:.2g}",
                "images/s": f"{group.images_per_second.mean():.0f}",
            }
        )
    return pd.DataFrame(rows)


def arms(runs: pd.DataFrame) -> pd.DataFrame:
    """One row an arm of an experiment: what departs from the recipe, its size, and its errors.

    As :func:`final_errors`, for runs that differ in more than family and depth. Columns in which
    nothing departs from the usual are left out.
    """
    labels = ["depth", "family", "gate_kernel", "gate_bias", "match", "start", "rate", "fraction"]
    rows = []
    for (depth, family, kernel, bias, match, start, rate, fraction), group in runs.groupby(
        labels, dropna=False
    ):
        (row,) = final_errors(group).to_dict("records")
        rows.append(
            {
                "network": network(family, depth),
                "gate": gate(kernel, bias),
                "matched": "" if pd.isna(match) else match.replace("_", "-"),
                "start": start,
                "rate": f"{rate:g}",
                "data": percent(fraction),
                **{name: text for name, text in row.items() if name.endswith("%")},
                **{name: row[name] for name in ("n", "diverged", "parameters")},
                "multiply-adds": f"{group.multiply_adds.iloc[0]:,}",
            }
        )
    usual = {"gate": "", "matched": "", "start": "drawn", "data": percent(1)}
    table = pd.DataFrame(rows)
    return table.drop(columns=[name for name in usual if (table[name] == usual[name]).all()])


def show(table: pd.DataFrame, caption: str = ""):
    """A table as a page of the book shows it: without pandas' numbering of the rows."""
    from IPython.display import HTML  # there in a notebook; a training does without it

    with pd.option_context("display.max_colwidth", None):  # texts as they are, not cut
        html = table.to_html(index=False, border=0, justify="left")
    if caption:
        html = html.replace("<thead>", f"<caption>{escape(caption)}</caption>\n  <thead>", 1)
    return HTML(html)
