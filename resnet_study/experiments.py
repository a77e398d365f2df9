"""Runs and experiments: what is trained, and which runs answer which question."""

import json
import re
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch

from resnet_study import paths, provenance
from resnet_study.augmentation import Augmentation
from resnet_study.checkpoints import Checkpoint
from resnet_study.data import Dataset, load_data
from resnet_study.distributed import is_leader, leader_first, process_group
from resnet_study.errors import InputError, require_at_least, require_integers, require_one_of
from resnet_study.files import exclusive, require_writable
from resnet_study.models import (
    FAMILIES,
    SHORTCUTS,
    Network,
    build_model,
    count_multiply_adds,
    count_parameters,
    stage_lengths,
)
from resnet_study.recipes import Recipe, changes_of, get_recipe
from resnet_study.records import RecordError, read_record, write_record
from resnet_study.training import Callback, History, choose_device, train


@dataclass(frozen=True)
class Run:
    """One training run: a recipe, a network and a seed.

    ``seed`` decides the initial weights, the order of the data and their augmentation.

    Raises:
        InputError: for a value that does not exist.
    """

    recipe: Recipe
    family: str
    depth: int
    seed: int
    shortcut: str = "A"

    def __post_init__(self):
        require_integers(depth=self.depth, seed=self.seed)
        require_one_of("family", self.family, FAMILIES)
        stage_lengths(self.depth)
        require_one_of("shortcut", self.shortcut, SHORTCUTS)
        if not 0 <= self.seed < 2**63:  # what torch's generators take
            raise InputError(f"seed {self.seed} is impossible; accepted: 0 to 2**63 − 1")
        if self.family == "plain" and self.shortcut != "A":
            raise InputError("a plain net has no shortcuts; leave the shortcut out")

    @property
    def config(self) -> dict:
        """The full configuration, as it stands in the record."""
        return json.loads(json.dumps(asdict(self)))

    @property
    def name(self) -> str:
        """Family, depth, whatever departs from the recipe or the default, and the seed."""
        parts = [f"{self.family}-{self.depth}"]
        if self.shortcut != "A":
            parts.append(f"shortcut-{self.shortcut}")
        parts += [f"{name}-{value}" for name, value in changes_of(self.recipe).items()]
        return "-".join([*parts, f"seed-{self.seed}"])

    def record_path(self, runs_dir: Path = paths.RUNS) -> Path:
        return Path(runs_dir) / self.recipe.name / f"{self.name}.json"

    def checkpoint_path(self, runs_dir: Path = paths.RUNS) -> Path:
        return self.record_path(runs_dir).with_suffix(".checkpoint")

    def lock_path(self, runs_dir: Path = paths.RUNS) -> Path:
        return self.record_path(runs_dir).with_name(f".{self.name}.lock")

    def state(self, runs_dir: Path = paths.RUNS) -> str:
        """``recorded``, ``part-trained``, ``missing``, or ``stale``.

        Stale is recorded with another configuration, part-trained has a checkpoint.

        Raises:
            RecordError: if there is a record that is damaged.
        """
        path = self.record_path(runs_dir)
        if not path.exists():
            return "part-trained" if self.checkpoint_path(runs_dir).exists() else "missing"
        return "recorded" if run_from_config(read_record(path)["config"]) == self else "stale"


def run_from_config(config: dict) -> Run | None:
    """The run that a record's ``config`` describes, or None if there is no such run today.

    A field that the record does not know has its default: an option added since, and
    not used.
    """
    try:
        recipe = dict(config["recipe"])
        augmentation = Augmentation(**_with_tuples(recipe.pop("augmentation")))
        return Run(
            **{**config, "recipe": Recipe(**_with_tuples(recipe), augmentation=augmentation)}
        )
    except (KeyError, TypeError, InputError):
        return None


def _with_tuples(values: dict) -> dict:
    """JSON has lists where configurations have tuples."""
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }


def perform(
    run: Run,
    *,
    device: str = "auto",
    runs_dir: Path = paths.RUNS,
    data_dir: Path = paths.DOWNLOADS,
    callbacks: Iterable[Callback] = (),
    checkpoint_seconds: float = 60,
    deadline: float | None = None,
    progress: bool = False,
) -> Path:
    """Train ``run`` and write its record; returns the record's path.

    A training that was interrupted goes on from its last checkpoint, which lies beside the
    record to be. On a CPU it uses one thread, so that a curve does not depend on the number
    of cores; several runs at a time use the cores better. Processes that ``torchrun`` started
    train it together, the first of them writes; their folder of records must be one and the same.

    Args:
        checkpoint_seconds: least time between two checkpoints.
        deadline: moment of ``time.time`` at which to save and stop.

    Raises:
        OutOfTime: at the deadline.
        InputError: for a device, a data folder, a records folder or a checkpoint that
            cannot be used, or a run that another process has in hand.
    """
    require_at_least("checkpoint_seconds", checkpoint_seconds, 0)
    where = choose_device(device)
    torch.set_num_threads(1)
    torch.backends.cudnn.benchmark = True  # batches have one shape: find their fastest kernels
    with process_group(where), ExitStack() as held:
        with leader_first():
            if is_leader():
                require_writable(run.record_path(runs_dir).parent)
                held.enter_context(exclusive(run.lock_path(runs_dir)))
            data = load_data(run.recipe.data, run.recipe.held_out, data_dir).to(where)
        origin = {
            **provenance.describe(where),
            "data": data.fingerprint(),
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        identity = {
            "configuration": run.config,
            "data": origin["data"],
            "code": origin["code"],
            "device": where.type,
            "torch": str(torch.__version__),
        }
        checkpoint = Checkpoint(
            run.checkpoint_path(runs_dir), identity, checkpoint_seconds, deadline
        )
        torch.manual_seed(run.seed)
        model = make_model(run, data)
        history = train(
            model,
            data,
            run.recipe,
            seed=run.seed,
            callbacks=callbacks,
            checkpoint=checkpoint,
            progress=progress and is_leader(),
        )
        path = run.record_path(runs_dir)
        if is_leader():
            write_record(path, describe(run, origin, model, data, history))
            checkpoint.remove()
    return path


def make_model(run: Run, data: Dataset) -> Network:
    """The network of ``run`` for the images and classes of ``data``."""
    return build_model(
        run.family,
        run.depth,
        classes=data.classes,
        channels=data.channels,
        stem=run.recipe.stem,
        width=run.recipe.width,
        shortcut=run.shortcut,
    )


def describe(run: Run, origin: dict, model: Network, data: Dataset, history: History) -> dict:
    """The content of a record; see ``book/records.md``."""
    diverged = history.diverged_at is not None
    curve = [asdict(point) for point in history.curve]
    last = {} if diverged else curve[-1]
    images = (len(curve) + diverged) * len(data.train)
    crop = run.recipe.augmentation.crop
    shape = data.image_shape if crop is None else (data.channels, crop, crop)
    return {
        "config": run.config,
        "provenance": origin,
        "parameters": count_parameters(model),
        "multiply_adds": count_multiply_adds(model, shape),
        "training_images": len(data.train),
        "validation_images": len(data.validation),
        "seconds": round(history.seconds, 2),
        "images_per_second": round(images / history.seconds, 1),
        "diverged_at": history.diverged_at,
        "final": {
            "training_error": last.get("training_error"),
            "clean_training_error": history.clean_training_error,
            "validation_error": last.get("validation_error"),
            **({"ten_crop_error": history.ten_crop_error} if run.recipe.ten_crop else {}),
        },
        "curve": {name: [point[name] for point in curve] for name in (curve or [{}])[0]},
    }


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
class Experiment:
    """A question, and the grid of families, depths and seeds that answers it."""

    name: str
    question: str
    families: tuple[str, ...]
    depths: tuple[int, ...]
    seeds: tuple[int, ...]
    recipes: tuple[str, ...]

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
        recipe = recipe or self.recipes[0]
        require_one_of(f"recipe of experiment {self.name}", recipe, self.recipes)
        return [
            Run(get_recipe(recipe, **changes), family, depth, seed)
            for seed in (self.seeds if seeds is None else seeds)
            for depth in self.depths
            for family in self.families
        ]

    def recorded(
        self,
        runs_dir: Path = paths.RUNS,
        recipe: str | None = None,
        seeds: Iterable[int] | None = None,
        **changes: object,
    ) -> list[Path]:
        """Paths of the experiment's records that are there and up to date, perhaps none.

        Raises:
            RecordError: if one is damaged.
        """
        runs = self.runs(recipe, seeds, **changes)
        return [run.record_path(runs_dir) for run in runs if run.state(runs_dir) == "recorded"]

    def records(self, runs_dir: Path = paths.RUNS, *which, **changes) -> list[Path]:
        """The same, for a chapter that cannot do without.

        Raises:
            RecordError: if there is none, or one is damaged.
        """
        found = self.recorded(runs_dir, *which, **changes)
        if not found:
            raise RecordError(f"no record of experiment {self.name} in {runs_dir}")
        return found


EXPERIMENTS = {
    experiment.name: experiment
    for experiment in (
        Experiment(
            name="fig2",
            question="Does depth degrade plain nets, and not residual ones? (C4, C5)",
            families=("plain", "residual"),
            depths=(18, 34),
            seeds=(0, 1, 2, 3, 4),
            recipes=("digits", "tiny-imagenet-20", "tiny-imagenet", "imagenet"),
        ),
    )
}


def get_experiment(name: str) -> Experiment:
    """The experiment called ``name``; InputError for an unknown one."""
    require_one_of("experiment", name, EXPERIMENTS)
    return EXPERIMENTS[name]
