"""Estimates, nets and gates in words and numbers, for tables, figures and the terminal."""

import pandas as pd

from resnet_study.models.families import load_family
from resnet_study.questions.effects import Effect
from resnet_study.statistics import Estimate

NETWORKS = {"plain": "plain", "residual": "ResNet", "highway": "Highway", "scaled": "scaled"}
NORMALISATIONS = {
    "batch": "",
    "zero-gamma": "zero-γ",
    "small-gamma": "small γ",
    "orthogonal": "orthogonal start",
    "skip-init": "SkipInit",
    "none": "no normalisation",
}
METRICS = {
    "training_error": "training",
    "clean_training_error": "training, clean",
    "validation_error": "validation",
    "ten_crop_error": "validation, ten crops",
}
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
NOT_RECORDED = "not recorded yet"
POINTS = "points [95 % interval] or (range)"  # what :func:`mean_and_interval` writes


def mean_and_deviation(value: Estimate) -> str:
    """``2.18 ± 0.35``; the deviation is over seeds, and one seed has none."""
    if value.n < 2:
        return f"{value.mean:.2f}" if value.n else "–"
    return f"{value.mean:.2f} ± {value.deviation:.2f}"


def signed(value: float) -> str:
    """``+1.11``, ``−0.36``, and ``0.00`` for what rounds to it."""
    text = f"{value:+.2f}".replace("-", "−")
    return text[1:] if text[1:] == "0.00" else text


def mean_and_interval(value: Estimate) -> str:
    """``+1.11 [+0.79, +1.35]``, a difference with its 95 % interval.

    Of fewer than six seeds, whose interval decides nothing, the range: ``+1.11 (+0.79 to +1.35)``.
    """
    if value.n < 2:
        return f"{signed(value.mean)}" if value.n else "–"
    low, high = map(signed, value.reach)
    around = f"[{low}, {high}]" if value.decides else f"({low} to {high})"
    return f"{signed(value.mean)} {around}"


def with_n(value: Estimate) -> str:
    """``+1.11 [+0.79, +1.35], n = 6``: the same with the number of seeds."""
    return f"{mean_and_interval(value)}, n = {value.n}"


def mean_and_range(values: pd.Series, digits: int = 2) -> str:
    """``0.21 [0.18, 0.25]``: a mean with the lowest and the highest seed, if they differ."""
    known = values.dropna().astype(float)
    if known.empty:
        return "–"
    texts = [f"{value:#.{digits}g}" for value in (known.mean(), known.min(), known.max())]
    mean, low, high = (text.rstrip(".").replace("-", "−") for text in texts)
    return f"{mean} [{low}, {high}]" if known.nunique() > 1 else mean


def scientific(value: float) -> str:
    """``1.2 × 10⁻³⁴``; ``13`` for what needs no power of ten to be read."""
    if 0.001 <= value < 10_000:
        return f"{value:.2g}" if value < 100 else f"{value:.0f}"
    mantissa, power = f"{value:.1e}".split("e")
    return f"{mantissa} × 10{str(int(power)).translate(SUPERSCRIPTS)}"


def label(family: str) -> str:
    """``ResNet``: what tables and figures call a family, also one of a file of its own."""
    return NETWORKS[family] if family in NETWORKS else load_family(family).LABEL


def network(family: str, depth: int) -> str:
    """``ResNet-34``: the name of a network in tables and figures."""
    return f"{label(family)}-{depth}"


def kind(network: str, normalisation: str) -> str:
    """``ResNet-34, zero-γ``: a network, or a family, with what is unusual of its branches."""
    unusual = NORMALISATIONS[normalisation]
    return f"{network}, {unusual}" if unusual else network


def difference(effect: Effect) -> str:
    """``plain-34 − plain-18``."""
    return f"{network(*effect.minuend)} − {network(*effect.subtrahend)}"


def gate(kernel: float, bias: float) -> str:
    """``3×3, −2``: a gate in a table; nothing for a net without one."""
    return "" if pd.isna(kernel) else f"{kernel:.0f}×{kernel:.0f}, {bias:g}".replace("-", "−")


def percent(fraction: float) -> str:
    """``25 %``."""
    return f"{fraction:.0%}".replace("%", " %")


def markdown(table: pd.DataFrame) -> str:
    """A table of texts, which may be Markdown themselves, as Markdown; n stays with its number."""
    rows = [list(table), ["---"] * len(table.columns), *table.to_numpy().tolist()]
    text = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return text.replace("n = ", "n\u00a0=\u00a0")
