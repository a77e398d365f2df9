"""Tables as the book and the terminal show them: estimates as text, in percent."""

import pandas as pd

from resnet_study.effects import FIG2_EFFECTS, Effect, verdict
from resnet_study.statistics import Estimate, estimate

NETWORKS = {"plain": "plain", "residual": "ResNet", "highway": "Highway", "scaled": "scaled"}
METRICS = {
    "training_error": "training",
    "clean_training_error": "training, clean",
    "validation_error": "validation",
}


def mean_and_deviation(value: Estimate) -> str:
    """``2.18 ± 0.35``; the deviation is over seeds, and one seed has none."""
    if value.n < 2:
        return f"{value.mean:.2f}" if value.n else "–"
    return f"{value.mean:.2f} ± {value.deviation:.2f}"


def mean_and_interval(value: Estimate) -> str:
    """``+1.11 [+0.79, +1.35]``, a difference with its 95 % interval, if it has one."""
    if value.n < 2:
        return f"{value.mean:+.2f} [–]".replace("-", "−") if value.n else "–"
    return f"{value.mean:+.2f} [{value.low:+.2f}, {value.high:+.2f}]".replace("-", "−")


def with_n(value: Estimate) -> str:
    """``+1.11 [+0.79, +1.35] (5)``: the same with the number of seeds."""
    return f"{mean_and_interval(value)} ({value.n})"


def network(family: str, depth: int) -> str:
    """``ResNet-34``: the name of a network in tables and figures."""
    return f"{NETWORKS[family]}-{depth}"


def difference(effect: Effect) -> str:
    """``plain-34 − plain-18``."""
    return f"{network(*effect.minuend)} − {network(*effect.subtrahend)}"


def final_errors(runs: pd.DataFrame) -> pd.DataFrame:
    """One row a network: n, runs that diverged, and each final error over seeds."""
    rows = []
    for (family, depth), group in runs.groupby(["family", "depth"]):
        errors = {
            f"{label}, %": mean_and_deviation(estimate(group[metric].astype(float)))
            for metric, label in METRICS.items()
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


def gate(kernel: float, bias: float) -> str:
    """``3×3, −2``: a gate in a table; nothing for a net without one."""
    return "" if pd.isna(kernel) else f"{kernel:.0f}×{kernel:.0f}, {bias:g}".replace("-", "−")


def arms(runs: pd.DataFrame) -> pd.DataFrame:
    """One row an arm of an experiment: what departs from the recipe, its size, and its errors.

    As :func:`final_errors`, for runs that differ in more than family and depth.
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
                "data": f"{fraction:.0%}".replace("%", " %"),
                "parameters": row["parameters"],
                "multiply-adds": f"{group.multiply_adds.iloc[0]:,}",
                **{name: row[name] for name in row if name not in ("network", "parameters")},
            }
        )
    return pd.DataFrame(rows)


def gaps(table: pd.DataFrame) -> pd.DataFrame:
    """A table of :func:`resnet_study.effects.highway_gaps` as text, Highway − ResNet."""
    return pd.DataFrame(
        {
            "network": [network("highway", depth) for depth in table.depth],
            "gate": [gate(*pair) for pair in zip(table.kernel, table.bias, strict=True)],
            "matched": table.match.str.replace("_", "-"),
            "parameters": table.parameters.map("{:,}".format),
            "multiply-adds": table.multiply_adds.map("{:,}".format),
            "points [95 % interval]": table.gap.map(mean_and_interval),
            "n": [gap.n for gap in table.gap],
            "sign": table.sign,
        }
    )


def effects(runs: pd.DataFrame) -> pd.DataFrame:
    """One row an effect of Fig. 2: its interval, n, and what it says of the claim."""
    rows = []
    for effect in FIG2_EFFECTS:
        measured = effect.estimate(runs)
        rows.append(
            {
                "difference": difference(effect),
                "error": METRICS[effect.metric],
                "points [95 % interval]": mean_and_interval(measured),
                "n": measured.n,
                "claimed": f"{effect.claimed} ({effect.claim})",
                "verdict": verdict(effect, measured),
            }
        )
    return pd.DataFrame(rows)


def comparison(table: pd.DataFrame) -> pd.DataFrame:
    """The reproduction report: a table of :func:`resnet_study.effects.compare` as text."""
    return pd.DataFrame(
        {
            "difference": table.effect.map(difference),
            "error": table.effect.map(lambda effect: METRICS[effect.metric]),
            "agreement": table.agreement,
            "claim": table.effect.map(lambda effect: effect.claim),
            "ours": table.our_verdict,
            "yours": table.their_verdict,
            "our points (n)": table.ours.map(with_n),
            "your points (n)": table.theirs.map(with_n),
        }
    )


def show(table: pd.DataFrame):
    """A table as a page of the book shows it: without pandas' numbering of the rows."""
    from IPython.display import HTML  # there in a notebook; a training does without it

    return HTML(table.to_html(index=False, border=0, justify="left"))
