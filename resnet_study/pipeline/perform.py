"""Performing a run: the training of a network, and the record it leaves."""

import sys
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import torch

from resnet_study import paths
from resnet_study.data.datasets import Dataset, load_data
from resnet_study.data.imagenet import ImageNet
from resnet_study.diagnostics.gates import describe_gates, measure_start
from resnet_study.errors import InputError, require_at_least
from resnet_study.files import exclusive, require_writable
from resnet_study.models.networks import Network, count_multiply_adds, count_parameters
from resnet_study.pipeline import provenance
from resnet_study.pipeline.networks import input_shape, make_model
from resnet_study.pipeline.records import pack_bits, read_record, weights_path, write_record
from resnet_study.pipeline.run import Run
from resnet_study.pipeline.weights import save_weights
from resnet_study.processes import is_leader, processes
from resnet_study.signals import stoppable
from resnet_study.training import progress
from resnet_study.training.checkpoints import Checkpoint
from resnet_study.training.distributed import leader_first, leaders, process_group
from resnet_study.training.loop import (
    Callback,
    Evaluation,
    History,
    Report,
    choose_device,
    set_precision,
    train,
)
from resnet_study.training.recipes import RECIPES, Recipe


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
    tensorboard: Path | str | None = None,
    keep_weights: bool = False,
) -> Path:
    """Train ``run`` and write its record; returns the record's path.

    A training that was interrupted goes on from its last checkpoint, which lies beside the
    record to be. On a CPU it uses one thread, so that a curve does not depend on the number
    of cores; several runs at a time use the cores better. Processes that ``torchrun`` started
    train it together, the first of them writes; their folder of records must be one and the same.

    Args:
        run: what is trained.
        device: as :func:`~resnet_study.training.loop.choose_device` takes it.
        runs_dir: folder of the records, made if it is not there; a record that this run has
            there is replaced.
        data_dir: folder for data sets that do not come with a package.
        callbacks: called while it trains, see :data:`~resnet_study.training.loop.Callback`.
        checkpoint_seconds: least time between two checkpoints, in seconds; 0 saves after every
            step.
        deadline: moment of ``time.time`` at which to save and stop; never if None.
        report: told how far it is, see :data:`~resnet_study.training.loop.Report`.
        tensorboard: folder in which TensorBoard finds its curve, by recipe and name.
        keep_weights: write them beside the record, see :mod:`resnet_study.pipeline.weights`.

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
            data = _load(recipe, _subset(run), data_dir).to(where)
        reports = [report] if report and is_leader() else []
        if tensorboard and is_leader():
            curves = Path(tensorboard) / recipe.name / run.name
            reports.append(stack.enter_context(progress.tensorboard(curves)))
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
        with leader_first():
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
            report=_all_of(reports),
        )
        content = describe(run, model, data, history)
        if inside and history.diverged_at is None:
            content["gates"] = describe_gates(model, data, recipe, start)
        path = run.record_path(runs_dir)
        if is_leader():
            if keep_weights:
                content["weights"] = save_weights(path, model, input_shape(run, data), data)
            write_record(path, content)
            checkpoint.remove()
    return path


def _all_of(reports: list[Report]) -> Report:
    def tell(step: int, steps: int, point: Evaluation | None) -> None:
        for report in reports:
            report(step, steps, point)

    return tell


def is_recorded(
    run: Run, runs_dir: Path | str, data_dir: Path | str, keep_weights: bool = False
) -> bool:
    """Whether ``run`` is recorded in ``runs_dir``; with its weights, if they are to be kept.

    Which images ImageNet is, only its folder tells: other data sets have their names and sums.

    Raises:
        InputError: if the images in ``data_dir`` are others than those of the record, if the
            record is of another recipe of somebody's own that has the same name, or if its
            weights are missing.
        RecordError: if the record is damaged.
    """
    recipe, path, state = run.recipe, run.recorded_at(runs_dir), run.state(runs_dir)
    if state == "stale" and recipe.name not in RECIPES:
        raise InputError(
            f"{path} is recorded with other settings of a recipe called {recipe.name}; accepted: "
            "another name in the recipe's file, or --overwrite"
        )
    if state != "recorded":
        return False
    if keep_weights and not weights_path(path).is_file():
        raise InputError(
            f"{path} is recorded, and its weights are not; accepted: --runs-dir with another "
            "folder, or --overwrite"
        )
    if recipe.data != "imagenet" or not (Path(data_dir) / "train").is_dir():
        return True
    trained_on = read_record(path, "run")["provenance"]["data"]
    if _fingerprint(recipe, _subset(run), data_dir) != trained_on:
        raise InputError(
            f"{path} is recorded, of other images than those in {data_dir}; accepted: --runs-dir "
            "with another folder, or --overwrite"
        )
    return True


def _subset(run: Run) -> int:
    """The seed that draws a run's fraction of the images."""
    return run.seed if run.recipe.own_subset else 0


def _load(recipe: Recipe, subset: int, data_dir: Path | str) -> Dataset | ImageNet:
    data = load_data(recipe.data, recipe.held_out, data_dir, recipe.fraction, subset)
    if isinstance(data, ImageNet) and recipe.augmentation.crop is None:
        raise InputError(
            "pictures of several sizes, or too many to hold, are read as files and cut; accepted: "
            "with scales and crop, such as --scales 256,480 --crop 224"
        )
    return data


@cache  # of many runs of an experiment, which looks at them all
def _fingerprint(recipe: Recipe, subset: int, data_dir: Path | str) -> str:
    return _load(recipe, subset, data_dir).fingerprint()


def _leaders_fingerprint(data: Dataset | ImageNet) -> str:
    """The data's fingerprint, which takes a look at every file: one process is enough."""
    digest = bytes.fromhex(data.fingerprint()) if is_leader() else bytes(32)
    return bytes(leaders(torch.tensor(list(digest), dtype=torch.uint8)).tolist()).hex()


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
