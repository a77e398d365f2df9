"""The command ``resnet-study``. A mistake gets one line on standard error and exit status 2."""

import os
import sys
from pathlib import Path

import click

from resnet_study import paths
from resnet_study.errors import InputError, require_at_least
from resnet_study.experiments import EXPERIMENTS, Run, get_experiment, parse_seeds, perform
from resnet_study.models import FAMILIES, SHORTCUTS
from resnet_study.recipes import RECIPES, get_recipe
from resnet_study.records import read_record

RUNS_DIR = click.option(
    "--runs-dir", type=Path, default=paths.RUNS, help="Folder of the records. [data/runs]"
)


@click.group()
def cli():
    """Residual learning, reproduced: train, record, report."""


@cli.command()
@click.option("--recipe", default="digits", show_default=True, help="How to train.")
@click.option("--family", default="residual", show_default=True, help="Which blocks.")
@click.option("--depth", default=18, show_default=True, help="Weighted layers.")
@click.option("--seed", default=0, show_default=True, help="Weights, order, augmentation.")
@click.option("--shortcut", default="A", show_default=True, help="Of a residual net.")
@click.option("--epochs", type=int, help="Instead of the recipe's.")
@click.option("--width", type=int, help="Channels of the first stage, instead of the recipe's.")
@click.option("--batch", type=int, help="Images a step, instead of the recipe's.")
@click.option("--rate", type=float, help="Learning rate, instead of the recipe's.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, …")
@RUNS_DIR
@click.option("--data-dir", type=Path, default=paths.DOWNLOADS, help="Data sets. [data/downloads]")
@click.option("--overwrite", is_flag=True, help="Train again what is recorded already.")
def run(
    recipe, family, depth, seed, shortcut, epochs, width, batch, rate,
    device, runs_dir, data_dir, overwrite,
):  # fmt: skip
    """Train one network and record it."""
    changed = get_recipe(recipe, epochs=epochs, width=width, batch=batch, rate=rate)
    chosen = Run(changed, family, depth, seed, shortcut)
    path = chosen.record_path(runs_dir)
    if not overwrite and chosen.state(runs_dir) == "recorded":
        click.echo(f"recorded already: {path} (--overwrite trains again)")
    else:
        watched = sys.stderr.isatty()
        perform(chosen, device=device, runs_dir=runs_dir, data_dir=data_dir, progress=watched)
        click.echo(f"recorded: {path}")
    record = read_record(path)
    if record["diverged_at"] is not None:
        click.echo(f"diverged by iteration {record['diverged_at']}")
        return
    for name, value in record["final"].items():
        click.echo(f"{name.replace('_', ' ')}: {value:.2f} %")


@cli.command()
@click.option("--seeds", default="0-2", show_default=True, help="Such as 0-2,7.")
@click.option("--jobs", type=int, help="Runs at a time. [one a core]")
def reproduce(seeds, jobs):
    """Train Fig. 2 on digits afresh, render the book from it, and report."""
    from resnet_study.reproduction import reproduce  # needs papermill; training does not

    jobs = len(os.sched_getaffinity(0)) if jobs is None else jobs
    require_at_least("jobs", jobs, 1)
    parse_seeds(seeds)
    if not reproduce(seeds, jobs, click.echo):
        raise click.exceptions.Exit(1)


@cli.command()
@click.argument("experiment", default="fig2")
@click.option("--recipe", help="One of the experiment's recipes. [its first]")
@click.option("--seeds", help="Such as 0-2,7. [the experiment's]")
@RUNS_DIR
@click.option("--missing", is_flag=True, help="Print the options of `run` that fill the gaps.")
def status(experiment, recipe, seeds, runs_dir, missing):
    """Say which runs of EXPERIMENT are recorded, part-trained, missing or stale."""
    chosen = get_experiment(experiment)
    runs = chosen.runs(recipe, seeds and parse_seeds(seeds))
    states = {run.name: run.state(runs_dir) for run in runs}
    if missing:  # for xargs
        for run in runs:
            if states[run.name] != "recorded":
                click.echo(
                    f"--recipe {run.recipe.name} --family {run.family} "
                    f"--depth {run.depth} --seed {run.seed}"
                )
        return
    counts = ", ".join(
        f"{list(states.values()).count(state)} {state}"
        for state in ("recorded", "part-trained", "missing", "stale")
    )
    click.echo(f"{experiment} on {runs[0].recipe.name}, {len(runs)} runs: {counts}")
    for name, state in states.items():
        click.echo(f"  {state:12}  {name}")


@cli.command(name="list")
def list_():
    """List recipes, families, shortcuts and experiments."""
    click.echo(f"families: {', '.join(FAMILIES)}")
    click.echo("depths: 18, 34, and 6n+2 (8, 14, 20, …)")
    click.echo(f"shortcuts: {', '.join(SHORTCUTS)}")
    click.echo("recipes:")
    for name, recipe in RECIPES.items():
        click.echo(f"  {name:14}{recipe.__doc__.splitlines()[0]}")
    click.echo("experiments:")
    for name, experiment in EXPERIMENTS.items():
        click.echo(f"  {name:14}{experiment.question}")


@cli.command()
@click.argument("notebook", type=Path)
@click.argument("output", type=Path)
@click.option(
    "-p", "--parameter", "parameters", type=(str, str), multiple=True, help="NAME VALUE, checked."
)
def execute(notebook, output, parameters):
    """Run NOTEBOOK with papermill into OUTPUT, after checking names and types of parameters."""
    from resnet_study.notebooks import execute, parse_parameters

    execute(notebook, output, parse_parameters(notebook, dict(parameters)))
    click.echo(f"executed: {output}")


def main() -> None:
    """Entry point; turns every mistake of the user's into one line."""
    try:
        sys.exit(cli.main(standalone_mode=False))
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.Abort:
        sys.exit(130)
    except (click.ClickException, InputError) as error:
        text = error.format_message() if isinstance(error, click.ClickException) else error
        click.echo(f"resnet-study: {text}", err=True)
        sys.exit(2)
