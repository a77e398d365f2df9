"""What we say of each claim, and on top of the story's pages: sentences that test themselves.

A sentence is the author's, with a predicate on what was found. One that has stopped being true is
marked so wherever it is printed, and a test fails; in somebody's own reproduction it tells where
theirs differs from ours.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from resnet_study.questions.claims import RUNNING, Examined
from resnet_study.questions.literature import Grade, load_literature, resnet_pairs
from resnet_study.questions.objections import BEST, RECIPE
from resnet_study.questions.scales import REGISTERED
from resnet_study.questions.verdicts import DELTA, Answer
from resnet_study.statistics import Estimate

PICTURES = REGISTERED["tiny-imagenet-50"]
DIGITS = REGISTERED["digits"]
WATCHED = "plain-34 on digits, watched"
DRAWN = "34 layers, drawn and not trained"
FIRST = "34 layers on digits, at the start"
DEEP = ("digits, 110 layers", "digits, half as wide, 1,004 layers")
NOT_SO = "Not so in these records: "
Found = dict[str, Examined]


def _no_numbers(_: Any) -> tuple[str, ...]:
    """Of a sentence without any."""
    return ()


@dataclass(frozen=True)
class Sentence:
    """Words about what was found, and when they are true; each ``{}`` is filled by ``numbers``.

    What was found are the examined claims, unless it is said otherwise.
    """

    text: str
    holds: Callable[[Any], bool]
    numbers: Callable[[Any], tuple[str, ...]] = _no_numbers

    def told(self, found: Any) -> str:
        """The sentence with its numbers; marked if the records say otherwise."""
        try:
            text = self.text.format(*self.numbers(found))
            return text if self.holds(found) else NOT_SO + text
        except (KeyError, IndexError, StopIteration):  # what it speaks of is not recorded
            return NOT_SO + self.text.replace("{}", "…")


def _effect(found: Found, claim: str, where: str, place: int = 0) -> Estimate:
    """An effect of a finding: the one that decides, or the one that stands beside it."""
    return [*found[claim].at(where).effects.values()][place]


def _points(value: float) -> str:
    """A size in points, rounded to what matters."""
    return f"{abs(value):.0f}" if abs(value) >= 5 else f"{abs(value):.1f}"


def _deep(found: Found, where: str, start: str) -> Estimate:
    """ResNet − plain in training error at a place of ``DEEP``; start: usual start or zero-γ."""
    return found["C1"].at(where).effects[f"ResNet − plain, {start}, {RUNNING}"]


def _instead(found: Found, means: str) -> Estimate:
    """Plain-34 with other means than clipping, of the registered ones, less plain-34."""
    return found["C2"].at(DIGITS).effects[f"clean training error with {means}"]


def _all_pairs_agree(found: Found) -> bool:
    return bool((resnet_pairs(load_literature()).difference < 0).all())


LINES = {
    "C1": (
        Sentence(
            "True: with shortcuts, nets of 110 and of 1,004 layers train on our digits with every "
            "seed if their branches start at zero; by the same recipe plain nets do with none.",
            lambda found: all(_deep(found, where, "zero-γ").most < -50 for where in DEEP),
        ),
        Sentence(
            "That only residual nets do so is false: Xiao et al. (2018) trained plain nets of "
            "10,000 layers.",
            lambda found: found["C1"].grade is Grade.ESTABLISHED,
        ),
    ),
    "C2": (
        Sentence(
            "The mechanism is real in sigmoid nets, and absent in fully connected ReLU nets whose "
            "weights start by He's rule.",
            lambda found: (
                _effect(found, "C2", "untrained fully connected nets").high < -10
                and abs(_effect(found, "C2", "untrained fully connected nets", 1).mean) < 1
            ),
        ),
        Sentence(
            "In plain-34 with batch normalisation gradients do not vanish; before the first step "
            "they explode. Clipping them lowers its training error on digits by {} points: there "
            "steps that are too long are part of the cause.",
            lambda found: (
                found["C2"].at(DIGITS).answer is Answer.SAME
                and _effect(found, "C2", WATCHED).least > 1
            ),
            lambda found: (_points(_effect(found, "C2", DIGITS).mean),),
        ),
    ),
    "C3": (
        Sentence(
            "Half true: before the first step, with batch normalisation, shortcuts bring gradients "
            "nearer to balance, and not into it. Without it they do so on digits, where the plain "
            "net's vanish; in nets on larger maps, drawn and not trained, they do not.",
            lambda found: (
                _effect(found, "C3", DRAWN).high < 0 < _effect(found, "C3", DRAWN, 1).low
                and _effect(found, "C3", FIRST, 1).most < -1
            ),
        ),
    ),
    "C4": (
        Sentence(
            "On ImageNet reported once. In our nets on fifty classes of pictures 34 plain layers "
            "end {} points of training error above 18.",
            lambda found: _effect(found, "C4", PICTURES).low > 5,
            lambda found: (_points(_effect(found, "C4", PICTURES).mean),),
        ),
    ),
    "C5": (
        Sentence(
            "Holds on ImageNet in every public pair of trainings that we found.",
            lambda found: found["C5"].grade is Grade.ESTABLISHED and _all_pairs_agree(found),
        ),
        Sentence(
            "On our fifty classes the deeper ResNet fits its pictures better, by {} points. On new "
            "ones we cannot tell the two depths apart from the usual start; from zero-γ, at a rate "
            "not chosen for it, the deeper is ahead.",
            lambda found: (
                found["C5"].at(PICTURES).answer is Answer.UNDECIDED
                and _effect(found, "C5", PICTURES, 1).high < 0
                and _effect(found, "C5", PICTURES, 2).high < 0  # zero-γ
            ),
            lambda found: (_points(_effect(found, "C5", PICTURES, 1).mean),),
        ),
    ),
    "C6": (
        Sentence(
            "True of the size, which is equal by construction; for the rest it is C4 and C5.",
            lambda found: all(one.answer is not Answer.OPPOSITE for one in found["C6"].findings),
        ),
    ),
    "C7": (
        Sentence(
            "That a Highway net around residual branches can compute what a ResNet of its width "
            "computes is a theorem.",
            lambda found: True,  # proved and tested where the construction is
        ),
        Sentence(
            "Whether training finds it is another matter: of equal size and with the usual gates, "
            "one is as good on digits, and on our fifty classes ends {} points of training error "
            "above the ResNet.",
            lambda found: (
                found["C7"].grade is Grade.CONTESTED
                and found["C7"].at(DIGITS).answer is Answer.AS_GOOD
                and found["C7"].at(PICTURES).answer is Answer.WORSE
            ),
            lambda found: (_points(_effect(found, "C7", PICTURES).mean),),
        ),
        Sentence(
            "With the block of 2025 it ends below there, with each of three seeds.",
            lambda found: (block := _effect(found, "C7", PICTURES, 4)).most < 0 and block.n == 3,
        ),
    ),
    "C8": (
        Sentence(
            "Published comparisons contradict each other.",
            lambda found: found["C8"].grade is Grade.CONTESTED,
        ),
        Sentence(
            "At equal size our ResNets are ahead of Highway nets with the usual gates by {} points "
            "of validation error on fifty classes; on digits the two differ by less than a point.",
            lambda found: (
                found["C8"].at(PICTURES).answer is Answer.SAME
                and found["C8"].at(DIGITS).answer is Answer.NO_DIFFERENCE
            ),
            lambda found: (_points(_effect(found, "C8", PICTURES).mean),),
        ),
    ),
    "C9": (
        Sentence(
            "Open: we know of no other experiment that varies the data.",
            lambda found: found["C9"].grade is Grade.UNREPORTED,
        ),
        Sentence(
            "In ours on digits there is no deficit to explain. On fifty classes there is one. "
            "Whether it changes with a tenth of the pictures we cannot tell; that it grows by a "
            "point or more, the 95 % interval excludes.",
            lambda found: (
                found["C9"].at(DIGITS).answer is Answer.NO_PREMISE
                and found["C9"].at(PICTURES).answer is Answer.UNDECIDED
                and (change := _effect(found, "C9", PICTURES)).high < DELTA
                and change.low < 0 < change.high
            ),
        ),
    ),
}


ANSWERS = {  # of the story's pages
    "surprise": (
        Sentence(
            "Trained as the paper trains them, deeper plain nets end worse, and shortcuts mend "
            "that: they make a deep net easy to train.",
            lambda found: (
                _effect(found, "C4", PICTURES).low > 5
                and _effect(found, "C5", PICTURES, 1).high < 0  # training error
            ),
        ),
        Sentence(
            "On digits, where we watched them, the gradients of such a plain net do not vanish; at "
            "first they explode, and steps that are too long are part of the cause. Highway nets "
            "do much what ResNets do where their gates let them.",
            lambda found: (
                _effect(found, "C2", WATCHED).least > 1
                and found["C2"].at(DIGITS).answer is Answer.SAME
                and found["C7"].at(DIGITS).answer is Answer.AS_GOOD
            ),
        ),
    ),
    "gradients": (
        Sentence(
            "They do not vanish in plain-34 on digits. Before the first step they explode, and "
            "soon after they are in bounds.",
            lambda found: (
                _effect(found, "C2", WATCHED).least > 1
                and (end := _effect(found, "C2", WATCHED, 1)).least > -1
                and end.most < 1
            ),
        ),
        Sentence(
            "Cutting them short takes away most of the error that depth adds, not all.",
            lambda found: (
                0.5 < -_effect(found, "C2", DIGITS).mean / _effect(found, "C4", DIGITS).mean < 0.9
            ),
        ),
    ),
    "cause": (
        Sentence(
            "A tenth of the rate throughout takes off {} points, a slow first epoch {}, with an "
            "interval that holds zero. An orthogonal start makes it worse.",
            lambda found: (
                _instead(found, "a tenth of the rate").high < -5
                and (warm := _instead(found, "an epoch of warm-up")).low < 0 < warm.high
                and warm.mean < 0
                and _instead(found, "an orthogonal start").low > 0
            ),
            lambda found: (
                _points(_instead(found, "a tenth of the rate").mean),
                _points(_instead(found, "an epoch of warm-up").mean),
            ),
        ),
    ),
    "shortcut": (
        Sentence(
            "It keeps what came in, so that each block need only add a little. Together with "
            "normalisation that makes a deep net easy to train; alone it helps some nets and not "
            "others.",
            lambda found: (
                _effect(found, "C3", DRAWN).high < 0 < _effect(found, "C3", DRAWN, 1).low
                and _effect(found, "C3", FIRST, 1).most < -1
            ),
        ),
    ),
    "objections": (  # about the remainders of the degradation: see ``objections.remainders``
        Sentence(
            "No. On digits rate and length account for most of it: plain-34 ends {} points above "
            "plain-18 with the recipe, and {} when each net gets those that suit it (three seeds "
            "each).",
            lambda found: (
                found[RECIPE].gap.least > 5 and found[BEST].gap.most < found[RECIPE].gap.least / 3
            ),
            lambda found: (_points(found[RECIPE].gap.mean), _points(found[BEST].gap.mean)),
        ),
        Sentence(
            "Neither does it alone, and twice the width does not lessen it.",
            lambda found: (
                found["1/10 of the rate"].gap.least > 3 * found[BEST].gap.mean
                and found["3 × the epochs"].gap.least > 3 * found[BEST].gap.mean
                and found["2 × the width"].gap.least > 5
            ),
        ),
    ),
    "depth": (
        Sentence(
            "To a thousand layers, with every seed, if there are shortcuts and each branch starts "
            "at zero. By the same recipe plain nets of a hundred layers learn nothing.",
            lambda found: all(_deep(found, where, "zero-γ").most < -80 for where in DEEP),
        ),
    ),
    "highway": (
        Sentence(
            "A residual net with gates. On digits it is as good as the ResNet, if its gates start "
            "in the right place. On fifty classes, at equal size and with the usual gates, it is "
            "behind.",
            lambda found: (
                found["C7"].at(DIGITS).answer is Answer.AS_GOOD
                and found["C8"].at(PICTURES).answer is Answer.SAME
            ),
        ),
    ),
}


def line(number: str, found: Found) -> str:
    """What we say of a claim: its sentences, one after the other."""
    return " ".join(sentence.told(found) for sentence in LINES[number])


def answer(page: str, found: Any) -> str:
    """What a page of the story answers, by a key of ``ANSWERS``."""
    return " ".join(sentence.told(found) for sentence in ANSWERS[page])
