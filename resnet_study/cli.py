"""The command ``resnet-study``. A mistake gets one line on standard error and exit status 2.

What is not finished, because its time was over, has exit status ``UNFINISHED``: the same command
goes on. Where one of several runs failed it is 1. A signal saves what is under way, and ends it
with 128 and its number.

What trains, draws or decides is imported by the commands that do: the others answer at once.
"""

import contextlib
import itertools
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import click

from resnet_study import paths
from resnet_study.errors import InputError, OutOfTime, require_at_least
from resnet_study.models.options import FAMILIES, NORMALISATIONS, SHORTCUTS
from resnet_study.pipeline.records import find_records, read_record
from resnet_study.pipeline.run import OF_NETWORK, OF_RECIPE, SETTINGS, Run, default_of, make_run
from resnet_study.processes import AnotherProcessFailed, is_leader, processes, speaks
from resnet_study.questions.experiments import EXPERIMENTS, get_experiment, parse_seeds
from resnet_study.signals import Stopped, stoppable
from resnet_study.training.recipes import RECIPES

SEVERAL = ("family", "depth")  # settings that may be given as a list: a grid needs no code
UNFINISHED = 75  # EX_TEMPFAIL of sysexits.h: "try again later"


class _Several(click.ParamType):
    """Values with commas between, as a tuple; each one makes runs of its own."""

    def __init__(self, kind: type):
        self.one = click.types.convert_type(kind)
        self.name = f"{self.one.name}[,…]"

    def convert(self, value, parameter, context) -> tuple:
        return tuple(self.one.convert(part, parameter, context) for part in value.split(","))


class _Folder(click.ParamType):
    """A path; ``~`` is the home folder, also in ``--runs-dir=~/runs``, where shells leave it.

    An empty text, of a variable that is not set perhaps, is refused and not the current folder.
    """

    name = "path"

    def convert(self, value, parameter, context) -> Path:
        if not str(value):
            self.fail("'' is no folder; accepted: a path, such as . for this one")
        return Path(value).expanduser()


_RUNS_DIR = click.option(
    "--runs-dir", type=_Folder(), default=paths.RUNS, help="Folder of the records. [data/runs]"
)


def _settings(command: Callable) -> Callable:
    """Give a command an option for each setting of a run."""
    for name, each in reversed(SETTINGS.items()):
        choices = f" ({', '.join(map(str, each.meaning.one_of))})" if each.meaning.one_of else ""
        help, flag = each.meaning.help, "--" + name.replace("_", "-")
        option = click.option(
            f"{flag}/--no-{flag[2:]}" if each.kind is bool else flag,
            type=_type_of(name, each.kind),
            default=None,
            help=f"{help[0].upper()}{help[1:]}{choices}. [{default_of(name)}]",
        )
        command = option(command)
    return command


def _type_of(name: str, kind: type) -> object:
    """What an option of a setting takes."""
    if name in SEVERAL:
        return _Several(kind)
    return str if kind is tuple else kind


class _Ended(Exception):
    """A signal ended a command; click would make an empty line of it."""


class _Commands(click.Group):
    def invoke(self, context: click.Context) -> object:
        try:
            return super().invoke(context)
        except Stopped as stop:
            raise _Ended from stop


@click.group(cls=_Commands)
@click.version_option(package_name="resnet-study")
def cli():
    """Residual learning, reproduced: train, record, report."""


@cli.command()
@click.option("--recipe", help="How to train. [digits, or the experiment's first]")
@click.option("--experiment", help="Train what is missing of it, instead of one run.")
@click.option("--seeds", help="Several, such as 0-2,7. [the experiment's]")
@click.option("--jobs", type=int, help="Of several, how many at a time. [one a core; 1 on a GPU]")
@click.option("--dry-run", is_flag=True, help="Say what would be trained, and train nothing.")
@_settings
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, …")
@_RUNS_DIR
@click.option(
    "--data-dir", type=_Folder(), default=paths.DOWNLOADS, help="Data sets. [data/downloads]"
)
@click.option("--time-budget", help="Save and stop after this long, such as 9m.")
@click.option(
    "--checkpoint-seconds", default=60.0, show_default=True, help="Between two checkpoints."
)
@click.option("--tensorboard", type=_Folder(), help="Folder for TensorBoard's curves. [none]")
@click.option("--keep-weights", is_flag=True, help="Write them beside the record (safetensors).")
@click.option("--overwrite", is_flag=True, help="Train again what is recorded already.")
def run(
    recipe, experiment, seeds, jobs, dry_run, device, runs_dir, data_dir, time_budget,
    checkpoint_seconds, tensorboard, keep_weights, overwrite, **options,
):  # fmt: skip
    """Train a network and record it, or all that is missing of a grid or an experiment.

    Several families, depths or seeds are a grid: each of these with each.
    """
    require_at_least("checkpoint_seconds", checkpoint_seconds, 0)
    given = {name: value for name, value in options.items() if value is not None}
    deadline = None if time_budget is None else time.time() + parse_duration(time_budget)
    if experiment is None:
        runs = _grid(recipe or "digits", seeds, given)
    else:
        of_network = {name: value for name, value in given.items() if name in OF_NETWORK}
        _refuse(of_network, "does not go with --experiment")
        changes = {name: value for name, value in given.items() if name in OF_RECIPE}
        runs = get_experiment(experiment).runs(recipe, seed_list(seeds), **changes)
    several = experiment is not None or len(runs) > 1
    if dry_run:
        _say_what_would_be_done(runs, runs_dir)
    elif not several:
        _refuse({"jobs": jobs}, "goes with several runs")
        _run_one(
            runs[0], overwrite, device=device, runs_dir=runs_dir, data_dir=data_dir,
            checkpoint_seconds=checkpoint_seconds, deadline=deadline, keep_weights=keep_weights,
            tensorboard=tensorboard,
        )  # fmt: skip
    else:
        _refuse({"overwrite": overwrite or None}, "goes with one run")
        _run_several(
            runs, jobs, runs_dir=runs_dir, data_dir=data_dir, device=device, deadline=deadline,
            checkpoint_seconds=checkpoint_seconds, keep_weights=keep_weights,
            tensorboard=tensorboard,
        )  # fmt: skip


def _grid(recipe: str, seeds: str | None, given: dict[str, object]) -> list[Run]:
    """Runs of each family with each depth and each seed, seed by seed."""
    if seeds is not None and "seed" in given:
        raise InputError("--seed and --seeds exclude each other; accepted: one of them")
    several = {name: given.pop(name, (None,)) for name in SEVERAL}
    asked = seed_list(seeds) or (given.pop("seed", None),)
    return [
        make_run(recipe, **dict(zip(several, values, strict=True)), seed=seed, **given)
        for seed in asked
        for values in itertools.product(*several.values())
    ]


def _say_what_would_be_done(runs: Iterable[Run], runs_dir: Path) -> None:
    states = {run: run.state(runs_dir) for run in runs}
    for run, state in states.items():
        click.echo(f"  {state:12}  {run.recipe.name}/{run.name}")
    left = [state for state in states.values() if state != "recorded"]
    click.echo(f"{len(left)} of {len(states)} runs would be trained")


def _run_several(runs: Sequence[Run], jobs: int | None, *, device: str, **options) -> None:
    """Train what is missing of ``runs``; ends with status 1 or ``UNFINISHED`` if some still are."""
    from resnet_study.pipeline.queue import Place, default_jobs, train_missing

    if processes() > 1:
        raise InputError("several runs do not go with torchrun; accepted: one run at a time")
    jobs = default_jobs(device) if jobs is None else jobs
    place = Place(device=device, jobs=jobs, **options)
    left = train_missing(runs, place, click.echo)
    click.echo(f"{len(runs) - len(left)} of {len(runs)} runs are recorded in {place.runs_dir}")
    if "failed" in left.values():
        raise click.exceptions.Exit(1)
    if left:
        raise click.exceptions.Exit(UNFINISHED)


def _require_folder(runs_dir: Path) -> None:
    """Raise :class:`InputError` unless records can lie in ``runs_dir``."""
    if not runs_dir.is_dir():
        raise InputError(f"records folder {runs_dir} is none; accepted: a folder that exists")


def _share_done(run: Run, runs_dir: Path) -> float:
    """How much of a part-trained run is done, from 0 to 1."""
    from resnet_study.training.checkpoints import share_done

    return share_done(run.checkpoint_path(runs_dir))


def _say_aside(text: str) -> None:
    click.echo(text, err=True)


def seed_list(text: str | None) -> tuple[int, ...] | None:
    """The seeds of an option, or None where it was not given.

    Raises:
        InputError: for a text that :func:`~resnet_study.questions.experiments.parse_seeds`
            cannot read.
    """
    return None if text is None else parse_seeds(text)


def _refuse(options: dict[str, object], reason: str) -> None:
    """Raise :class:`InputError` for an option that has no meaning here."""
    for name, value in options.items():
        if value is not None:
            raise InputError(f"--{name.replace('_', '-')} {reason}")


def _run_one(
    chosen: Run, overwrite: bool, *, runs_dir: Path, data_dir: Path, keep_weights: bool, **options
) -> None:
    """Train ``chosen`` unless it is recorded, and say what came out.

    Ends with status ``UNFINISHED`` when its time was over.
    """
    from resnet_study.pipeline.perform import is_recorded, perform
    from resnet_study.training import progress

    if not overwrite and is_recorded(chosen, runs_dir, data_dir, keep_weights):
        path = chosen.recorded_at(runs_dir)
        done = f"recorded already: {path} (--overwrite trains again)"
    else:
        path = chosen.record_path(runs_dir)
        watch = progress.bar() if sys.stderr.isatty() else progress.lines(_say_aside)
        try:
            with watch as report:
                perform(
                    chosen, runs_dir=runs_dir, data_dir=data_dir, report=report,
                    keep_weights=keep_weights, **options,
                )  # fmt: skip
            done = f"recorded: {path}"
        except OutOfTime as stop:
            if is_leader():
                click.echo(f"{stop}; run it again to go on")
            raise click.exceptions.Exit(UNFINISHED) from stop
    if not is_leader():
        return
    click.echo(done)
    record = read_record(path, "run")
    if record["diverged_at"] is not None:
        click.echo(f"diverged by iteration {record['diverged_at']}")
        return
    for name, value in record["final"].items():
        click.echo(f"{name.replace('_', ' ')}: {value:.2f} %")


@cli.command()
@click.option("--seeds", default="20-22", show_default=True, help="Such as 20-22,27.")
@click.option("--jobs", type=int, help="Runs at a time. [one a core]")
def reproduce(seeds, jobs):
    """Train Fig. 2 and Highway nets on digits afresh, render the book from them, and report."""
    paths.require_checkout("reproduce")
    from resnet_study.pipeline.queue import default_jobs
    from resnet_study.questions.effects import FEWEST_SEEDS
    from resnet_study.reproduction import reproduce  # needs papermill; training does not

    if len(parse_seeds(seeds)) < FEWEST_SEEDS:
        raise InputError(
            f"seeds {seeds!r} are too few to compare; accepted: {FEWEST_SEEDS} or more of them"
        )
    if not reproduce(seeds, default_jobs("cpu") if jobs is None else jobs, click.echo):
        raise click.exceptions.Exit(1)


def _others(runs_dir: Path) -> list[str]:
    """Recipe and name of records that no experiment asks for: somebody's own runs."""
    asked = {
        run.record_path(runs_dir)
        for each in EXPERIMENTS.values()
        for name in each.grids
        for run in each.runs(name)
    }
    found = set(find_records(runs_dir)) if runs_dir.exists() else set()
    return [f"{path.parent.name}/{path.stem}" for path in sorted(found - asked)]


def _state_of(run: Run, runs_dir: Path) -> dict[str, object]:
    """What ``status`` knows of a run: its name, its state, and how much of it is done, 0 to 1."""
    state = run.state(runs_dir)
    done = _share_done(run, runs_dir) if state == "part-trained" else float(state == "recorded")
    return {"name": run.name, "state": state, "done": done}


@cli.command()
@click.argument("experiment", required=False)
@click.option("--recipe", help="One of the experiment's recipes. [all]")
@click.option("--seeds", help="Such as 0-2,7. [the experiment's]")
@click.option("--json", "as_json", is_flag=True, help="The same for programs, run by run.")
@_RUNS_DIR
def status(experiment, recipe, seeds, as_json, runs_dir):
    """Say what is recorded, part-trained, missing or stale.

    Of all experiments and measurements in short, or of EXPERIMENT run by run.
    """
    if runs_dir.exists():  # before the first training it need not
        _require_folder(runs_dir)
    chosen = [get_experiment(experiment)] if experiment else EXPERIMENTS.values()
    found: dict[str, list | dict] = {
        "experiments": [
            {
                "experiment": each.name,
                "recipe": name,
                "runs": [_state_of(run, runs_dir) for run in each.runs(name, seed_list(seeds))],
            }
            for each in chosen
            for name in (each.grids if recipe is None else [recipe])
        ]
    }
    if experiment is None:
        from resnet_study.pipeline.measurements import MEASUREMENTS

        found["others"] = _others(runs_dir)
        found["measurements"] = {name: each.state() for name, each in MEASUREMENTS.items()}
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False, indent=1))
    else:
        _say_status(found, each_run=experiment is not None)


def _say_status(found: dict, each_run: bool) -> None:
    for each in found["experiments"]:
        states = [run["state"] for run in each["runs"]]
        counts = ", ".join(
            f"{states.count(state)} {state}"
            for state in ("recorded", "part-trained", "missing", "stale")
        )
        click.echo(f"{each['experiment']} on {each['recipe']}, {len(states)} runs: {counts}")
        for run in each["runs"] if each_run else ():
            far = f", {run['done']:.0%}" if run["state"] == "part-trained" else ""
            click.echo(f"  {run['state']:12}  {run['name']}{far}")
    if "others" in found:
        click.echo(f"runs of no experiment: {len(found['others'])} recorded")
        for name in found["others"]:
            click.echo(f"  {name}")
        states = found["measurements"]
        missing = {name: state for name, state in states.items() if state != "recorded"}
        click.echo(f"measurements, {len(states)}: {len(states) - len(missing)} recorded")
        for name, state in missing.items():
            click.echo(f"  {state:12}  {name}")


@cli.command()
@_RUNS_DIR
@click.option("--json", "as_json", is_flag=True, help="The same for programs.")
def verdicts(runs_dir, as_json):
    """Say what is known of each claim: the literature, our findings, and whether they count."""
    from resnet_study.questions import claims

    _require_folder(paths.find(runs_dir))
    found = claims.examine(runs_dir)
    if as_json:
        click.echo(json.dumps(claims.as_json(found), ensure_ascii=False, indent=1))
        return
    from resnet_study.questions.lines import line

    for number, one in found.items():
        click.echo(f"{number}  {one.verdict}: {one.claim.text}")
        click.echo(f"    {line(number, found)}")
        click.echo(f"    literature: {one.grade.value}")
        for finding in one.findings:
            effects = claims.in_words(finding)
            said = f"    {finding.where}: {finding.answer}, {finding.bearing}"
            click.echo(f"{said}; {effects}" if effects else said)
            if finding.command:
                click.echo(f"      missing: {finding.command}")


@cli.command()
@click.argument("names", nargs=-1)
@click.option("--jobs", type=int, help="Measurements at a time. [one a core]")
@click.option("--overwrite", is_flag=True, help="Measure again what is recorded already.")
def measure(names, jobs, overwrite):
    """Look inside networks and write what is found; NAMES of measurements, or all."""
    from resnet_study.pipeline.measurements import MEASUREMENTS, record_missing
    from resnet_study.pipeline.queue import default_jobs

    names = names or tuple(MEASUREMENTS)
    jobs = default_jobs("cpu") if jobs is None else jobs
    count = 0
    for path in record_missing(names, jobs, overwrite):
        count += 1
        click.echo(f"recorded: {path}")
    click.echo(f"{count} of {len(names)} measurements made, the others are recorded already")


@cli.command()
@click.argument("archive", type=Path)
@_RUNS_DIR
def pack(archive, runs_dir):
    """Write all records into ARCHIVE (tar.gz)."""
    from resnet_study.pipeline import archive as archives

    click.echo(f"packed {archives.pack(archive, runs_dir)} records into {archive}")


@cli.command()
@click.argument("archive", type=Path)
@_RUNS_DIR
def unpack(archive, runs_dir):
    """Add the records in ARCHIVE to ours, after checking all of them."""
    from resnet_study.pipeline import archive as archives

    new, known = archives.unpack(archive, runs_dir)
    click.echo(f"added {new} records to {runs_dir}; {known} were there already")


@cli.command()
@click.argument("files", nargs=-1, type=_Folder(), metavar="[PATHS]...")
@_RUNS_DIR
def verify(files, runs_dir):
    """Check sealed files: whole, unaltered, what a run of ours can write, and in their place.

    PATHS of files or folders; or all records, pilots, measurements and benchmarks, and the log of
    executions. Each fault has a line, and any makes the exit status 1.
    """
    from resnet_study.pipeline import verification

    places = files or verification.everything(runs_dir)
    found, faults = verification.verify(places, runs_dir)
    if not found:
        raise InputError(
            f"no sealed file in {', '.join(map(str, places))}; accepted: records, or their folders"
        )
    for fault in faults:
        click.echo(fault)
    click.echo(f"{len(faults)} faults in {found} files", err=bool(faults))
    if faults:
        raise click.exceptions.Exit(1)


@cli.command(name="list")
def list_():
    """List recipes, families, shortcuts, normalisations, experiments and measurements."""
    from resnet_study.pipeline.measurements import MEASUREMENTS

    click.echo(f"families: {', '.join(FAMILIES)}")
    click.echo("depths: 18, 34, and 6n+2 (8, 14, 20, …)")
    click.echo(f"shortcuts: {', '.join(SHORTCUTS)}")
    click.echo(f"normalisations: {', '.join(NORMALISATIONS)}")
    click.echo("recipes:")
    for name, recipe in RECIPES.items():
        click.echo(f"  {name:18}{recipe.__doc__.splitlines()[0]}")
    click.echo("experiments:")
    for name, experiment in EXPERIMENTS.items():
        click.echo(f"  {name:18}{experiment.question}")
    click.echo("measurements:")
    for name, measurement in MEASUREMENTS.items():
        click.echo(f"  {name:18}{measurement.question}")


@cli.command()
@click.argument("notebook", type=Path)
@click.argument("output", type=Path)
@click.option(
    "-p", "--parameter", "parameters", type=(str, str), multiple=True, help="NAME VALUE, checked."
)
@click.option("--log", type=Path, help="File in which to note how long it took. [none]")
def execute(notebook, output, parameters, log):
    """Run NOTEBOOK with papermill into OUTPUT, after checking names and types of parameters.

    It is a file, or the name of one of the study's own: ``fig2``.
    """
    from resnet_study.pipeline.executions import log_execution
    from resnet_study.pipeline.notebooks import execute, find_notebook, parse_parameters

    notebook, clock = find_notebook(notebook), time.perf_counter()
    execute(notebook, output, parse_parameters(notebook, dict(parameters)))
    if log is not None:
        log_execution(notebook, time.perf_counter() - clock, log)
    click.echo(f"executed: {output}")


def prepare_standard_streams() -> None:
    """Give a process that was started without standard streams (``2>&-``) some that lead nowhere.

    Else the next file to be opened becomes its standard error, and gets its messages. A terminal
    that lacks a character of ours shows a question mark instead.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def main() -> None:
    """Entry point; turns every mistake of the user's into one line."""
    prepare_standard_streams()
    try:
        with stoppable():
            status = cli.main(standalone_mode=False)
        sys.stdout.flush()
    except (click.ClickException, InputError) as error:
        told = error.format_message() if isinstance(error, click.ClickException) else error
        status = _tell(None if isinstance(error, AnotherProcessFailed) else told, 2)
    except (_Ended, Stopped) as end:
        stop = end.__cause__ if isinstance(end, _Ended) else end
        status = _tell(f"{stop}; what is saved goes on when it is run again", stop.status)
    except BrokenPipeError:  # somebody reads no further: ``| head``
        status = _tell(None, 128 + 13)
    except OSError as error:  # a full disk, for instance, behind standard output
        status = _tell(f"{error.filename or 'standard output'}: {error.strerror}", 2)
    _drop_what_cannot_be_written()
    sys.exit(status)


def _tell(text: object, status: int) -> int:
    if text is not None and speaks():
        with contextlib.suppress(OSError):
            click.echo(f"resnet-study: {text}", err=True)
    return status


def _drop_what_cannot_be_written() -> None:
    """Lest Python tries once more at its end, and complains."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def parse_duration(text: str) -> float:
    """Seconds in ``90s``, ``9m``, ``2h`` or ``1h30m``.

    Raises:
        InputError: for a text of another form.
    """
    match = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", text.strip())
    if not match or not any(match.groups()):
        raise InputError(f"time budget {text!r} is no duration; accepted: such as 90s, 9m, 1h30m")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return 3600 * hours + 60 * minutes + seconds
