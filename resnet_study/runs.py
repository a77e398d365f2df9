"""A run: one training of one network, from its configuration to its record."""

import json
import sys
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

import torch

from resnet_study import paths, provenance
from resnet_study.augmentation import Augmentation
from resnet_study.blocks import SHORTCUTS
from resnet_study.checkpoints import Checkpoint
from resnet_study.containment import contain
from resnet_study.data import Dataset, load_data
from resnet_study.distributed import is_leader, leader_first, leaders, process_group, processes
from resnet_study.errors import InputError, require_at_least, require_integers, require_one_of
from resnet_study.files import exclusive, require_writable
from resnet_study.gate_statistics import describe_gates, measure_start
from resnet_study.highway import Gates, Scales
from resnet_study.imagenet import ImageNet
from resnet_study.matching import MEASURES, matched_widths
from resnet_study.models import (
    FAMILIES,
    Network,
    build_model,
    count_multiply_adds,
    count_parameters,
    require_normalisation,
    stage_lengths,
)
from resnet_study.recipes import RECIPES, Recipe, changes_of
from resnet_study.records import pack_bits, read_record, write_record
from resnet_study.signals import stoppable
from resnet_study.training import (
    Callback,
    History,
    Report,
    choose_device,
    set_precision,
    train,
)

STARTS = ("drawn", "contained")


@dataclass(frozen=True)
class Run:
    """One training run: a recipe, a network and a seed.

    ``seed`` decides the initial weights, the order of the data and their augmentation.
    ``gates`` are a Highway net's, ``scales`` a scaled net's; both have their defaults if not
    given, and are None for other families. A Highway net may ``match`` the residual net of its
    depth and the recipe's width in ``"parameters"`` or ``"multiply_adds"``, and it may ``start``
    as usual, ``"drawn"``, or ``"contained"``: as the function that the untrained residual net of
    this seed is, see :mod:`resnet_study.containment`. The gates are then those of T = ½.
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


def perform(
    run: Run,
    *,
    device: str = "auto",
    runs_dir: Path | str = paths.RUNS,
    data_dir: Path | str = paths.DOWNLOADS,
    callbacks: Iterable[Callback] = (),
    checkpoint_seconds: float = 60,
    deadline: float | None = None,
    report: Report | None = None,
) -> Path:
    """Train ``run`` and write its record; returns the record's path.

    A training that was interrupted goes on from its last checkpoint, which lies beside the
    record to be. On a CPU it uses one thread, so that a curve does not depend on the number
    of cores; several runs at a time use the cores better. Processes that ``torchrun`` started
    train it together, the first of them writes; their folder of records must be one and the same.

    Args:
        run: what is trained.
        device: as :func:`~resnet_study.training.choose_device` takes it.
        runs_dir: folder of the records, made if it is not there; a record that this run has
            there is replaced.
        data_dir: folder for data sets that do not come with a package.
        callbacks: called while it trains, see :data:`~resnet_study.training.Callback`.
        checkpoint_seconds: least time between two checkpoints, in seconds; 0 saves after every
            step.
        deadline: moment of ``time.time`` at which to save and stop; never if None.
        report: told how far it is, see :data:`~resnet_study.training.Report`.

    Raises:
        OutOfTime: at the deadline.
        Stopped: by one of ``signals.SIGNALS``; what was trained is saved.
        InputError: for a device, a data folder, a records folder or a checkpoint that
            cannot be used, or a run that another process has in hand.
    """
    require_at_least("checkpoint_seconds", checkpoint_seconds, 0)
    where = choose_device(device)
    torch.set_num_threads(1)
    torch.backends.cudnn.benchmark = True  # batches have one shape: find their fastest kernels
    recipe = run.recipe
    set_precision(recipe)
    # From here on in a clock that nobody sets back.
    end = None if deadline is None else time.monotonic() + deadline - time.time()
    with stoppable(), process_group(where), ExitStack() as stack:
        with leader_first():
            if is_leader():
                require_writable(run.record_path(runs_dir).parent)
                stack.enter_context(exclusive(run.lock_path(runs_dir)))
            subset = run.seed if recipe.own_subset else 0
            data = load_data(recipe.data, recipe.held_out, data_dir, recipe.fraction, subset).to(
                where
            )
        origin = {
            **provenance.describe(where),
            "data": _leaders_fingerprint(data),
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        if origin["commit"] is None and is_leader():
            print(
                "the commit of this copy is not known; "
                f"{provenance.COMMIT} can name it for the record",
                file=sys.stderr,
            )
        identity = {
            "configuration": run.config,
            "data": origin["data"],
            "code": origin["code"],
            "device": where.type,
            "torch": str(torch.__version__),
        }
        checkpoint = Checkpoint(run.checkpoint_path(runs_dir), identity, checkpoint_seconds, end)
        torch.manual_seed(run.seed)
        model = make_model(run, data)
        # Gates are measured over all images: not where processes share them, or read them anew.
        inside = run.gates and isinstance(data, Dataset) and processes() == 1
        start = measure_start(model, data, recipe) if inside else None
        history = train(
            model,
            data,
            recipe,
            seed=run.seed,
            callbacks=callbacks,
            checkpoint=checkpoint,
            part=origin,
            report=report if is_leader() else None,
        )
        content = describe(run, model, data, history)
        if inside and history.diverged_at is None:
            content["gates"] = describe_gates(model, data, recipe, start)
        path = run.record_path(runs_dir)
        if is_leader():
            write_record(path, content)
            checkpoint.remove()
    return path


def _leaders_fingerprint(data: Dataset | ImageNet) -> str:
    """The data's fingerprint, which takes a look at every file: one process is enough."""
    digest = bytes.fromhex(data.fingerprint()) if is_leader() else bytes(32)
    return bytes(leaders(torch.tensor(list(digest), dtype=torch.uint8)).tolist()).hex()


def make_model(run: Run, data: Dataset) -> Network:
    """The network of ``run`` for the images and classes of ``data``."""
    options = {
        "classes": data.classes,
        "stem": run.recipe.stem,
        "shortcut": run.shortcut,
        "gates": run.gates,
    }
    width, shape = run.recipe.width, input_shape(run, data)
    if run.match:
        width = matched_widths(
            run.match, run.family, run.depth, width=width, image_shape=shape, **options
        )
    if run.start == "contained":
        options["gates"] = None
        resnet = build_model("residual", run.depth, width=width, channels=shape[0], **options)
        return contain(resnet, run.gates.kernel)
    return build_model(
        run.family,
        run.depth,
        width=width,
        channels=shape[0],
        scales=run.scales,
        normalisation=run.normalisation,
        **options,
    )


def input_shape(run: Run, data: Dataset) -> tuple[int, int, int]:
    """(C, H, W) of the images as the network gets them."""
    crop = run.recipe.augmentation.crop
    return data.image_shape if crop is None else (data.channels, crop, crop)


def describe(run: Run, model: Network, data: Dataset, history: History) -> dict:
    """The content of a record; see :doc:`/book/records`."""
    diverged = history.diverged_at is not None
    curve = [asdict(point) for point in history.curve]
    last = {} if diverged else curve[-1]
    images = (len(curve) + diverged) * data.epoch_images
    first, *resumed = history.parts
    origin = {name: value for name, value in first.items() if name != "iteration"}
    return {
        "config": run.config,
        "provenance": {**origin, "resumed": resumed},
        "parameters": count_parameters(model),
        "multiply_adds": count_multiply_adds(model, input_shape(run, data)),
        "training_images": len(data.train),
        "validation_images": len(data.validation),
        "seconds": round(history.seconds, 2),
        "images_per_second": round(images / history.seconds, 1),
        "peak_memory": provenance.peak_memory(data.device),
        "diverged_at": history.diverged_at,
        "final": {
            "training_error": last.get("training_error"),
            "clean_training_error": history.clean_training_error,
            "validation_error": last.get("validation_error"),
            **({"ten_crop_error": history.ten_crop_error} if run.recipe.ten_crop else {}),
        },
        "wrong_images": None if diverged else pack_bits(history.wrong_images),
        "curve": {name: [point[name] for point in curve] for name in (curve or [{}])[0]},
    }
