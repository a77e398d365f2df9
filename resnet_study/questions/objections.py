"""What remains of Fig. 2 when something else than the shortcut is changed.

The rules were written down before the first run of the experiment ``objections`` was trained; its
nets at a third and at three times the rate, which are runs of ``highway``, were known, and so were
those without normalisation, from the measurements ``anatomy-*``.

Two effects in training error: the *degradation*, plain-34 − plain-18, and the *shortcut's worth*,
ResNet-34 − plain-34, in points, paired by seed. A run that diverged counts as 100 %, as in
``effects.at_best_rate``: without it, a family that diverges would look the better for it.
"""

from dataclasses import dataclass

import pandas as pd

from resnet_study.questions.depth import errors, fails, trains
from resnet_study.questions.effects import FEWEST_SEEDS, FIG2_EFFECTS, Effect, select, sign
from resnet_study.questions.experiments import OBJECTIONS, Arm
from resnet_study.questions.words import NOT_RECORDED
from resnet_study.statistics import Estimate, estimate
from resnet_study.training.recipes import Recipe

# Names of tables and figures, beside those of the objections.
RECIPE = "the recipe"  # nothing else is changed
BEST = "each net at its best"  # each net by the means that serves it best
_FIG2 = {effect.name: effect for effect in FIG2_EFFECTS}
DEGRADATION = _FIG2["plain_gap_training"]  # plain-34 − plain-18
SHORTCUT = _FIG2["shortcut_training"]  # ResNet-34 − plain-34
# Normalisations of residual nets: the usual start, and others.
STARTS = ("batch", "zero-gamma", "skip-init", "none")
# What answers that a net was badly trained: the same net and data, trained otherwise.
MEANS = (RECIPE, *(name for name, other in OBJECTIONS.items() if {*other} <= {"rate", "epochs"}))


def trained(runs: pd.DataFrame, recipe: Recipe) -> pd.DataFrame:
    """The rows that were trained at the rate, for the epochs and with the width of ``recipe``.

    ``runs`` is a table of :func:`resnet_study.pipeline.frames.load_runs`.
    """
    labels = {name: getattr(recipe, name) for name in ("rate", "epochs", "width")}
    return runs[(runs[list(labels)] == pd.Series(labels)).all(axis=1)]


def raised(runs: pd.DataFrame, recipe: Recipe, objection: str) -> pd.DataFrame:
    """The rows of the four nets with ``objection``, a key of ``OBJECTIONS`` or ``RECIPE``."""
    arm = Arm("plain", 18, **OBJECTIONS.get(objection, {}))
    chosen = trained(runs, arm.run(recipe, seed=0).recipe)
    return chosen[chosen.normalisation == arm.normalisation]


def best(runs: pd.DataFrame, recipe: Recipe, family: str, depth: int) -> tuple[str, pd.DataFrame]:
    """The one of ``MEANS`` by which a net reaches its lowest mean training error, and its rows.

    Of those with ``FEWEST_SEEDS`` seeds or more; an empty name and no rows if there is none.
    """
    found = {name: select(raised(runs, recipe, name), family, depth) for name in MEANS}
    means = {n: errors(nets).mean() for n, nets in found.items() if len(nets) >= FEWEST_SEEDS}
    if not means:
        return "", runs.iloc[:0]
    name = min(means, key=means.get)
    return name, found[name]


@dataclass(frozen=True)
class Remainder:
    """An effect with an objection, and beside what it is with the recipe."""

    effect: Effect
    gap: Estimate
    change: Estimate  # of the gap against the recipe's, paired by seed
    both_fail: bool  # no seed of either net ends below ``FAILURE``

    @property
    def reading(self) -> str:
        """What remains of the effect.

        - ``remains``: the gap has the sign it is claimed to have.
        - ``remains, smaller``: it has, but the objection takes a part of it: the change has the
          other sign.
        - ``turns round``: the gap has the other sign.
        - ``both fail``: no sign is decided, and neither net trains.
        - ``not decided``: no sign is decided, from ``FEWEST_SEEDS`` seeds or more, so that the
          effect may be gone. ``not recorded yet``: from fewer.
        """
        if self.gap.n < FEWEST_SEEDS:
            return NOT_RECORDED
        found, change = sign(self.gap), sign(self.change)
        if found == "undecided":
            return "both fail" if self.both_fail else "not decided"
        if found != self.effect.claimed:
            return "turns round"
        return "remains" if change in ("undecided", found) else "remains, smaller"


def remainder(effect: Effect, runs: pd.DataFrame, usual: pd.DataFrame) -> Remainder:
    """``effect`` in ``runs``, beside the recipe's own, ``usual``; four nets each, or some."""
    pair = [select(runs, *net) for net in (effect.minuend, effect.subtrahend)]
    gaps = errors(pair[0]) - errors(pair[1])
    before = errors(select(usual, *effect.minuend)) - errors(select(usual, *effect.subtrahend))
    both_fail = all(bool(fails(nets)) for nets in pair)
    return Remainder(effect, estimate(gaps), estimate(gaps - before), both_fail)


def remainders(runs: pd.DataFrame, recipe: Recipe, effect: Effect) -> dict[str, Remainder]:
    """What remains of ``effect`` with the recipe and with each objection, by its name.

    And under ``BEST`` with each net at its :func:`best`: the answer to those who say that one of
    them was badly trained.
    """
    usual = raised(runs, recipe, RECIPE)
    cases = {name: raised(runs, recipe, name) for name in (RECIPE, *OBJECTIONS)}
    nets = (effect.minuend, effect.subtrahend)
    cases[BEST] = pd.concat([best(runs, recipe, *net)[1] for net in nets])
    return {name: remainder(effect, chosen, usual) for name, chosen in cases.items()}


def summary(found: dict[str, Remainder]) -> str:
    """What remains of an effect over all objections (the recipe itself is none).

    - ``remains``: with every objection, smaller or not; where both nets fail there is nothing to
      compare, and that objection is left out.
    - ``does not remain``: with none. ``remains in part``: with some.
    - ``not recorded yet``: while one is missing.
    """
    readings = [one.reading for name, one in found.items() if name != RECIPE]
    if NOT_RECORDED in readings:
        return NOT_RECORDED
    remains = [reading.startswith("remains") for reading in readings if reading != "both fail"]
    if all(remains):
        return "remains"
    return "remains in part" if any(remains) else "does not remain"


def starts(runs: pd.DataFrame, recipe: Recipe, depth: int) -> dict[str, Estimate]:
    """Of a residual net with each of ``STARTS``: its training error less the usual one's.

    In points, paired by seed; all trained by the recipe.
    """
    nets = select(trained(runs, recipe), "residual", depth)
    found = {name: errors(nets[nets.normalisation == name]) for name in STARTS}
    return {name: estimate(values - found["batch"]) for name, values in found.items()}


def shortcut_alone(runs: pd.DataFrame, depth: int = 34) -> str:
    """C3, that identity shortcuts solve it: whether they do by themselves, without normalisation.

    In words: it does so (every seed below ``FAILURE``) without any; not so, but with SkipInit, a
    learnt factor on each branch; with neither; or there are too few seeds to say.
    """
    bare, skip = (
        trains(select(runs, "residual", depth, normalisation=name))
        for name in ("none", "skip-init")
    )
    if bare:
        return "ResNet-34 trains without normalisation"
    if skip:
        return "ResNet-34 trains without normalisation if its branches start at 0"
    if (bare, skip) == (False, False):
        return "ResNet-34 does not train without normalisation"
    return "too few seeds to say"
