"""The registered trainings: what was fixed beforehand, and what the records say by it.

The rules are those of ``book/registration.md``, which was committed before the first of these
runs. One measure a claim, a difference D of final errors in points by seed; two-sided t tests,
adjusted by Holm's method over all measures of a recipe; equivalence tests against ±``DELTA``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from math import isnan, nan
from pathlib import Path

import numpy as np
import pandas as pd
from statsmodels.stats.multitest import multipletests

from resnet_study import paths
from resnet_study.files import contents
from resnet_study.pipeline.frames import load_runs
from resnet_study.pipeline.records import read_record, wrong_images
from resnet_study.questions.experiments import (
    EXPERIMENTS,
    FRESH,
    INTERVENTIONS,
    RATES,
    SIX,
    SRIVASTAVA_2025,
    USUAL_GATES,
    Arm,
    at_own_rate,
)
from resnet_study.questions.verdicts import DELTA, Answer, read
from resnet_study.statistics import FEWEST, Estimate, estimate, p_value, within
from resnet_study.training.recipes import get_recipe

CLEAN = "clean_training_error"
VALIDATION = "validation_error"
OTHER = {CLEAN: VALIDATION, VALIDATION: CLEAN}
# Other nets in place of those of a measure: residual ones of arm b, Highway ones of arm c′.
VARIANTS = {
    "zero-γ": {"residual": {"normalisation": "zero-gamma"}},
    "small γ": {"residual": {"normalisation": "small-gamma"}},
    "the block of 2025": {"highway": {"gates": SRIVASTAVA_2025, "shortcut": "B"}},
}
AS_GOOD = "no larger than δ"  # what C7 claims of its difference; the others claim a sign


@dataclass(frozen=True)
class Measure:
    """The difference D that a claim is read from: a sum of nets' final errors, with weights.

    ``instead`` are nets to take the place of the first one, by name; they decide nothing.
    """

    claim: str
    text: str  # D in words
    metric: str
    claimed: str  # "higher" or "lower" than 0, or ``AS_GOOD``
    terms: tuple[tuple[float, Arm], ...]
    instead: tuple[tuple[str, Arm], ...] = ()


@dataclass(frozen=True)
class Scale:
    """A registered recipe: its seeds, what a run that diverged counts as, and its measures."""

    recipe: str
    experiments: tuple[str, ...]  # that train the nets of the measures
    seeds: tuple[int, ...]
    chance: float  # percent
    measures: tuple[Measure, ...]
    premise: Measure  # of C9: that there is a deficit to explain


@dataclass(frozen=True)
class Reading:
    """What one measure says: D with its tests, the answer, and the records behind it.

    ``p`` is of the test that the claim asks for and ``adjusted`` the same after Holm's method;
    ``equivalence`` that of D within ±``DELTA``. NaN before all seeds are recorded. ``other`` is the
    same difference in the other kind of error, and ``variants`` has D with other nets in place of
    those of the measure, see ``VARIANTS`` and ``Measure.instead``; they decide nothing.
    """

    measure: Measure
    effect: Estimate
    p: float
    adjusted: float
    equivalence: float
    answer: Answer
    other: Estimate | None = None
    variants: Mapping[str, Estimate] = field(default_factory=dict)
    files: tuple[Path, ...] = ()


def _difference(minuend: Arm, subtrahend: Arm) -> tuple[tuple[float, Arm], ...]:
    return (1, minuend), (-1, subtrahend)


def _measures(nets: Mapping[str, Arm]) -> tuple[tuple[Measure, ...], Measure]:
    """The measures of C4, C5 and C7 to C9 and C9's premise, from eight nets by name."""
    gap_18 = _difference(nets["Highway-18"], nets["ResNet-18 beside it"])
    gap_34 = _difference(nets["Highway-34"], nets["ResNet-34 beside it"])
    both = tuple((weight / 2, net) for weight, net in (*gap_18, *gap_34))
    tenth = tuple((weight, replace(net, fraction=0.1, own_subset=True)) for weight, net in gap_18)
    whole = tuple((-weight, net) for weight, net in gap_18)
    of_both = "Highway − ResNet, mean of both depths"
    measures = (
        Measure(
            "C4",
            "plain-34 − plain-18",
            CLEAN,
            "higher",
            _difference(nets["plain-34"], nets["plain-18"]),
        ),
        Measure(
            "C5",
            "ResNet-34 − ResNet-18",
            VALIDATION,
            "lower",
            _difference(nets["ResNet-34"], nets["ResNet-18"]),
        ),
        Measure("C7", of_both, CLEAN, AS_GOOD, both),
        Measure("C8", of_both, VALIDATION, "higher", both),
        Measure(
            "C9",
            "(Highway-18 − ResNet-18 on a tenth) − (the same on all)",
            VALIDATION,
            "higher",
            (*tenth, *whole),
        ),
    )
    premise = Measure("C9", "Highway-18 − ResNet-18 on all", VALIDATION, "higher", gap_18)
    return measures, premise


def _pictures() -> Scale:
    nets = {
        f"{name}-{depth}": at_own_rate(family, depth)
        for name, family in (("plain", "plain"), ("ResNet", "residual"))
        for depth in (18, 34)
    }
    for depth in (18, 34):
        nets[f"Highway-{depth}"] = at_own_rate("highway", depth, USUAL_GATES)
        nets[f"ResNet-{depth} beside it"] = nets[f"ResNet-{depth}"]
    experiments = ("fig2", "highway", "data-size")
    return Scale("tiny-imagenet-50", experiments, SIX, 98, *_measures(nets))


def _digits() -> Scale:
    nets = {
        f"{name}-{depth}": Arm(family, depth)
        for name, family in (("plain", "plain"), ("ResNet", "residual"))
        for depth in (18, 34)
    }
    for depth in (18, 34):
        nets[f"Highway-{depth}"] = Arm(
            "highway", depth, USUAL_GATES, match="parameters", rate=RATES[1]
        )
        nets[f"ResNet-{depth} beside it"] = Arm("residual", depth, rate=RATES[0])
    measures, premise = _measures(nets)
    clipped, *others = INTERVENTIONS.items()
    cause = Measure(
        "C2",
        f"plain-34 with {clipped[0]} − plain-34",
        CLEAN,
        "lower",
        _difference(clipped[1], nets["plain-34"]),
        tuple(others),
    )
    return Scale("digits", ("digits-again",), FRESH, 90, (cause, *measures), premise)


SCALES = {scale.recipe: scale for scale in (_pictures(), _digits())}


def readings(recipe: str, runs_dir: Path = paths.RUNS) -> dict[str, Reading]:
    """What the records say by the registered rules, by claim.

    Raises:
        RecordError: if a record is damaged.
    """
    return _readings(recipe, Path(runs_dir), contents(Path(runs_dir) / recipe))


@cache  # each of nine claims asks for those of all, for Holm's method
def _readings(recipe: str, runs_dir: Path, _: frozenset) -> dict[str, Reading]:
    scale = SCALES[recipe]
    errors = cache(lambda arm: _final(scale, arm, runs_dir))

    def effect(measure: Measure, metric: str) -> Estimate:
        parts = [weight * errors(arm)[metric] for weight, arm in measure.terms]
        return estimate(sum(parts[1:], parts[0]))

    effects = {measure: effect(measure, measure.metric) for measure in scale.measures}
    premise = effect(scale.premise, scale.premise.metric)
    found = {}
    for claim, reading in judge(effects, premise).items():
        measure = reading.measure
        others = {name: _varied(measure, nets) for name, nets in VARIANTS.items()}
        others |= {
            name: replace(measure, terms=((1, arm), *measure.terms[1:]))
            for name, arm in measure.instead
        }
        files = {
            Path(path)
            for one in (measure, *others.values())
            for _, arm in one.terms
            for path in errors(arm).path
        }
        variants = {
            name: effect(other, measure.metric)
            for name, other in others.items()
            if other != measure
        }
        found[claim] = replace(
            reading,
            other=effect(measure, OTHER[measure.metric]),
            variants={name: found for name, found in variants.items() if found.n},
            files=tuple(sorted(files)),
        )
    return found


def _varied(measure: Measure, nets: Mapping[str, Mapping[str, object]]) -> Measure:
    """The measure with nets that are changed so, by their family."""
    terms = ((weight, replace(arm, **nets.get(arm.family, {}))) for weight, arm in measure.terms)
    return replace(measure, terms=tuple(terms))


def image_differences(recipe: str, claim: str, runs_dir: Path = paths.RUNS) -> np.ndarray:
    """D of a claim's measure in validation error, image by image: (seeds, images), in points.

    Seeds that lack a net, or one that says which images it got wrong, are left out; with none of
    them the array has no row.
    """
    scale = SCALES[recipe]
    (measure,) = (one for one in scale.measures if one.claim == claim)
    rows = []
    for seed in scale.seeds:
        runs = [arm.run(get_recipe(recipe), seed) for _, arm in measure.terms]
        if any(run.state(runs_dir) != "recorded" for run in runs):
            continue
        wrong = [wrong_images(read_record(run.recorded_at(runs_dir), "run")) for run in runs]
        if all(bits is not None for bits in wrong):
            parts = zip(measure.terms, wrong, strict=True)
            rows.append(100 * sum(weight * bits.astype(float) for (weight, _), bits in parts))
    return np.array(rows)


def _final(scale: Scale, arm: Arm, runs_dir: Path) -> pd.DataFrame:
    """Final errors of a net by seed, chance for a run that diverged, and paths of the records."""
    runs = [arm.run(get_recipe(scale.recipe), seed) for seed in scale.seeds]
    recorded = [run.recorded_at(runs_dir) for run in runs if run.state(runs_dir) == "recorded"]
    if not recorded:
        return pd.DataFrame(columns=[CLEAN, VALIDATION, "path"], dtype=float)
    table = load_runs(recorded).set_index("seed")[[CLEAN, VALIDATION, "path"]]
    return table.fillna({CLEAN: scale.chance, VALIDATION: scale.chance}).astype(
        {CLEAN: float, VALIDATION: float}
    )


def judge(effects: Mapping[Measure, Estimate], premise: Estimate) -> dict[str, Reading]:
    """The registered rule, from D of every measure and the ``premise`` of C9, by claim.

    A measure that lacks seeds is *not recorded yet*; in Holm's method it counts with p = 1, which
    can only keep the others from deciding.
    """
    complete = {measure: effect for measure, effect in effects.items() if effect.decides}
    asked = {measure: _p(measure, effect) for measure, effect in complete.items()}
    adjusted = _holm(asked, len(effects))
    found = {}
    for measure, effect in effects.items():
        if measure not in complete:
            found[measure.claim] = Reading(measure, effect, nan, nan, nan, Answer.NOT_RECORDED)
            continue
        if measure.claimed == AS_GOOD:
            two_sided = _holm(asked | {measure: p_value(effect)}, len(effects))[measure]
            answer = _at_least_as_good(effect, adjusted[measure], two_sided)
        elif measure.claim == "C9" and not (premise.decides and premise.low > 0):
            answer = Answer.NO_PREMISE if premise.decides else Answer.NOT_RECORDED
        else:
            answer = read(effect, measure.claimed, adjusted[measure])
        found[measure.claim] = Reading(
            measure, effect, asked[measure], adjusted[measure], within(effect, DELTA), answer
        )
    return found


def _p(measure: Measure, effect: Estimate) -> float:
    """Two-sided against 0; for "at least as good" one-sided, that D is below ``DELTA``."""
    if measure.claimed == AS_GOOD:
        return p_value(effect, DELTA, "less")
    return p_value(effect)


def _holm(found: Mapping[Measure, float], tests: int) -> dict[Measure, float]:
    """p-values after Holm's method over so many ``tests``; those not there count as 1."""
    values = [*found.values(), *[1.0] * (tests - len(found))]
    adjusted = multipletests(values, method="holm")[1] if values else ()
    return dict(zip(found, map(float, adjusted), strict=False))


def _at_least_as_good(effect: Estimate, p: float, two_sided: float) -> Answer:
    if p < 0.05:
        return Answer.AS_GOOD
    return Answer.WORSE if two_sided < 0.05 and effect.low > 0 else Answer.UNDECIDED


def missing(recipe: str, runs_dir: Path = paths.RUNS) -> list[str]:
    """The commands that train what the measures of a recipe lack; none if nothing does."""
    scale = SCALES[recipe]
    return [
        f"resnet-study run --experiment {name} --recipe {recipe}"
        for name in scale.experiments
        if len(EXPERIMENTS[name].recorded(runs_dir, recipe)) < len(EXPERIMENTS[name].runs(recipe))
    ]


def has_p(reading: Reading) -> bool:
    """Whether all seeds are there, so that there is a test."""
    return not isnan(reading.p) and reading.effect.n >= FEWEST
