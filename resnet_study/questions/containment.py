"""Differences between nets that start contained and nets that are drawn."""

import itertools

import pandas as pd

from resnet_study.models.options import Gates
from resnet_study.questions.effects import (
    gap,
    select,
    sign,
)
from resnet_study.questions.highway import (
    gate_labels,
)


def containment_gaps(runs: pd.DataFrame, gates: Gates, metric: str) -> pd.DataFrame:
    """Highway nets with ``gates``, drawn and contained, against ResNets and each other.

    One row a depth and pair of nets: depth, minuend, subtrahend (names), parameters and
    multiply_adds of the minuend, gap (an Estimate), sign.
    """
    columns = ["depth", "minuend", "subtrahend", "parameters", "multiply_adds", "gap", "sign"]
    rows = []
    for depth in sorted(runs.depth.unique()):
        nets = {
            "Highway, contained": select(
                runs, "highway", depth, start="contained", **gate_labels(gates)
            ),
            "Highway, drawn": select(runs, "highway", depth, start="drawn", **gate_labels(gates)),
            "ResNet": select(runs, "residual", depth),
        }
        for minuend, subtrahend in itertools.combinations(nets, 2):
            if nets[minuend].empty or nets[subtrahend].empty:
                continue
            measured = gap(nets[minuend], nets[subtrahend], metric)
            size = nets[minuend].iloc[0]
            rows.append(
                (
                    depth,
                    minuend,
                    subtrahend,
                    size.parameters,
                    size.multiply_adds,
                    measured,
                    sign(measured),
                )
            )
    return pd.DataFrame(rows, columns=columns)
