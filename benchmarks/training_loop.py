"""Our training loop against two stock ones, side by side in one process on one device.

(a) Stock: the loop that a user would take from torchvision's reference scripts, files and a
    DataLoader with a worker on each core. The digits have no files: tensors stand in for them.
(b) The same with the data resident: decoded on the device, augmented by ours, a batch at a time.
(c) Ours: ``resnet_study.training.loop``.

The loops take turns, forwards and backwards, and the median over rounds counts. A round begins
with steps that are not timed, so many that (a) has nothing left from before. Like all trainings
here, each computes on one thread of the processor; the workers of (a) come on top. Nothing is
evaluated.

On a GPU, peak memory is what a loop allocates from its construction through its first steps:
network, gradients, momentum, a batch and its activations, without the data set.
"""

import gc
import sys
from collections.abc import Callable
from dataclasses import astuple
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median
from time import perf_counter

import click
import torch
from floor import Ceilings, count_bytes, count_flops, measure_ceilings, synchronise
from loops import MAKERS, WORKERS, Loop

from resnet_study import paths
from resnet_study.data.augmentation import centre_crop
from resnet_study.data.datasets import Dataset, load_data
from resnet_study.errors import InputError, require_at_least, require_one_of
from resnet_study.files import require_writable
from resnet_study.models.networks import build_model
from resnet_study.pipeline import provenance
from resnet_study.pipeline.benchmarks import LOOPS, result_path
from resnet_study.pipeline.records import write_record
from resnet_study.questions.words import network
from resnet_study.training.loop import choose_device
from resnet_study.training.recipes import Recipe, get_recipe

RECIPES = ("digits", "tiny-imagenet-20", "tiny-imagenet")
NETWORKS = (("plain", 18), ("plain", 34), ("residual", 18), ("residual", 34))
WARM_UP = 2 * WORKERS  # steps: as many batches as a DataLoader prepares ahead


def time_steps(loop: Loop, batch: int, steps: int, device: torch.device) -> float:
    """Images per second over ``steps`` steps, after those that warm up."""
    batches = loop.batches(batch)
    for images, labels in islice(batches, WARM_UP):
        loop.learn(images, labels)
    synchronise(device)
    clock = perf_counter()
    for images, labels in islice(batches, steps):
        loop.learn(images, labels)
    synchronise(device)
    speed = steps * batch / (perf_counter() - clock)
    batches.close()  # ends the workers, lest they take from another loop's time
    return speed


def measure_memory(work: Callable[[], Loop], device: torch.device) -> tuple[Loop, int | None]:
    """What ``work`` returns, and the peak of bytes that it allocated; None on a CPU."""
    if device.type != "cuda":
        return work(), None
    gc.collect()
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    return work(), torch.cuda.max_memory_allocated(device) - before


def compare_loops(
    make: Callable[[str], Loop], batch: int, rounds: int, steps: int, device: torch.device
) -> dict[str, dict]:
    """Images per second in each round and peak memory of each loop that ``make`` makes."""

    def started(name: str) -> Loop:
        loop = make(name)
        time_steps(loop, batch, 1, device)
        return loop

    started("resident")  # cuDNN looks for its fastest kernels, in memory that shall count for none
    made = {name: measure_memory(lambda name=name: started(name), device) for name in LOOPS}
    speeds = {name: [] for name in LOOPS}
    for turn in range(rounds):
        for name in LOOPS if turn % 2 else reversed(LOOPS):  # drift hits none more
            speeds[name].append(time_steps(made[name][0], batch, steps, device))
    return {
        name: {"images_per_second": speeds[name], "peak_memory_bytes": made[name][1]}
        for name in LOOPS
    }


def measure_network(
    family: str,
    depth: int,
    data: Dataset,
    recipe: Recipe,
    *,
    data_dir: Path,
    rounds: int,
    steps: int,
) -> dict:
    """What is said of one network in a result, but for the floor."""

    def build() -> torch.nn.Module:
        torch.manual_seed(0)
        return build_model(
            family,
            depth,
            classes=data.classes,
            channels=data.channels,
            stem=recipe.stem,
            width=recipe.width,
        )

    # Of what the network sees.
    shape = tuple(centre_crop(data.train.images[:1], recipe.augmentation.crop).shape[1:])
    return {
        "family": family,
        "depth": depth,
        "flops_per_step": count_flops(build(), shape, recipe.batch),
        "bytes_per_step": count_bytes(build(), shape, recipe.batch, recipe.precision),
        "loops": compare_loops(
            lambda name: MAKERS[name](build(), data, recipe, data_dir),
            recipe.batch,
            rounds,
            steps,
            data.device,
        ),
    }


def summary(measured: dict) -> str:
    """One line on a network: images per second of each loop, and how they compare."""
    speeds = {name: median(loop["images_per_second"]) for name, loop in measured["loops"].items()}
    each = ", ".join(f"{LOOPS[name]} {speed:,.0f}" for name, speed in speeds.items())
    return (
        f"{network(measured['family'], measured['depth'])}: {each} images/s;"
        f" (c)/(a) {speeds['ours'] / speeds['stock']:.2f},"
        f" (c)/(b) {speeds['ours'] / speeds['resident']:.2f}"
    )


def benchmark(
    recipe: Recipe,
    data: Dataset,
    data_dir: Path,
    ceilings: Callable[[], Ceilings],
    *,
    networks: tuple[tuple[str, int], ...] = NETWORKS,
    rounds: int,
    steps: int,
) -> dict:
    """Compare the loops on the device where ``data`` lie; prints a line a network.

    ``ceilings`` measures those of the device. It does so before each network, and the highest
    count: a device is not equally fast at all times.
    """
    started = datetime.now(UTC).isoformat(timespec="seconds")
    # As Training sets it, but for the stock loops and the ceilings too.
    torch.backends.cudnn.allow_tf32 = recipe.precision == "tensorfloat32"
    torch.backends.cuda.matmul.allow_tf32 = recipe.precision == "tensorfloat32"
    trials, measured = [], []
    for family, depth in networks:
        trials.append(ceilings())
        options = {"data_dir": data_dir, "rounds": rounds, "steps": steps}
        measured.append(measure_network(family, depth, data, recipe, **options))
        click.echo(summary(measured[-1]))
    highest = Ceilings(*map(max, *map(astuple, trials)))
    for each in measured:
        floor = highest.seconds(each["flops_per_step"], each["bytes_per_step"])
        each["floor_ms"] = 1000 * floor
    return {
        "recipe": recipe.name,
        "batch": recipe.batch,
        "precision": recipe.precision,
        "epochs": recipe.epochs,
        "training_images": len(data.train),
        "data_bytes": data.train.images.nbytes + data.validation.images.nbytes,
        "started": started,
        "provenance": provenance.describe(data.device),
        "cores": WORKERS,
        "rounds": rounds,
        "steps": steps,
        "flops_per_second": highest.flops_per_second,
        "bytes_per_second": highest.bytes_per_second,
        "networks": measured,
    }


@click.command(help="Compare our training loop with two stock ones; see the head of this file.")
@click.option("--recipe", "name", default="digits", show_default=True, help=", ".join(RECIPES))
@click.option("--precision", help="Of convolutions, instead of the recipe's.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, …")
@click.option("--data-dir", type=Path, default=paths.DOWNLOADS, help="Data sets. [data/downloads]")
@click.option("--rounds", default=9, show_default=True, help="Turns of each loop.")
@click.option("--steps", type=int, help="Timed in a round. [100 on a GPU, 10 on a CPU]")
@click.option("--output", type=Path, default=paths.BENCHMARKS, help="Folder. [data/benchmarks]")
def main(
    name: str,
    precision: str | None,
    device: str,
    data_dir: Path,
    rounds: int,
    steps: int | None,
    output: Path,
) -> None:
    """Measure, print, and write the result."""
    require_one_of("recipe", name, RECIPES)
    recipe = get_recipe(name, precision=precision)
    where = choose_device(device)
    if steps is None:
        steps = 100 if where.type == "cuda" else 10
    require_at_least("rounds", rounds, 1)
    require_at_least("steps", steps, 1)
    require_writable(output)
    torch.set_num_threads(1)
    torch.backends.cudnn.benchmark = True
    data = load_data(recipe.data, recipe.held_out, data_dir).to(where)
    ceilings = partial(measure_ceilings, where, recipe.precision)
    path = result_path(output, provenance.device_name(where), name, recipe.precision)
    write_record(path, benchmark(recipe, data, data_dir, ceilings, rounds=rounds, steps=steps))
    click.echo(f"written: {path}")


if __name__ == "__main__":
    try:
        main(standalone_mode=False)
    except (click.ClickException, InputError) as error:
        text = error.format_message() if isinstance(error, click.ClickException) else error
        sys.exit(f"training_loop: {text}")
