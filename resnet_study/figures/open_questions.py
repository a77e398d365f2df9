"""What the study leaves open: questions, what they cost, and where to begin."""

from dataclasses import dataclass

import pandas as pd

from resnet_study.questions.experiments import EXPERIMENTS


@dataclass(frozen=True)
class Question:
    """A question, how many trainings of which recipe would answer it, and the first command."""

    text: str
    recipe: str
    trainings: int
    command: str


def _planned(text: str, experiment: str, recipe: str) -> Question:
    command = f"resnet-study run --experiment {experiment} --recipe {recipe}"
    return Question(text, recipe, len(EXPERIMENTS[experiment].runs(recipe)), command)


QUESTIONS = (
    _planned("Does the deeper ResNet win by width?", "width", "tiny-imagenet-50"),
    Question(
        "Is clipping more than a smaller step?",
        "digits",
        3 * 3 * 6,  # clips, rates and seeds
        "resnet-study run --family plain --depth 34 --clip 3 --rate 0.017 --seed 40",
    ),
    _planned("Does it hold on all of Tiny ImageNet?", "fig2", "tiny-imagenet"),
    Question(
        "Do Highway nets of today's design win?",
        "tiny-imagenet-50",
        2 * 3,  # depths, and seeds that six lack
        "resnet-study run --experiment highway-2025 --recipe tiny-imagenet-50 --seeds 3-5",
    ),
)


def open_questions(runs: pd.DataFrame) -> pd.DataFrame:
    """One row a question, cells in Markdown: its trainings and their price, and the command.

    The price is the mean time of a recorded training by the recipe, on the device that most were
    trained on, times their number; a dash where none is recorded.
    """
    return pd.DataFrame(
        [
            {
                "Question": question.text,
                "Cost": f"{question.trainings} trainings, {price}",
                "Begin with": f"`{question.command}`",
            }
            for question in QUESTIONS
            for price in [_price(runs[runs.recipe == question.recipe], question.trainings)]
        ]
    )


def _price(like: pd.DataFrame, trainings: int) -> str:
    if like.empty:
        return "–"
    device = like.device.mode().iloc[0]
    minutes = like[like.device == device].seconds.mean() * trainings / 60
    amount = f"{minutes / 60:.0f} h" if minutes >= 100 else f"{minutes:.0f} min"
    return f"{amount} of one {device}"
