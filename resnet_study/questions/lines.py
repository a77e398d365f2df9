"""What we say of each claim on the front page: sentences that test themselves.

A sentence is the author's, with a predicate on what was found. One that has stopped being true is
marked so wherever it is printed, and a test fails; in somebody's own reproduction it tells where
theirs differs from ours.
"""

from collections.abc import Callable
from dataclasses import dataclass

from resnet_study.questions.claims import Examined
from resnet_study.questions.literature import Grade, load_literature, resnet_pairs
from resnet_study.questions.scales import REGISTERED
from resnet_study.questions.verdicts import DELTA, Answer
from resnet_study.statistics import Estimate

PICTURES = REGISTERED["tiny-imagenet-50"]
DIGITS = REGISTERED["digits"]
NOT_SO = "Not so in these records: "
Found = dict[str, Examined]


@dataclass(frozen=True)
class Sentence:
    """Words about a claim, and when they are true; ``{}`` in them is filled by ``number``."""

    text: str
    holds: Callable[[Found], bool]
    number: Callable[[Found], str] | None = None

    def told(self, found: Found) -> str:
        """The sentence with its number; marked if the records say otherwise."""
        try:
            text = self.text.format(self.number(found)) if self.number else self.text
            return text if self.holds(found) else NOT_SO + text
        except (KeyError, IndexError, StopIteration):  # what it speaks of is not recorded
            return NOT_SO + self.text.format("…")


def _effect(found: Found, claim: str, where: str, place: int = 0) -> Estimate:
    """An effect of a finding: the one that decides, or the one that stands beside it."""
    return [*found[claim].at(where).effects.values()][place]


def _points(value: float) -> str:
    """A size in points, rounded to what matters."""
    return f"{abs(value):.0f}" if abs(value) >= 5 else f"{abs(value):.1f}"


def _zero_gamma(found: Found, where: str) -> Estimate:
    effects = found["C1"].at(where).effects
    return effects["ResNet − plain, zero-γ, training error"]


def _all_pairs_agree(found: Found) -> bool:
    return bool((resnet_pairs(load_literature()).difference < 0).all())


LINES = {
    "C1": (
        Sentence(
            "True: with shortcuts, nets of 110 and of 1,004 layers train on our digits with every "
            "seed if their branches start at zero, and plain nets with none.",
            lambda found: all(
                _zero_gamma(found, where).most < -50
                for where in ("digits, 110 layers", "digits, half as wide, 1,004 layers")
            ),
        ),
        Sentence(
            "That only residual nets do so is false: Xiao et al. (2018) trained plain nets of "
            "10,000 layers.",
            lambda found: found["C1"].grade is Grade.ESTABLISHED,
        ),
    ),
    "C2": (
        Sentence(
            "The mechanism is real in sigmoid nets, and absent in ReLU nets of He's start.",
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
                and _effect(found, "C2", "plain-34 on digits, watched").least > 1
            ),
            lambda found: _points(_effect(found, "C2", DIGITS).mean),
        ),
    ),
    "C3": (
        Sentence(
            "Half true: before the first step shortcuts balance gradients together with batch "
            "normalisation; without it they do not.",
            lambda found: (
                _effect(found, "C3", "34 layers, drawn and not trained").high < 0
                and _effect(found, "C3", "34 layers, drawn and not trained", 1).low > 0
            ),
        ),
    ),
    "C4": (
        Sentence(
            "On ImageNet reported once. In our nets on fifty classes of pictures 34 plain layers "
            "end {} points of training error above 18.",
            lambda found: _effect(found, "C4", PICTURES).low > 5,
            lambda found: _points(_effect(found, "C4", PICTURES).mean),
        ),
    ),
    "C5": (
        Sentence(
            "Holds on ImageNet in every public pair of trainings that we found.",
            lambda found: found["C5"].grade is Grade.ESTABLISHED and _all_pairs_agree(found),
        ),
        Sentence(
            "On our fifty classes the deeper ResNet fits its pictures better, by {} points. On new "
            "ones it hangs on the start: from the usual one we cannot tell the two depths apart.",
            lambda found: (
                found["C5"].at(PICTURES).answer is Answer.UNDECIDED
                and _effect(found, "C5", PICTURES, 1).high < 0
                and _effect(found, "C5", PICTURES, 2).high < 0  # zero-γ
            ),
            lambda found: _points(_effect(found, "C5", PICTURES, 1).mean),
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
            "That a Highway net can compute what a ResNet computes is a theorem.",
            lambda found: True,  # proved and tested where the construction is
        ),
        Sentence(
            "That it is therefore as good does not follow: on our fifty classes one of equal size, "
            "with the usual gates, ends {} points of training error above the ResNet.",
            lambda found: (
                found["C7"].grade is Grade.CONTESTED
                and found["C7"].at(PICTURES).answer is Answer.WORSE
            ),
            lambda found: _points(_effect(found, "C7", PICTURES).mean),
        ),
        Sentence(
            "With the block of 2025 it ends below it, with each of three seeds, and on digits it "
            "is as good.",
            lambda found: (
                (block := _effect(found, "C7", PICTURES, 4)).most < 0
                and block.n == 3
                and found["C7"].at(DIGITS).answer is Answer.AS_GOOD
            ),
        ),
    ),
    "C8": (
        Sentence(
            "Published comparisons contradict each other.",
            lambda found: found["C8"].grade is Grade.CONTESTED,
        ),
        Sentence(
            "At equal size our ResNets are ahead of Highway nets with the usual gates by {} points "
            "on fifty classes; on digits the two differ by less than a point.",
            lambda found: (
                found["C8"].at(PICTURES).answer is Answer.SAME
                and found["C8"].at(DIGITS).answer is Answer.NO_DIFFERENCE
            ),
            lambda found: _points(_effect(found, "C8", PICTURES).mean),
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
            "point or more is outside the interval.",
            lambda found: (
                found["C9"].at(DIGITS).answer is Answer.NO_PREMISE
                and found["C9"].at(PICTURES).answer is Answer.UNDECIDED
                and (change := _effect(found, "C9", PICTURES)).high < DELTA
                and change.low < 0 < change.high
            ),
        ),
    ),
}


def line(number: str, found: Found) -> str:
    """What we say of a claim: its sentences, one after the other."""
    return " ".join(sentence.told(found) for sentence in LINES[number])
