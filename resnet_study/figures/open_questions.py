"""What the study leaves open: questions, what they cost, and where to begin."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from resnet_study.pipeline.run import Run
from resnet_study.questions.experiments import EXPERIMENTS, FRESH, INTERVENTIONS
from resnet_study.training.recipes import get_recipe


@dataclass(frozen=True)
class Question:
    """A question, how many trainings answer it, those ``like`` them, and the first command."""

    text: str
    like: tuple[Run, ...]
    trainings: int
    command: str


def _planned(text: str, experiment: str, recipe: str) -> Question:
    command = f"resnet-study run --experiment {experiment} --recipe {recipe}"
    planned = tuple(EXPERIMENTS[experiment].runs(recipe))
    return Question(text, planned, len(planned), command)


QUESTIONS = (
    _planned("Does the deeper ResNet win once both are wider?", "width", "tiny-imagenet-50"),
    Question(
        "Is clipping more than a smaller step?",
        tuple(INTERVENTIONS["clipped gradients"].run(get_recipe("digits"), seed) for seed in FRESH),
        3 * 3 * 6,  # clips, rates and seeds
        "resnet-study run --family plain --depth 34 --clip 3 --rate 0.017 --seed 40",
    ),
    _planned("Does Fig. 2 hold on all of Tiny ImageNet?", "fig2", "tiny-imagenet"),
    Question(
        "Do Highway nets of today's design win?",
        tuple(EXPERIMENTS["highway-2025"].runs("tiny-imagenet-50")),
        2 * 3,  # depths, and seeds that six lack
        "resnet-study run --experiment highway-2025 --recipe tiny-imagenet-50 --seeds 3-5",
    ),
)


def open_questions(runs: pd.DataFrame) -> pd.DataFrame:
    """One row a question, cells in Markdown: its trainings and their price, and the command.

    The price is the mean time of the recorded trainings that are like them, on the device that most
    were trained on, times their number; a dash where none is recorded.
    """
    return pd.DataFrame(
        [
            {
                "Question": question.text,
                "Cost": f"{question.trainings} trainings, {price}",
                "Begin with": f"`{question.command}`",
            }
            for question in QUESTIONS
            for price in [_price(_recorded(question.like, runs), question.trainings)]
        ]
    )


def _recorded(like: tuple[Run, ...], runs: pd.DataFrame) -> pd.DataFrame:
    names = {(run.recipe.name, run.name) for run in like}
    found = [
        (recipe, Path(path).stem) in names
        for recipe, path in zip(runs.recipe, runs.path, strict=True)
    ]
    return runs[found]


def _price(like: pd.DataFrame, trainings: int) -> str:
    if like.empty:
        return "–"
    device = like.device.mode().iloc[0]
    minutes = like[like.device == device].seconds.mean() * trainings / 60
    amount = f"{minutes / 60:.0f} h" if minutes >= 100 else f"{minutes:.0f} min"
    return f"{amount} of one {device}" if "NVIDIA" in device else f"{amount} of one core, {device}"
