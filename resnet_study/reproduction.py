"""``make reproduce``: train Fig. 2 and Highway nets afresh, render the book from it, and report.

Everything is written below ``_build``; committed records and notebooks are only read.
Whatever is finished when it is interrupted is kept, and the next call goes on from there.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pandas as pd
from filelock import FileLock
from statsmodels.stats.multitest import multipletests

from resnet_study import paths
from resnet_study.errors import InputError
from resnet_study.files import require_writable
from resnet_study.models.containment import EQUAL, largest_error
from resnet_study.pipeline.frames import load_curves, load_runs
from resnet_study.pipeline.provenance import code_fingerprint
from resnet_study.pipeline.queue import Executions, Place, Say, train_missing
from resnet_study.pipeline.records import read_record
from resnet_study.pipeline.run import Run
from resnet_study.questions.effects import FIG2_EFFECTS
from resnet_study.questions.experiments import EXPERIMENTS, parse_seeds
from resnet_study.questions.highway import HIGHWAY_EFFECTS
from resnet_study.questions.words import METRICS, difference, with_n
from resnet_study.statistics import same_mean
from resnet_study.training.checkpoints import read_checkpoint


def compare(ours: pd.DataFrame, theirs: pd.DataFrame) -> pd.DataFrame:
    """One row an effect that both have: its estimates from two tables of runs, and if they agree.

    ``p`` is of Welch's t test that both have one mean, adjusted over all effects by Holm's method;
    they agree unless it is below 0.05.
    """
    rows = [
        (effect, effect.estimate(ours), effect.estimate(theirs))
        for effect in (*FIG2_EFFECTS, *HIGHWAY_EFFECTS)
    ]
    both = [row for row in rows if row[1].n and row[2].n]
    table = pd.DataFrame(both, columns=["effect", "ours", "theirs"])
    values = [same_mean(*pair) for pair in zip(table.ours, table.theirs, strict=True)]
    p = multipletests(values, method="holm")[1]
    return table.assign(p=p, agree=p >= 0.05)


def reproduced(comparison: pd.DataFrame) -> bool:
    """Whether all effects of a table of :func:`compare` agree."""
    return bool(comparison.agree.all())


def identical_curves(ours: pd.DataFrame, theirs: pd.DataFrame) -> tuple[int, int]:
    """Of the runs in both tables of curves, how many have the same curve to the bit; of how many.

    Tables of :func:`resnet_study.pipeline.frames.load_curves`. What older records lack is not
    compared.
    """
    labels = ["recipe", "family", "depth", "shortcut", "seed"]
    mine, yours = dict(list(ours.groupby(labels))), dict(list(theirs.groupby(labels)))
    shared = mine.keys() & yours.keys()
    return sum(_equal(mine[name], yours[name]) for name in shared), len(shared)


def _equal(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Whether two curves are the same to the bit, in the columns that both have."""
    one, other = (table.dropna(axis=1, how="all").reset_index(drop=True) for table in (one, other))
    both = one.columns.intersection(other.columns)
    return one[both].equals(other[both])


RECORDS = paths.REPRODUCTION / "runs"
SITE = paths.REPRODUCTION / "site"
EXPERIMENT = EXPERIMENTS["reproduction"]
OUR_SEED = 0  # which is trained again too: to the bit, the check of machine and packages
BOOK_OPTIONS = ("--all", "-n", "-W", "--keep-going")  # a warning is a fault: a broken link, say
FIGURES = ("fig2", "reproduction")  # notebooks that read the fresh records


def forget_other_code(runs: list[Run]) -> None:
    """Delete records and checkpoints here that are damaged or come from other code."""

    def code_of_record(path: Path) -> str:
        return read_record(path, "run")["provenance"]["code"]

    def code_of_checkpoint(path: Path) -> str:
        return read_checkpoint(path)[0].get("code")

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
    code = Path(__file__).parent  # pages show parts of it
    for folder, name, others in (
        (paths.ROOT / "book", "book", ()),
        (code, code.name, ("__pycache__",)),
        (paths.NOTEBOOKS, "notebooks", ("*.py",)),
    ):
        shutil.copytree(
            folder,
            SITE / name,
            ignore=shutil.ignore_patterns(".*", *others),
            ignore_dangling_symlinks=True,
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

    Fresh ``seeds`` test the effects; ``OUR_SEED`` is repeated beside them.

    Raises:
        InputError: if a step fails.
    """
    chosen = parse_seeds(seeds)
    runs = EXPERIMENT.runs(seeds=dict.fromkeys([*chosen, OUR_SEED]))
    place = Place(runs_dir=RECORDS, device="cpu", jobs=jobs, wait_for_others=True)
    require_writable(paths.REPRODUCTION)
    with FileLock(paths.REPRODUCTION / "lock"):  # wait until no other reproduction is at work
        forget_other_code(runs)
        if left := train_missing(runs, place, say):
            raise InputError(f"{len(left)} of {len(runs)} runs are not recorded; see above")
        say("executing the figure notebooks and rendering the book")
        render_book(seeds)
    ours, theirs = EXPERIMENT.records(), EXPERIMENT.records(RECORDS, seeds=chosen)
    comparison = compare(load_runs(ours), load_runs(theirs))
    repeated = EXPERIMENT.records(RECORDS, seeds=[OUR_SEED])
    same, shared = identical_curves(load_curves(ours), load_curves(repeated))
    say("\nReproduction report: difference of final errors in points, mean and range over seeds\n")
    say(comparison_table(comparison).to_string(index=False))
    error = largest_error()
    contained = error < EQUAL
    say(
        "\ncontainment (C7): a Highway net made from each ResNet, 18 and 34 layers, computes "
        f"{'the same' if contained else 'SOMETHING ELSE'}: relative error {error:.0e}"
    )
    yours, our = (" and ".join(load_runs(which).device.unique()) for which in (repeated, ours))
    say(
        f"{same} of your {shared} curves with our seed {OUR_SEED} equal ours to the bit (yours: "
        f"{yours}, ours: {our}; another processor rounds otherwise)"
    )
    success = reproduced(comparison) and contained
    say(f"the study is {'reproduced' if success else 'NOT reproduced'}")
    say(f"the book: {paths.BUILD / 'html' / 'index.html'}")
    return success


def comparison_table(table: pd.DataFrame) -> pd.DataFrame:
    """The reproduction report: a table of :func:`resnet_study.reproduction.compare` as text."""
    return pd.DataFrame(
        {
            "difference": table.effect.map(difference),
            "error": table.effect.map(lambda effect: METRICS[effect.metric]),
            "claim": table.effect.map(lambda effect: effect.claim),
            "ours": table.ours.map(with_n),
            "yours": table.theirs.map(with_n),
            "agree": table.agree.map({True: "yes", False: "NO"}),
            "p": table.p.map("{:.2f}".format),
        }
    )
