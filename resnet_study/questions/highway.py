"""What Highway nets and ResNets say of C7 and C8: effects and rules."""

from collections.abc import Iterable

import pandas as pd

from resnet_study.models.options import Gates
from resnet_study.questions.effects import _pair, gap, select, sign
from resnet_study.questions.verdicts import Answer, combine, read
from resnet_study.statistics import Estimate

# With one gate, the published one, as `make reproduce` trains it.
HIGHWAY_EFFECTS = [
    *_pair("highway_18", "C8", ("highway", 18), ("residual", 18), "higher"),
    *_pair("highway_34", "C8", ("highway", 34), ("residual", 34), "higher"),
]


def gate_labels(gates: Gates) -> dict[str, object]:
    """The labels by which the runs of these gates are found."""
    return {"gate_kernel": gates.kernel, "gate_bias": gates.bias}


def at_best_rate(chosen: pd.DataFrame) -> pd.DataFrame:
    """The rows of the rate whose mean training error is lowest; a run that diverged counts 100 %.

    By training error, because nothing is chosen on the images that validate.
    """
    if chosen.empty:
        return chosen
    means = chosen.training_error.astype(float).fillna(100).groupby(chosen.rate).mean()
    return chosen[chosen.rate == means.idxmin()]


def usual(table: pd.DataFrame, rate: float) -> pd.DataFrame:
    """Rows of runs or curves at this ``rate``, with whole widths, all data, drawn at the start."""
    whole = (table.fraction == 1) & table.match.isna() & (table.start == "drawn")
    return table[whole & (table.rate == rate)]


def with_gates(table: pd.DataFrame, gates: Gates) -> pd.DataFrame:
    """Rows of runs or curves of Highway nets with ``gates``, and of nets without any."""
    same = (table.gate_kernel == gates.kernel) & (table.gate_bias == gates.bias)
    return table[same | table.gate_kernel.isna()]


def at_best_rates(runs: pd.DataFrame, gates: Gates) -> pd.DataFrame:
    """Rows of each network at its best rate (:func:`at_best_rate`), Highway nets with ``gates``.

    As in :func:`highway_answer`, whole widths and all data.
    """
    whole = runs[(runs.fraction == 1) & runs.match.isna() & (runs.start == "drawn")]
    networks = with_gates(whole, gates).groupby(["depth", "family"])
    return pd.concat([at_best_rate(network) for _, network in networks])


def highway_gaps(runs: pd.DataFrame, rate: float, metric: str) -> pd.DataFrame:
    """One row a gate: its gap to the residual net of the same depth, both trained at ``rate``.

    Columns depth, kernel, bias, match (empty for whole widths), parameters, multiply_adds, gap
    (an Estimate), sign; no row if there is no Highway net.
    """
    columns = ["depth", "kernel", "bias", "match", "parameters", "multiply_adds", "gap", "sign"]
    whole = runs[(runs.rate == rate) & (runs.fraction == 1) & (runs.start == "drawn")]
    highway = whole[whole.family == "highway"]
    matches = highway.match.fillna("").rename("match")
    rows = []
    for (depth, kernel, bias, match), nets in highway.groupby(
        ["depth", "gate_kernel", "gate_bias", matches]
    ):
        measured = gap(nets, select(whole, "residual", depth), metric)
        rows.append(
            {
                "depth": depth,
                "kernel": int(kernel),
                "bias": bias,
                "match": match,
                "parameters": nets.parameters.iloc[0],
                "multiply_adds": nets.multiply_adds.iloc[0],
                "gap": measured,
                "sign": sign(measured),
            }
        )
    return pd.DataFrame(rows, columns=columns)


def highway_answer(
    runs: pd.DataFrame, gates: Gates, metric: str, claimed: str, depths: Iterable[int] = (18, 34)
) -> tuple[Answer, dict[int, Estimate]]:
    """What both depths together say of C7 or C8, and the gap at each.

    Each family is taken at its best rate (see :func:`at_best_rate`) of those trained, with whole
    widths and all of the data, and the Highway net with ``gates``. The best rate is chosen on the
    runs that are then compared, and nets of whole widths differ in size: this explores, and the
    registered trainings decide.

    - **C8**, ResNets outperform Highway nets: validation error, claimed ``higher``.
    - **C7** has two parts. That the Highway net's functions contain the ResNet's is proved by
      ``containment.contain`` and its test, and no record can decide it. That it therefore "should
      be at least as good" is a claim about what training finds: training error, claimed ``lower``.
    """
    gaps = {}
    for depth in depths:
        whole = {"fraction": 1, "match": None, "start": "drawn"}
        highway = at_best_rate(select(runs, "highway", depth, **whole, **gate_labels(gates)))
        residual = at_best_rate(select(runs, "residual", depth, **whole))
        gaps[depth] = gap(highway, residual, metric)
    return combine(read(measured, claimed) for measured in gaps.values()), gaps
