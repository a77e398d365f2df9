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

from resnet_study import paths
from resnet_study.errors import InputError
from resnet_study.files import require_writable
from resnet_study.models.containment import EQUAL, largest_error
from resnet_study.pipeline.frames import load_curves, load_runs
from resnet_study.pipeline.provenance import code_fingerprint
from resnet_study.pipeline.queue import Executions, Place, Say, train_missing
from resnet_study.pipeline.records import read_record
from resnet_study.pipeline.run import Run
from resnet_study.questions.effects import FIG2_EFFECTS, sign, verdict
from resnet_study.questions.experiments import EXPERIMENTS, parse_seeds
from resnet_study.questions.highway import HIGHWAY_EFFECTS
from resnet_study.questions.words import METRICS, difference, with_n
from resnet_study.statistics import Estimate
from resnet_study.training.checkpoints import read_checkpoint


def agreement(ours: Estimate, theirs: Estimate) -> str:
    """How a repetition stands to the original.

    ``same``: the same sign is decided, or neither is. ``compatible``: one is undecided
    and the intervals overlap. ``different``: anything else.
    """
    if sign(ours) == sign(theirs):
        return "same"
    overlap = ours.low <= theirs.high and theirs.low <= ours.high
    return "compatible" if "undecided" in (sign(ours), sign(theirs)) and overlap else "different"


def compare(ours: pd.DataFrame, theirs: pd.DataFrame) -> pd.DataFrame:
    """One row an effect: estimates of two tables of runs, verdicts, and their agreement."""
    rows = []
    for effect in (*FIG2_EFFECTS, *HIGHWAY_EFFECTS):
        mine, yours = effect.estimate(ours), effect.estimate(theirs)
        rows.append(
            {
                "effect": effect,
                "ours": mine,
                "theirs": yours,
                "our_verdict": verdict(effect, mine),
                "their_verdict": verdict(effect, yours),
                "agreement": agreement(mine, yours),
            }
        )
    return pd.DataFrame(rows)


def reproduced(comparison: pd.DataFrame) -> bool:
    """Whether what ours support of Fig. 2 theirs support too, and no effect is different.

    Gaps between Highway nets and ResNets are a few images wide: what five seeds decide of them,
    three need not.
    """
    of_fig2 = comparison.effect.isin(FIG2_EFFECTS)
    supported = comparison[of_fig2 & (comparison.our_verdict == "supported")]
    return bool(
        (supported.their_verdict == "supported").all()
        and (comparison.agreement != "different").all()
    )


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
    say(comparison_table(comparison).to_string(index=False))
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


def comparison_table(table: pd.DataFrame) -> pd.DataFrame:
    """The reproduction report: a table of :func:`resnet_study.reproduction.compare` as text."""
    return pd.DataFrame(
        {
            "difference": table.effect.map(difference),
            "error": table.effect.map(lambda effect: METRICS[effect.metric]),
            "agreement": table.agreement,
            "claim": table.effect.map(lambda effect: effect.claim),
            "ours": table.our_verdict,
            "yours": table.their_verdict,
            "our points (n)": table.ours.map(with_n),
            "your points (n)": table.theirs.map(with_n),
        }
    )
