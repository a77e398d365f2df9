"""A run: one training of one network, its configuration, name and places."""

import json
from dataclasses import MISSING, asdict, dataclass, fields
from functools import cached_property
from pathlib import Path

from resnet_study import paths
from resnet_study.data.options import Augmentation
from resnet_study.errors import InputError
from resnet_study.models.options import (
    FAMILIES,
    MEASURES,
    NORMALISATIONS,
    SHORTCUTS,
    Gates,
    Scales,
    require_normalisation,
    stage_lengths,
)
from resnet_study.pipeline.records import read_record
from resnet_study.settings import check, setting, settings
from resnet_study.training.recipes import Recipe, changes_of, get_recipe

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
    ``normalisation`` is one of ``options.NORMALISATIONS``.

    Raises:
        InputError: for a value that does not exist.
    """

    recipe: Recipe
    family: str = setting("which blocks", one_of=FAMILIES)
    depth: int = setting("weighted layers: 18, 34 (four stages), or 6n+2 (three)")
    seed: int = setting("of weights, order of the data and their augmentation")
    shortcut: str = setting("shortcuts, in nets that have them", "A", one_of=SHORTCUTS)
    gates: Gates | None = None
    scales: Scales | None = None
    match: str | None = setting(
        "narrower stages, so that a Highway net is as large as the residual net in this",
        None,
        one_of=MEASURES,
    )
    start: str = setting(
        "contained: a Highway net of gate bias 0 starts as the residual net of its seed",
        "drawn",
        one_of=STARTS,
    )
    normalisation: str = setting(
        "batch normalisation; with zero-gamma the last γ of a branch starts at 0, with small-gamma "
        "at σ(−2), with orthogonal the kernels do so; skip-init: a learnt factor from 0 instead",
        "batch",
        one_of=NORMALISATIONS,
    )

    def __post_init__(self):
        check(self)
        stage_lengths(self.depth)
        if not 0 <= self.seed < 2**63:  # what torch's generators take
            raise InputError(f"seed {self.seed} is impossible; accepted: 0 to 2**63 − 1")
        if self.family == "plain" and self.shortcut != "A":
            raise InputError("a plain net has no shortcuts; leave the shortcut out")
        require_normalisation(self.family, self.shortcut, self.normalisation)
        self._settle("gates", "highway", Gates)
        self._settle("scales", "scaled", Scales)
        if self.match is not None and self.gates is None:
            raise InputError(f"a {self.family} net has no gates to match; leave the match out")
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
        """What departs from the recipe or the defaults, as :func:`make_run` takes it."""
        changed = {
            each.name: getattr(self, each.name)
            for each in settings(Run)
            if each.default not in (MISSING, getattr(self, each.name))
        }
        for name in NESTED:
            part = getattr(self, name)
            for each in settings(type(part)) if part else ():
                if getattr(part, each.name) != each.default:
                    changed[_flat(name, each.name)] = getattr(part, each.name)
        return {
            name: ",".join(map(str, value)) if isinstance(value, tuple) else value
            for name, value in (changed | changes_of(self.recipe)).items()
        }

    @cached_property  # which is asked for again and again, of thousands of runs
    def name(self) -> str:
        """Family, depth, whatever departs from the recipe or the defaults, and the seed."""
        changes = [f"{name}-{value}".replace(",", "_") for name, value in self.changes.items()]
        return "-".join([f"{self.family}-{self.depth}", *changes, f"seed-{self.seed}"])

    def record_path(self, runs_dir: Path | str = paths.RUNS) -> Path:
        """Where its record lies below ``runs_dir``, or will lie."""
        return Path(runs_dir) / self.recipe.name / f"{self.name}.json"

    def recorded_at(self, runs_dir: Path | str = paths.RUNS) -> Path:
        """Where to read its record: below ``runs_dir``, or among the study's own records."""
        return paths.find(self.record_path(runs_dir))

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
        path = self.recorded_at(runs_dir)
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
        augmentation = Augmentation(**_with_tuples(recipe.pop("augmentation")))
        parts = {"recipe": Recipe(**_with_tuples(recipe), augmentation=augmentation)}
        for name, kind in NESTED.items():
            if config.get(name):
                parts[name] = kind(**config[name])
        return Run(**{**config, **parts})
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return None


def _flat(name: str, option: str) -> str:
    """The flat name of an option of gates or scales: ``gate_bias``, ``branch_scale``."""
    return f"gate_{option}" if name == "gates" else f"{option}_scale"


NESTED = {"gates": Gates, "scales": Scales}
# All that can be set of a run, by its flat name: what notebook and command line have, a name of a
# run is made of, and the book's table shows.
OF_NETWORK = {each.name: each for each in settings(Run)} | {
    _flat(name, each.name): each for name, kind in NESTED.items() for each in settings(kind)
}
OF_RECIPE = {each.name: each for kind in (Recipe, Augmentation) for each in settings(kind)}
SETTINGS = OF_NETWORK | OF_RECIPE


def make_run(recipe: str, **parameters: object) -> Run:
    """A :class:`Run` of flat parameters, some of ``SETTINGS``; None is the default.

    A tuple may be a text, such as ``"0.5, 0.75"``.

    Raises:
        InputError: for a value that does not exist, or an option of another family.
    """
    given = {name: _read(name, value) for name, value in parameters.items() if value is not None}
    parts = {
        name: _with_options(
            kind, {f.name: given.pop(_flat(name, f.name), None) for f in fields(kind)}
        )
        for name, kind in NESTED.items()
    }
    changes = {name: given.pop(name) for name in OF_RECIPE if name in given}
    return Run(get_recipe(recipe, **changes), **(USUAL | given), **parts)


USUAL = {"family": "residual", "depth": 18, "seed": 0}  # of a run that is not told otherwise


def default_of(name: str) -> str:
    """What a setting is if it is not given, in words."""
    value = "the recipe's" if name in OF_RECIPE else USUAL.get(name, SETTINGS[name].default)
    return "none" if value is None else "no" if value is False else str(value)


def _read(name: str, value: object) -> object:
    """The value of a setting, of which a tuple may have been given as a text."""
    each = SETTINGS[name]
    if each.kind is not tuple or not isinstance(value, str):
        return value
    kind = each.items[0]
    try:
        return tuple(kind(part) for part in value.split(",") if part.strip())
    except ValueError:
        raise InputError(
            f"{name} {value!r} cannot be read; accepted: numbers with commas between"
        ) from None


def _with_options(kind: type, options: dict[str, object]) -> object | None:
    """An instance with those options that are not None; None if all are."""
    given = {name: value for name, value in options.items() if value is not None}
    return kind(**given) if given else None


def _with_tuples(values: dict) -> dict:
    """JSON has lists where configurations have tuples."""
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }
