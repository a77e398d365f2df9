"""A run: one training of one network, its configuration, name and places."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from resnet_study import paths
from resnet_study.data.options import Augmentation
from resnet_study.errors import InputError, require_integers, require_one_of
from resnet_study.models.options import (
    FAMILIES,
    MEASURES,
    SHORTCUTS,
    Gates,
    Scales,
    require_normalisation,
    stage_lengths,
)
from resnet_study.pipeline.records import read_record
from resnet_study.training.recipes import RECIPES, Recipe, changes_of

STARTS = ("drawn", "contained")


@dataclass(frozen=True)
class Run:
    """One training run: a recipe, a network and a seed.

    ``seed`` decides the initial weights, the order of the data and their augmentation.
    ``gates`` are a Highway net's, ``scales`` a scaled net's; both have their defaults if not
    given, and are None for other families. A Highway net may ``match`` the residual net of its
    depth and the recipe's width in ``"parameters"`` or ``"multiply_adds"``, and it may ``start``
    as usual, ``"drawn"``, or ``"contained"``: as the function that the untrained residual net of
    this seed is, see :mod:`resnet_study.models.containment`. The gates are then those of T = ½.
    ``normalisation`` is one of ``blocks.NORMALISATIONS``.

    Raises:
        InputError: for a value that does not exist.
    """

    recipe: Recipe
    family: str
    depth: int
    seed: int
    shortcut: str = "A"
    gates: Gates | None = None
    scales: Scales | None = None
    match: str | None = None
    start: str = "drawn"
    normalisation: str = "batch"

    def __post_init__(self):
        require_integers(depth=self.depth, seed=self.seed)
        require_one_of("family", self.family, FAMILIES)
        stage_lengths(self.depth)
        require_one_of("shortcut", self.shortcut, SHORTCUTS)
        if not 0 <= self.seed < 2**63:  # what torch's generators take
            raise InputError(f"seed {self.seed} is impossible; accepted: 0 to 2**63 − 1")
        if self.family == "plain" and self.shortcut != "A":
            raise InputError("a plain net has no shortcuts; leave the shortcut out")
        require_normalisation(self.family, self.shortcut, self.normalisation)
        self._settle("gates", "highway", Gates)
        self._settle("scales", "scaled", Scales)
        if self.match is not None:
            require_one_of("match", self.match, MEASURES)
            if self.gates is None:
                raise InputError(f"a {self.family} net has no gates to match; leave the match out")
        require_one_of("start", self.start, STARTS)
        if self.start == "contained":
            if self.gates is None:
                raise InputError(f"a {self.family} net contains no residual net; accepted: highway")
            if self.match or self.gates != Gates(kernel=self.gates.kernel, bias=0):
                raise InputError(
                    "a contained start goes with whole widths and gates of bias 0, coupled, gated "
                    "throughout, not normalised, ReLU after; accepted: either kernel"
                )

    def _settle(self, name: str, family: str, defaults: type) -> None:
        """Give ``family`` the default options that it was made without; refuse them to others."""
        if self.family == family and getattr(self, name) is None:
            object.__setattr__(self, name, defaults())
        elif self.family != family and getattr(self, name) is not None:
            raise InputError(f"a {self.family} net has no {name}; they go with family {family}")

    @property
    def config(self) -> dict:
        """The full configuration, as it stands in the record."""
        return json.loads(json.dumps(asdict(self)))

    @property
    def changes(self) -> dict[str, object]:
        """Whatever departs from the recipe or the defaults, by the train notebook's parameters."""
        usual = {"shortcut": "A", "match": None, "start": "drawn", "normalisation": "batch"}
        own = {name: getattr(self, name) for name in usual}
        if self.gates:
            own |= gate_parameters(self.gates)
            usual |= gate_parameters(Gates())
        if self.scales:
            own |= scale_parameters(self.scales)
            usual |= scale_parameters(Scales())
        changed = {name: value for name, value in own.items() if value != usual[name]}
        return changed | changes_of(self.recipe)

    @property
    def name(self) -> str:
        """Family, depth, whatever departs from the recipe or the defaults, and the seed."""
        changes = [f"{name}-{value}" for name, value in self.changes.items()]
        return "-".join([f"{self.family}-{self.depth}", *changes, f"seed-{self.seed}"])

    def record_path(self, runs_dir: Path | str = paths.RUNS) -> Path:
        """Where its record lies below ``runs_dir``, or will lie."""
        return Path(runs_dir) / self.recipe.name / f"{self.name}.json"

    def checkpoint_path(self, runs_dir: Path | str = paths.RUNS) -> Path:
        """Where its checkpoint lies while it is trained: beside the record."""
        return self.record_path(runs_dir).with_suffix(".checkpoint")

    def lock_path(self, runs_dir: Path | str = paths.RUNS) -> Path:
        """Where the lock lies that one process holds while it trains it."""
        return self.record_path(runs_dir).with_name(f".{self.name}.lock")

    def state(self, runs_dir: Path | str = paths.RUNS) -> str:
        """``recorded``, ``part-trained``, ``missing``, or ``stale``.

        Stale is recorded with another configuration, part-trained has a checkpoint.

        Raises:
            RecordError: if there is a record that is damaged.
        """
        path = self.record_path(runs_dir)
        if not path.exists():
            return "part-trained" if self.checkpoint_path(runs_dir).exists() else "missing"
        config = read_record(path).get("config")
        return "recorded" if run_from_config(config) == self else "stale"


def run_from_config(config: dict) -> Run | None:
    """The run that a record's ``config`` describes, or None if there is no such run today.

    A field that the record does not know has its default: an option added since, and
    not used.
    """
    try:
        recipe = dict(config["recipe"])
        require_one_of("recipe", recipe["name"], RECIPES)
        augmentation = Augmentation(**_with_tuples(recipe.pop("augmentation")))
        parts = {"recipe": Recipe(**_with_tuples(recipe), augmentation=augmentation)}
        for name, kind in {"gates": Gates, "scales": Scales}.items():
            if config.get(name):
                parts[name] = kind(**config[name])
        return Run(**{**config, **parts})
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return None


def gate_parameters(gates: Gates) -> dict[str, object]:
    """Options of gates by the names they have on the command line: ``gate_kernel``, …"""
    return {f"gate_{name}": value for name, value in asdict(gates).items()}


def scale_parameters(scales: Scales) -> dict[str, object]:
    """Options of a scaled net by the names they have on the command line."""
    return {f"{name}_scale": value for name, value in asdict(scales).items()}


def make_run(recipe: Recipe, family: str, depth: int, seed: int, **parameters: object) -> Run:
    """A :class:`Run` of the flat parameters that notebook and command line have.

    Besides ``shortcut``, ``match``, ``start`` and ``normalisation`` these are ``gate_kernel``, …,
    ``shortcut_scale`` and ``branch_scale``. None is the default.

    Raises:
        InputError: for a value that does not exist, or an option of another family.
    """
    given = {name: value for name, value in parameters.items() if value is not None}
    gates = {f.name: given.pop(f"gate_{f.name}", None) for f in fields(Gates)}
    scales = {f.name: given.pop(f"{f.name}_scale", None) for f in fields(Scales)}
    return Run(
        recipe,
        family,
        depth,
        seed,
        **given,
        gates=_with_options(Gates, gates),
        scales=_with_options(Scales, scales),
    )


def _with_options(kind: type, options: dict[str, object]) -> object | None:
    """An instance with those options that are not None; None if all are."""
    given = {name: value for name, value in options.items() if value is not None}
    return kind(**given) if given else None


def _with_tuples(values: dict) -> dict:
    """JSON has lists where configurations have tuples."""
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }
