"""Differences between nets as they train, on the fifty classes and in the paper."""

from collections.abc import Mapping

import pandas as pd

from resnet_study.questions.effects import select
from resnet_study.statistics import estimate

Net = Mapping[str, object]  # family, depth and whatever else tells it apart


def gap_by_iteration(
    curves: pd.DataFrame, minuend: Net, subtrahend: Net, metric: str
) -> pd.DataFrame:
    """The difference of two nets at each evaluation, paired by seed, in points.

    Of a table of :func:`resnet_study.pipeline.frames.load_curves` with runs of one length.

    Returns:
        A table of one row an evaluation, with iteration, share (of the training), n, mean, and
        low and high, the ends of Student's 95 % interval.
    """
    first, second = (
        select(curves, **net).pivot(index="iteration", columns="seed", values=metric)
        for net in (minuend, subtrahend)
    )
    rows = []
    for iteration, gaps in (first - second).iterrows():
        found = estimate(gaps)
        rows.append((iteration, found.n, found.mean, found.low, found.high))
    table = pd.DataFrame(rows, columns=["iteration", "n", "mean", "low", "high"])
    return table.assign(share=table.iteration / table.iteration.max())


def paper_gap(curves: pd.DataFrame, family: str, split: str) -> pd.DataFrame:
    """34 − 18 layers in the paper's curves, where both are drawn: iteration, share and mean."""
    chosen = curves[(curves.family == family) & (curves.split == split)]
    depths = chosen.pivot(index="iteration", columns="depth", values="error_percent").dropna()
    gap = (depths[34] - depths[18]).rename("mean").reset_index()
    return gap.assign(share=gap.iteration / curves.iteration.max())


def crossing(gap: pd.DataFrame) -> int | None:
    """The iteration from which the mean gap stays below zero to the end; None if it does not."""
    above = gap[~(gap["mean"] < 0)]
    if above.empty:
        return int(gap.iteration.iloc[0])
    after = gap[gap.iteration > above.iteration.max()]
    return None if after.empty else int(after.iteration.iloc[0])
