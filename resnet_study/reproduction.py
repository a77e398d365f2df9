"""``make reproduce``: train Fig. 2 and Highway nets afresh, render the book from it, and report.

Everything is written below ``_build``; committed records and notebooks are only read.
Whatever is finished when it is interrupted is kept, and the next call goes on from there.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
from filelock import FileLock

from resnet_study import paths, tables
from resnet_study.checkpoints import read_checkpoint
from resnet_study.containment import EQUAL, largest_error
from resnet_study.effects import compare, identical_curves, reproduced
from resnet_study.errors import InputError
from resnet_study.experiments import EXPERIMENTS, parse_seeds
from resnet_study.files import require_writable
from resnet_study.provenance import code_fingerprint
from resnet_study.queue import Executions, Place, Say, train_missing
from resnet_study.records import load_curves, load_runs, read_record
from resnet_study.runs import Run

RECORDS = paths.REPRODUCTION / "runs"
SITE = paths.REPRODUCTION / "site"
EXPERIMENT = EXPERIMENTS["reproduction"]
BOOK_OPTIONS = ("--all", "-n", "-W", "--keep-going")  # a warning is a fault: a broken link, say
FIGURES = ("fig2", "reproduction")  # notebooks that read the fresh records


def forget_other_code(runs: list[Run]) -> None:
    """Delete records and checkpoints here that are damaged or come from other code."""

    def code_of_record(path: Path) -> str:
        return read_record(path)["provenance"]["code"]

    def code_of_checkpoint(path: Path) -> str:
        return read_checkpoint(path)[0]["code"]

    for run in runs:
        for path, code_of in (
            (run.record_path(RECORDS), code_of_record),
            (run.checkpoint_path(RECORDS), code_of_checkpoint),
        ):
            try:
                current = not path.exists() or code_of(path) == code_fingerprint()
            except InputError:
                current = False
            if not current:
                path.unlink()


def render_book(seeds: str) -> None:
    """Render the book into ``_build/html`` with the notebooks executed on the fresh records.

    Raises:
        InputError: if the book does not build, with what was said.
    """
    shutil.rmtree(SITE, ignore_errors=True)
    SITE.mkdir()
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy(paths.ROOT / name, SITE)
    shutil.copytree(paths.ROOT / "book", SITE / "book")
    code = Path(__file__).parent  # pages show parts of it
    shutil.copytree(code, SITE / code.name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(
        paths.NOTEBOOKS, SITE / "notebooks", ignore=shutil.ignore_patterns(".*", "*.py")
    )
    for name in FIGURES:
        output = SITE / "notebooks" / f"{name}.ipynb"
        with Executions() as executions:
            executions.run(name, output, {"runs_dir": RECORDS, "seeds": seeds})
        hide_injected_parameters(output)
    command = [Path(sys.executable).with_name("jupyter-book"), "build", *BOOK_OPTIONS]
    built = subprocess.run(
        [*command, "--path-output", paths.ROOT, SITE], capture_output=True, text=True
    )
    if built.returncode:
        raise InputError(f"the book does not build:\n{built.stdout}{built.stderr}")


def hide_injected_parameters(notebook: Path) -> None:
    """Keep the cell that papermill adds, with paths of this machine, out of the book."""
    content = nbformat.read(notebook, as_version=4)
    for cell in content.cells:
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.metadata.tags.append("remove-cell")
    nbformat.write(content, notebook)


def reproduce(seeds: str, jobs: int, say: Say = print) -> bool:
    """Train, render, report; returns whether the study is reproduced.

    Raises:
        InputError: if a step fails.
    """
    runs = EXPERIMENT.runs(seeds=parse_seeds(seeds))
    place = Place(runs_dir=RECORDS, device="cpu", jobs=jobs, wait_for_others=True)
    require_writable(paths.REPRODUCTION)
    with FileLock(paths.REPRODUCTION / "lock"):  # wait until no other reproduction is at work
        forget_other_code(runs)
        if left := train_missing(runs, place, say):
            raise InputError(f"{len(left)} of {len(runs)} runs are not recorded; see above")
        say("executing the figure notebooks and rendering the book")
        render_book(seeds)
    ours, theirs = EXPERIMENT.records(), EXPERIMENT.records(RECORDS, seeds=parse_seeds(seeds))
    comparison = compare(load_runs(ours), load_runs(theirs))
    same, shared = identical_curves(load_curves(ours), load_curves(theirs))
    say("\nReproduction report: difference of final errors in points [95 % interval]\n")
    say(tables.comparison(comparison).to_string(index=False))
    error = largest_error()
    contained = error < EQUAL
    say(
        "\ncontainment (C7): a Highway net made from each ResNet, 18 and 34 layers, computes "
        f"{'the same' if contained else 'SOMETHING ELSE'}: relative error {error:.0e}"
    )
    if shared:
        say(f"{same} of your {shared} curves with our seeds equal ours to the bit")
    success = reproduced(comparison) and contained
    say(f"the study is {'reproduced' if success else 'NOT reproduced'}")
    say(f"the book: {paths.BUILD / 'html' / 'index.html'}")
    return success
