"""Which depths train: the rule of C1, and whether a deeper net overfits.

The rules were written down before the first run of the experiments ``depth`` and
``thousand-layers`` was trained. Seen before were nets of up to 56 layers (the measurements
``anatomy-*``: ResNet-56 with the usual start does not train with every seed), and two trials at a
thousand layers that are not recorded, cut short: the usual start had 88 % training error after six
epochs, zero-γ 37 % after four.

"Training error" is the running one of the last epoch, in percent; a run that diverged counts as
100 %: it has learnt no image. A residual net has two starts: the usual one, He initialisation and
γ = 1, and zero-γ, where the last γ of each branch starts at 0, so that each block starts as its
shortcut alone. Both are residual learning, but the second is an addition of 2017 to the nets of
2015, so a verdict that rests on it says so.
"""

import pandas as pd

from resnet_study.questions.effects import FEWEST_SEEDS, gap, select, sign
from resnet_study.questions.verdicts import Answer
from resnet_study.questions.words import NOT_RECORDED
from resnet_study.statistics import FEWEST

FAILURE = 20.0  # percent; He et al. 2016, Table 1, call a test error above it a failure
DEEP = 100  # layers: the least that C1, of hundreds and thousands, is judged at
STARTS = ("batch", "zero-gamma")  # normalisations of a residual net: usual start, zero-γ


def errors(nets: pd.DataFrame) -> pd.Series:
    """Final training error by seed, in percent; 100 for a run that diverged."""
    return nets.set_index("seed").training_error.astype(float).fillna(100)


def trains(nets: pd.DataFrame) -> bool | None:
    """Whether every seed of one network ends below ``FAILURE``.

    One seed that does not is enough to say no; to say yes takes ``FEWEST_SEEDS``. None: not
    decided.
    """
    below = errors(nets) < FAILURE
    if not below.all():
        return False
    return True if len(below) >= FEWEST_SEEDS else None


def fails(nets: pd.DataFrame) -> bool | None:
    """Whether no seed of one network ends below ``FAILURE``, by the same rule."""
    below = errors(nets) < FAILURE
    if below.any():
        return False
    return True if len(below) >= FEWEST_SEEDS else None


def outcome(nets: pd.DataFrame) -> str:
    """How many seeds of one network end below ``FAILURE``: ``2 of 3 seeds train``."""
    below = errors(nets) < FAILURE
    if below.empty:
        return NOT_RECORDED
    if below.all():
        return f"all {len(below)} seeds train" if len(below) > 1 else "the one seed trains"
    if len(below) == 1:
        return "the one seed fails"
    return (
        f"{below.sum() or 'none'} of {len(below)} seeds {'train' if below.sum() > 1 else 'trains'}"
    )


def seen_at(runs: pd.DataFrame, depth: int) -> str:
    """What becomes of plain and residual nets of one depth, in words.

    Of a table of :func:`resnet_study.pipeline.frames.load_runs`, of one width at this depth.
    """
    plain = select(runs, "plain", depth)
    usual, zero = (select(runs, "residual", depth, normalisation=start) for start in STARTS)
    if fails(plain) and trains(usual):
        return "the residual net trains and the plain one fails"
    if fails(plain) and trains(zero):
        return "the residual net trains with zero-γ and the plain one fails"
    if trains(plain):
        return "the plain net trains too"
    if fails(usual) and fails(zero):
        return "no net trains"
    return "seeds disagree, or are too few"


def answer_at(runs: pd.DataFrame, depth: int) -> Answer:
    """C1 at one depth, that residual learning is what makes it trainable.

    - *same sign*: the residual net trains (see :func:`trains`) with the usual start, and the plain
      net of that depth :func:`fails`. *in part*: it trains with zero-γ alone.
    - *opposite sign*: the plain net trains too, so that no shortcut was needed; or the residual net
      fails with each start.
    - *mixed*: the seeds of one net do not agree. *exploratory*: a net has fewer than six.
    """
    plain = select(runs, "plain", depth)
    usual, zero = (select(runs, "residual", depth, normalisation=start) for start in STARTS)
    if plain.empty or (usual.empty and zero.empty):
        return Answer.NOT_RECORDED
    if len(plain) < FEWEST or max(len(usual), len(zero)) < FEWEST:
        return Answer.EXPLORATORY
    if fails(plain) and trains(usual):
        return Answer.SAME
    if fails(plain) and trains(zero):
        return Answer.IN_PART
    if trains(plain) or (fails(usual) and fails(zero)):
        return Answer.OPPOSITE
    return Answer.MIXED


def overfitting(deep: pd.DataFrame, shallow: pd.DataFrame) -> str:
    """Whether the deeper of two networks overfits, as the paper's ResNet-1202 did.

    Signs of the gaps deep − shallow, paired by seed, in training and in validation error:

    - ``overfits``: worse in validation, and not worse in training.
    - ``trains less well``: worse in training, so whatever it does in validation is no overfitting.
    - ``no overfitting seen``: neither. ``not decided``: fewer than ``FEWEST_SEEDS`` seeds.
    """
    training, validation = (
        gap(deep, shallow, f"{split}_error") for split in ("training", "validation")
    )
    if min(training.n, validation.n) < FEWEST_SEEDS:
        return "not decided"
    if sign(training) == "higher":
        return "trains less well"
    return "overfits" if sign(validation) == "higher" else "no overfitting seen"
