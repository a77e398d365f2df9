"""Experiments: which runs answer which question."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from resnet_study import paths
from resnet_study.errors import InputError, require_one_of
from resnet_study.models.options import KERNELS, MEASURES, Gates
from resnet_study.pipeline.records import RecordError
from resnet_study.pipeline.run import Run
from resnet_study.training.recipes import Recipe, get_recipe


def parse_seeds(text: str) -> tuple[int, ...]:
    """``"0-2,7"`` is seeds 0, 1, 2 and 7.

    Raises:
        InputError: for a text of another form.
    """
    seeds = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", part.strip())
        if not match or int(match[2] or match[1]) < int(match[1]):
            raise InputError(f"seeds {text!r} cannot be read; accepted: a list such as 0-2,7")
        seeds.extend(range(int(match[1]), int(match[2] or match[1]) + 1))
    return tuple(dict.fromkeys(seeds))


@dataclass(frozen=True)
class Arm:
    """A network of an experiment, and how it departs from the recipe; one run for each seed.

    ``rate``, ``epochs`` and ``width`` are factors on the recipe's, ``fraction`` on the training
    images.
    """

    family: str
    depth: int
    gates: Gates | None = None
    match: str | None = None
    start: str = "drawn"
    rate: float = 1.0
    fraction: float = 1.0
    precision: str | None = None  # instead of the recipe's
    epochs: int = 1
    width: int = 1
    normalisation: str = "batch"
    shortcut: str = "A"
    own_subset: bool = False
    warmup: int = 0
    clip: float = 0.0

    def run(self, recipe: Recipe, seed: int) -> Run:
        """This network trained by ``recipe``; a rate with a factor has three digits."""
        changes = {"epochs": recipe.epochs * self.epochs, "width": recipe.width * self.width}
        if self.rate != 1:
            changes["rate"] = float(f"{recipe.rate * self.rate:.3g}")
        if self.fraction != 1:
            changes |= {"fraction": self.fraction, "own_subset": self.own_subset}
        if self.precision:
            changes["precision"] = self.precision
        if self.warmup:
            changes["warmup"] = self.warmup
        if self.clip:
            changes["clip"] = self.clip
        return Run(
            replace(recipe, **changes),
            self.family,
            self.depth,
            seed,
            gates=self.gates,
            match=self.match,
            start=self.start,
            normalisation=self.normalisation,
            shortcut=self.shortcut,
        )


@dataclass(frozen=True)
class Grid:
    """What an experiment trains with one recipe: each arm with each seed.

    Arms under ``once`` are too dear for that, and are trained with the first seed alone.
    """

    arms: tuple[Arm, ...]
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    once: tuple[Arm, ...] = ()


@dataclass(frozen=True)
class Experiment:
    """A question, and the grid of runs that answers it, for each recipe it is asked with."""

    name: str
    question: str
    grids: dict[str, Grid]  # name of a recipe to its grid; the first is the usual one

    def runs(
        self,
        recipe: str | None = None,
        seeds: Iterable[int] | None = None,
        **changes: object,
    ) -> list[Run]:
        """The runs with ``recipe`` (the first if not given) and its ``changes``, seed by seed.

        Raises:
            InputError: for a recipe the experiment is not made for.
        """
        recipe = recipe or next(iter(self.grids))
        require_one_of(f"recipe of experiment {self.name}", recipe, self.grids)
        grid = self.grids[recipe]
        changed = get_recipe(recipe, **changes)
        first, *others = grid.seeds if seeds is None else seeds
        return [
            *(arm.run(changed, first) for arm in (*grid.arms, *grid.once)),
            *(arm.run(changed, seed) for seed in others for arm in grid.arms),
        ]

    def recorded(
        self,
        runs_dir: Path | str = paths.RUNS,
        recipe: str | None = None,
        seeds: Iterable[int] | None = None,
    ) -> list[Path]:
        """Paths of the experiment's records that are there and up to date, perhaps none.

        Raises:
            RecordError: if one is damaged.
        """
        runs = self.runs(recipe, seeds)
        return [run.recorded_at(runs_dir) for run in runs if run.state(runs_dir) == "recorded"]

    def records(
        self,
        runs_dir: Path | str = paths.RUNS,
        recipe: str | None = None,
        seeds: Iterable[int] | None = None,
    ) -> list[Path]:
        """The same, for a chapter that cannot do without.

        Raises:
            RecordError: if there is none, or one is damaged.
        """
        found = self.recorded(runs_dir, recipe, seeds)
        if not found:
            raise RecordError(f"no record of experiment {self.name} in {runs_dir}")
        return found


FIG2 = tuple(Arm(family, depth) for depth in (18, 34) for family in ("plain", "residual"))

USUAL_GATES = Gates()  # 3×3, bias −2: the gate where an experiment has only one
WITH_ONE_GATE = (*FIG2, *(Arm("highway", depth, USUAL_GATES) for depth in (18, 34)))
OF_EQUAL_SIZE = (*FIG2, *(Arm("highway", depth, USUAL_GATES, "parameters") for depth in (18, 34)))
BIASES = (0, -1, -2, -3, -4, -6)
RATES = (1 / 3, 3)  # so that no family loses by a badly chosen rate
FRACTIONS = (0.1, 0.25, 0.5, 1.0)


def highway_arms(
    biases: Iterable[float] = BIASES, matches: Iterable[str] = MEASURES
) -> tuple[Arm, ...]:
    """Fig. 2's nets; every gate; matched nets of both kernels; three families at other rates.

    Fig. 2's nets at the recipe's rate are the very runs of ``fig2``, so they are trained once.
    """
    gates = [Gates(kernel=kernel, bias=bias) for kernel in KERNELS for bias in biases]
    matched = [replace(USUAL_GATES, kernel=kernel) for kernel in KERNELS]
    families = {"plain": None, "residual": None, "highway": USUAL_GATES}
    return (
        *FIG2,
        *(Arm("highway", depth, gate) for depth in (18, 34) for gate in gates),
        *(
            Arm("highway", depth, gate, match)
            for depth in (18, 34)
            for gate in matched
            for match in matches
        ),
        *(
            Arm(family, depth, gate, rate=rate)
            for depth in (18, 34)
            for family, gate in families.items()
            for rate in RATES
        ),
    )


def containment_arms() -> tuple[Arm, ...]:
    """ResNets; Highway nets that start as the same function; and ones with the same gates, drawn.

    The gates have T = ½, so bias 0. But for the contained ones they are runs of ``highway``.
    """
    half = Gates(kernel=1, bias=0)
    return tuple(
        arm
        for depth in (18, 34)
        for arm in (
            Arm("residual", depth),
            Arm("highway", depth, half),
            Arm("highway", depth, half, start="contained"),
        )
    )


def data_size_arms(biases: Iterable[float], match: str | None = None) -> tuple[Arm, ...]:
    """Residual and Highway nets of 18 layers on each fraction of the training images.

    At the whole set they are runs of ``highway``.
    """
    gates = [replace(USUAL_GATES, bias=bias) for bias in biases]
    return tuple(
        arm
        for fraction in FRACTIONS
        for arm in (
            Arm("residual", 18, fraction=fraction),
            *(Arm("highway", 18, gate, match, fraction=fraction) for gate in gates),
        )
    )


def depth_arms(depths: Iterable[int] = (20, 56, 110)) -> tuple[Arm, ...]:
    """Plain and residual nets of the 6n+2 family, and residual ones whose branches start at 0."""
    return tuple(
        arm
        for depth in depths
        for arm in (
            Arm("plain", depth),
            Arm("residual", depth),
            Arm("residual", depth, normalisation="zero-gamma"),
        )
    )


# What one may blame for the failure of a plain net instead of its missing shortcuts: name to how an
# arm departs from the recipe. The first two are runs of ``highway``.
OBJECTIONS = {
    "3 × the rate": {"rate": RATES[1]},
    "1/3 of the rate": {"rate": RATES[0]},
    "1/10 of the rate": {"rate": 0.1},
    "3 × the epochs": {"epochs": 3},
    "1/10 of the rate, 3 × the epochs": {"rate": 0.1, "epochs": 3},
    "2 × the width": {"width": 2},
    "no normalisation": {"normalisation": "none"},
}


def objection_arms() -> tuple[Arm, ...]:
    """Fig. 2's nets, the same with each of ``OBJECTIONS``, and residual nets of other starts.

    Those start as their shortcuts alone, with batch normalisation and without.
    """
    starts = [
        Arm("residual", depth, normalisation=normalisation)
        for depth in (18, 34)
        for normalisation in ("zero-gamma", "skip-init")
    ]
    return (
        *FIG2,
        *(replace(arm, **other) for arm in FIG2 for other in OBJECTIONS.values()),
        *starts,
    )


# What follows is registered, see ``book/registration.md``: fifty classes of Tiny ImageNet, narrow
# nets, each family at the rate that ``data/pilots`` chose for it, as a factor on the recipe's.
OWN_RATES = {"plain": 1, "residual": 3, "highway": 9}
SIX = (0, 1, 2, 3, 4, 5)
FRESH = (30, 31, 32, 33, 34, 35)
SRIVASTAVA_2025 = Gates(layers=2, normalised=True, bias=-6, relu="inside")


def at_own_rate(family: str, depth: int, *gates: Gates, **other: object) -> Arm:
    """An arm of the registered trainings; a Highway net is as large as the residual net."""
    match = "parameters" if family == "highway" else None
    return Arm(family, depth, *gates, match=match, rate=OWN_RATES[family], **other)


REGISTERED_FIG2 = tuple(at_own_rate(arm.family, arm.depth) for arm in FIG2)


def start_arms() -> tuple[Arm, ...]:
    """Residual nets whose branches start as usual, at 0, or damped as by a gate of bias −2."""
    return tuple(
        at_own_rate("residual", depth, normalisation=normalisation)
        for depth in (18, 34)
        for normalisation in ("batch", "zero-gamma", "small-gamma")
    )


def equal_size_arms() -> tuple[Arm, ...]:
    """Residual nets, and Highway nets of their size."""
    return tuple(
        at_own_rate(family, depth, *gates)
        for depth in (18, 34)
        for family, gates in (("residual", ()), ("highway", (USUAL_GATES,)))
    )


def two_by_two_arms() -> tuple[Arm, ...]:
    """Residual and Highway nets of equal size, on all images and on a tenth that the seed draws."""
    return tuple(
        at_own_rate(family, 18, *gates, **data)
        for data in ({}, {"fraction": 0.1, "own_subset": True})
        for family, gates in (("residual", ()), ("highway", (USUAL_GATES,)))
    )


INTERVENTIONS = {  # what may let plain-34 train
    "clipped gradients": Arm("plain", 34, clip=1.0),
    "an epoch of warm-up": Arm("plain", 34, warmup=23),
    "a tenth of the rate": Arm("plain", 34, rate=0.1),
    "an orthogonal start": Arm("plain", 34, normalisation="orthogonal"),
}


def digits_again_arms() -> tuple[Arm, ...]:
    """Fig. 2, its starts, and plain-34 otherwise; ResNets and Highway nets at their best rates."""
    residual = Arm("residual", 18, rate=RATES[0])
    highway = Arm("highway", 18, USUAL_GATES, match="parameters", rate=RATES[1])
    return (
        *FIG2,
        *(
            Arm("residual", depth, normalisation=normalisation)
            for depth in (18, 34)
            for normalisation in ("zero-gamma", "small-gamma")
        ),
        *(replace(arm, depth=depth) for depth in (18, 34) for arm in (residual, highway)),
        *(replace(arm, fraction=0.1, own_subset=True) for arm in (residual, highway)),
        *INTERVENTIONS.values(),
    )


# All experiments by name, in the order in which ``resnet-study status`` lists them.
EXPERIMENTS = {
    experiment.name: experiment
    for experiment in (
        Experiment(
            name="fig2",
            question="Does depth degrade plain nets, and not residual ones? (C4, C5)",
            grids={
                name: Grid(FIG2)
                for name in ("digits", "tiny-imagenet-20", "tiny-imagenet", "imagenet")
            }
            | {"tiny-imagenet-50": Grid(REGISTERED_FIG2, seeds=SIX)},
        ),
        Experiment(
            name="precision",
            question="Does rounding to bfloat16 change Fig. 2?",
            grids={"digits": Grid(tuple(replace(arm, precision="bfloat16") for arm in FIG2))},
        ),
        Experiment(
            name="highway",
            question="Are ResNets better than the Highway nets that contain them? (C7, C8)",
            grids={
                "digits": Grid(highway_arms()),
                "tiny-imagenet-20": Grid(WITH_ONE_GATE, seeds=(0, 1, 2)),
                "tiny-imagenet-50": Grid(equal_size_arms(), seeds=SIX),
                "tiny-imagenet": Grid(OF_EQUAL_SIZE, seeds=(0, 1, 2)),
            },
        ),
        Experiment(
            name="highway-2025",
            question="And with the Highway block of 2025? (C8)",
            grids={
                "tiny-imagenet-50": Grid(
                    tuple(
                        at_own_rate("highway", depth, SRIVASTAVA_2025, shortcut="B")
                        for depth in (18, 34)
                    ),
                    seeds=(0, 1, 2),
                )
            },
        ),
        Experiment(
            name="start",
            question="Depth and gates, or how a branch starts? (C5, C7, C8)",
            grids={"tiny-imagenet-50": Grid(start_arms(), seeds=SIX)},
        ),
        Experiment(
            name="width",
            question="Does Fig. 2 hold at twice the width? (C4, C5)",
            grids={
                "tiny-imagenet-50": Grid(
                    tuple(replace(arm, width=2) for arm in REGISTERED_FIG2), seeds=SIX
                )
            },
        ),
        Experiment(
            name="reproduction",
            question="What `make reproduce` trains: Fig. 2, and Highway nets with one gate.",
            grids={"digits": Grid(WITH_ONE_GATE)},
        ),
        Experiment(
            name="containment",
            question="Does training find what a Highway net can represent? (C7)",
            grids={"digits": Grid(containment_arms())},
        ),
        Experiment(
            name="data-size",
            question="Do Highway nets need more data than ResNets? (C9)",
            grids={
                "digits": Grid(data_size_arms(biases=(-1, -2, -4))),
                "tiny-imagenet-20": Grid(data_size_arms(biases=(-2,)), seeds=(0, 1, 2)),
                "tiny-imagenet-50": Grid(two_by_two_arms(), seeds=SIX),
                "tiny-imagenet": Grid(data_size_arms((-2,), "parameters"), seeds=(0, 1, 2)),
            },
        ),
        Experiment(
            name="depth",
            question="How far do plain and residual nets train as they get deeper? (C1)",
            grids={
                name: Grid(depth_arms(), seeds=(0, 1, 2)) for name in ("digits", "tiny-imagenet-32")
            },
        ),
        Experiment(
            name="fig6",
            question="Fig. 6 of He et al. 2015, on CIFAR-10, with its 110 layers. (C1, C4, C5)",
            grids={
                "cifar10": Grid(
                    tuple(
                        Arm(family, depth)
                        for depth in (20, 32, 44, 56)
                        for family in ("plain", "residual")
                    )
                ),
                "cifar10-110": Grid((Arm("residual", 110),)),
            },
        ),
        Experiment(
            name="thousand-layers",
            question="Do nets of a thousand layers learn at all? (C1)",
            grids={
                "digits-narrow": Grid(
                    (
                        Arm("plain", 1004),
                        Arm("residual", 1004, normalisation="zero-gamma"),
                        Arm("residual", 110, normalisation="zero-gamma"),  # as narrow, to compare
                    ),
                    seeds=(0, 1, 2),
                    once=(Arm("residual", 1004),),
                )
            },
        ),
        Experiment(
            name="digits-again",
            question="What do fresh seeds say, by rules that came first? (C2, C4, C5, C7, C8, C9)",
            grids={"digits": Grid(digits_again_arms(), seeds=FRESH)},
        ),
        Experiment(
            name="preactivation",
            question="Do blocks that normalise first train as well? The example of an own block.",
            grids={
                "digits": Grid(
                    tuple(
                        Arm(family, depth)
                        for family in ("residual", "preactivation")
                        for depth in (18, 34)
                    )
                )
            },
        ),
        Experiment(
            name="objections",
            question="Is it only the shortcut, or rate, length, width, normalisation, start? (C3)",
            grids={"digits": Grid(objection_arms(), seeds=(0, 1, 2))},
        ),
    )
}


def get_experiment(name: str) -> Experiment:
    """The experiment called ``name``, a key of ``EXPERIMENTS``.

    Raises:
        InputError: for an unknown name.
    """
    require_one_of("experiment", name, EXPERIMENTS)
    return EXPERIMENTS[name]


def coverage(
    experiment: Experiment,
    recipe: str,
    runs_dir: Path = paths.RUNS,
    seeds: Iterable[int] | None = None,
    gpu: bool = True,
) -> str:
    """How many runs are recorded, in Markdown, and the command that trains the missing ones.

    ``seeds`` are the experiment's own if not given; ``gpu``: whether to train them takes one.
    """
    runs = experiment.runs(recipe, seeds)
    recorded = len(experiment.recorded(runs_dir, recipe, seeds))
    text = f"**{recorded} of the {len(runs)} runs of recipe `{recipe}` are recorded.**"
    if recorded == len(runs):
        return text
    command = f"resnet-study run --experiment {experiment.name} --recipe {recipe}"
    where = ", on a machine with a GPU," if gpu else ""
    missing = "the others" if recorded else "them"
    return f"{text} This command{where} trains {missing}: `{command}`"
