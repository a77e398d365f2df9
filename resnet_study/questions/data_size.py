"""What the amount of data says of C9: effects and the rule."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from resnet_study.models.options import Gates
from resnet_study.questions.effects import gap, select, sign
from resnet_study.questions.highway import gate_labels
from resnet_study.questions.verdicts import Answer
from resnet_study.statistics import Estimate, estimate


@dataclass(frozen=True)
class DataSize:
    """How the gap of one gate changes with the amount of data, at equal iterations.

    Gaps are by fraction of the training images, ascending; a slope is the change of the gap, in
    points, for ten times the data: a line fitted to each seed, then a mean over seeds.
    """

    gates: Gates
    training: dict[float, Estimate]
    validation: dict[float, Estimate]
    training_slope: Estimate
    validation_slope: Estimate

    @property
    def reading(self) -> str:
        """Which explanation of a deficit the gaps fit.

        - ``optimisation``: the training error is higher at every size.
        - ``needs data``: the training error is higher at no size, the validation error is higher
          at the smallest, and its gap closes as data grow (the slope is lower than zero).
        - ``no need of data``: the training error is higher at no size, and the validation gap
          either is below zero at the smallest size or opens as data grow.
        - ``not decided``: anything else.
        """
        training = [sign(measured) for measured in self.training.values()]
        smallest = sign(next(iter(self.validation.values())))
        slope = sign(self.validation_slope)
        if all(found == "higher" for found in training):
            return "optimisation"
        if "higher" not in training:
            if smallest == "higher" and slope == "lower":
                return "needs data"
            if smallest == "lower" or slope == "higher":
                return "no need of data"
        return "not decided"

    def covers(self, fractions: Iterable[float]) -> bool:
        """Whether there is a gap at each of ``fractions``: without, there is nothing to read."""
        return all(size in self.training and self.training[size].n for size in fractions)

    @property
    def answer(self) -> Answer:
        """What the reading says of C9, that Highway nets need more data to be as good.

        Where the gap in validation error with all of the data is not above zero, there is nothing
        to explain: *premise not met*. Fewer than six seeds are *exploratory*.
        """
        whole = list(self.validation.values())[-1]
        if not whole.decides:
            return Answer.EXPLORATORY if whole.n else Answer.NOT_RECORDED
        if sign(whole) != "higher":
            return Answer.NO_PREMISE
        answers = {"needs data": Answer.SAME, "not decided": Answer.UNDECIDED}
        return answers.get(self.reading, Answer.OPPOSITE)


def data_size(
    runs: pd.DataFrame, gates: Gates, rate: float, depth: int = 18, match: str | None = None
) -> DataSize:
    """Gaps and slopes of Highway nets with ``gates`` over all fractions in ``runs``.

    With ``match`` they are those as large as the residual net in it, else those of whole widths.
    """
    so_large = runs.match.isna() if match is None else runs.match == match
    at_rate = runs[(runs.rate == rate) & ((runs.family != "highway") | so_large)]
    found = {}
    for metric in ("training_error", "validation_error"):
        gaps, by_seed = {}, {}
        for fraction in sorted(at_rate.fraction.unique()):
            highway = select(at_rate, "highway", depth, fraction=fraction, **gate_labels(gates))
            residual = select(at_rate, "residual", depth, fraction=fraction)
            gaps[fraction] = gap(highway, residual, metric)
            first, second = (t.set_index("seed")[metric].astype(float) for t in (highway, residual))
            by_seed[fraction] = first - second
        found[metric] = gaps, estimate(slopes(pd.DataFrame(by_seed)))
    training, validation = found["training_error"], found["validation_error"]
    return DataSize(gates, training[0], validation[0], training[1], validation[1])


def slopes(gaps: pd.DataFrame) -> pd.Series:
    """Slope of each row against log10 of the columns, fractions; rows without a gap left out."""
    whole = gaps.dropna()
    size = np.log10(np.asarray(whole.columns, dtype=float))
    size = size - size.mean()
    return (whole * size).sum(axis=1) / (size**2).sum()
