"""Where figures, tables and numbers come from: what a cell of a notebook hands over to the book.

A cell shows its result through :func:`figure`, :func:`table` or :func:`numbers`, together with the
files that it read. The notebook keeps, beside the picture, the drawn data as CSV and the files with
a checksum; ``source_lines`` of the site makes a line below the figure of them.
"""

import hashlib
import json
from collections.abc import Iterable
from functools import cache
from html import escape
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from resnet_study import paths
from resnet_study.figures import style, tables
from resnet_study.pipeline import schemas
from resnet_study.pipeline.records import read_record
from resnet_study.questions import words

SOURCE = "application/vnd.resnet-study.source+json"  # MIME types of a cell's output
NARROW = "application/vnd.resnet-study.narrow"  # a figure's SVG with its panels below each other
HEAVY = 150_000  # bytes of a picture that no notebook should keep twice
CSV = "text/csv"

Data = pd.DataFrame | dict[str, pd.DataFrame]


def figure(drawn, data: Data | None = None, records: Iterable[Path] = ()) -> None:
    """Show a figure with its source; one of several panels also as a phone shows it.

    Args:
        drawn: a matplotlib figure, or HTML of :func:`interactive_figure`.
        data: what it shows, in long form; or several such tables by their titles. A drawing that
            shows no data has none, and no records.
        records: the files that it was drawn from: records of runs, measurements, benchmarks, the
            paper's curves.
    """
    if isinstance(drawn, Figure):
        shown = {"image/svg+xml": style.svg(drawn), "text/plain": repr(drawn)}
        if style.stack(drawn) and len(narrow := style.svg(drawn)) < HEAVY:
            shown[NARROW] = narrow
        plt.close(drawn)
    else:
        shown = {"text/html": drawn.data, "text/plain": repr(drawn)}
    _display(shown if data is None else shown | {CSV: as_csv(data)}, records)


def table(content: pd.DataFrame, caption: str, records: Iterable[Path]) -> None:
    """Show a table of texts, such as those of :mod:`resnet_study.figures.tables`, with its source.

    ``caption`` says in a few words what is in it.
    """
    html = tables.show(content, caption).data
    _display({"text/html": html, "text/plain": caption, CSV: as_csv(content)}, records)


def linked_table(content: pd.DataFrame, caption: str, records: Iterable[Path]) -> None:
    """The same of texts in Markdown, which may have links to other pages."""
    text = f"```{{table}} {caption}\n:class: sentences\n\n{words.markdown(content)}\n```"
    _display({"text/markdown": text, "text/plain": caption, CSV: as_csv(content)}, records)


def numbers(records: Iterable[Path]) -> None:
    """Say, at the end of a cell that glues numbers, which files they were computed from."""
    _display({"text/plain": "Source of the numbers above."}, records)


def _display(shown: dict, records: Iterable[Path]) -> None:
    from IPython.display import display  # there in a notebook; a training does without it

    display(shown | {SOURCE: describe(records)}, raw=True)


def ends(runs: pd.DataFrame) -> pd.DataFrame:
    """What figures of final errors show of :func:`resnet_study.pipeline.frames.load_runs`, with
    seals."""
    labels = ["recipe", "family", "depth", "gate_kernel", "gate_bias", "rate", "fraction", "seed"]
    return runs[[*labels, "training_error", "validation_error", "sha256"]]


def as_csv(data: Data) -> str:
    """``data`` as CSV with six significant digits; tables by titles get a column ``title``."""
    if isinstance(data, dict):
        data = pd.concat(data, names=["title"]).reset_index("title")
    return data.to_csv(index=False, float_format="%.6g", lineterminator="\n")


def describe(records: Iterable[Path]) -> dict:
    """What a notebook keeps of its source: ``files`` by folder, their ``checksum``, ``commits``.

    Folders are relative to the repository. Commits, of those that made the files, are short.
    """
    files = sorted({Path(path) for path in records})
    by_folder = {}
    for path in files:
        by_folder.setdefault(_folder(path), []).append(path.name)
    commits = {commit for _, commit in map(seal_and_commit, files) if commit}
    return {"files": by_folder, "checksum": checksum(files), "commits": sorted(commits)}


def _folder(path: Path) -> str:
    """The folder of a file as seen from workspace or study; elsewhere its last two names."""
    folder = path.resolve().parent
    for root in (paths.ROOT, paths.STUDY):
        if folder.is_relative_to(root):
            return folder.relative_to(root).as_posix()
    return f"{folder.parent.name}/{folder.name}"


def checksum(files: Iterable[Path]) -> str:
    """First ten digits of the SHA-256 over the sorted seals of ``files``, one a line."""
    seals = sorted(seal_and_commit(path)[0] for path in files)
    return hashlib.sha256("".join(f"{seal}\n" for seal in seals).encode()).hexdigest()[:10]


@cache  # a notebook draws many figures from the same records
def seal_and_commit(path: Path) -> tuple[str, str]:
    """The seal of a record, or the SHA-256 of a file without one; and the commit that made it.

    See :func:`short`.

    Raises:
        RecordError: if the record is missing or damaged.
    """
    if path.suffix != ".json":
        return hashlib.sha256(path.read_bytes()).hexdigest(), ""
    record = read_record(path)
    kind = schemas.kind_of(record)
    provenance = read_record(path, kind).get("provenance", {}) if kind else {}
    return record["sha256"], short(provenance.get("commit"))


def short(commit: str | None) -> str:
    """``be9d8b1`` or ``be9d8b1+modified``; empty if the commit is not known."""
    name, *modified = (commit or "").split("+")
    return "+".join([name[:7], *modified])


SCRIPT = "vega.js"


def interactive_figure(chart, name: str, caption: str, alt: str):
    """``chart``, an Altair chart, as HTML for a notebook in a folder beside ``_static``.

    ``name`` is the element's id, ``caption`` stands below, and ``alt`` is read aloud instead.
    """
    from IPython.display import HTML  # there in a notebook; a training does without it

    # "<" could end the script that the description stands in.
    spec = json.dumps(chart.to_dict(), sort_keys=True).replace("<", "\\u003c")
    return HTML(
        f'<figure class="interactive" id="{name}">'
        f'<div class="chart" id="{name}-chart" aria-label="{escape(alt)}"></div>'
        f"<figcaption><p>{escape(caption)}</p></figcaption></figure>"
        f'<script src="../_static/{SCRIPT}"></script>'
        f'<script>vegaEmbed("#{name}-chart", {spec}, {{actions: false, renderer: "svg"}})</script>'
    )
