"""Source lines: where each figure, table and number of the book comes from, as a Sphinx extension.

Takes what notebooks carry of :mod:`resnet_study.figures.sources` and puts a line below each figure
and table, with downloads of data and picture; and makes each glued number a link to the cell that
computed it. A number whose cell is not on its page or names no source is a warning, and so are
files other than those that a notebook was executed on; a warning stops the build.
"""

import csv
import io
import json
import posixpath
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import quote

from docutils import nodes
from markupsafe import Markup
from myst_nb.ext.glue.roles import PasteTextRole
from sphinx.util import logging

from resnet_study import paths
from resnet_study.figures.sources import CSV, NARROW, SOURCE, checksum, seal_and_commit, short
from resnet_study.pipeline import provenance
from resnet_study.questions.experiments import EXPERIMENTS

LOG = logging.getLogger(__name__)
CELLS = "cells"  # key of a page's code cells in its metadata
DOWNLOADS = "downloads"  # folder of the site
MOST_OVERLAID = 60  # curves that can still be told apart, or most of them
FEW = 3  # commits that a line names; more are counted
OTHERS = {  # folders of what others measured, in words
    "data/paper": "curves of the paper",
    "data/literature": "published trainings",
}


@dataclass
class Cell:
    """A code cell: the numbers that it glues, their source, and a line for each of its outputs."""

    anchor: str
    glued: list[str]
    source: dict | None  # as sources.describe has it
    lines: list[Markup]  # empty for an output without a source
    narrow: Markup = Markup()  # the picture as a phone shows it
    on_page: bool = False


# Reading a page


def take_sources(app, docname: str, content: list[str]) -> None:
    """Keep what cells say of their sources, and leave MyST-NB the outputs that it knows."""
    if not str(app.env.doc2path(docname)).endswith(".ipynb"):
        return
    notebook, page = json.loads(content[0]), Page(app, docname)
    code = [pair for pair in enumerate(notebook["cells"]) if pair[1]["cell_type"] == "code"]
    app.env.metadata[docname][CELLS] = {
        index: _take(cell, f"cell-{number}", page) for number, (index, cell) in enumerate(code, 1)
    }
    content[0] = json.dumps(notebook)


def _take(cell: dict, anchor: str, page: "Page") -> Cell:
    name = cell["metadata"].get("mystnb", {}).get("figure", {}).get("name")
    taken, sources = Cell(anchor, glued=[], source=None, lines=[]), []
    for output in cell["outputs"]:
        if output["output_type"] not in ("display_data", "execute_result"):
            continue
        data, scrapbook = output["data"], output["metadata"].get("scrapbook", {})
        if scrapbook:
            taken.glued.append(scrapbook["name"])
        if scrapbook.get("mime_prefix"):
            continue  # it is glued and not shown
        source, table = data.pop(SOURCE, None), _text(data.pop(CSV, ""))
        narrow = _text(data.pop(NARROW, ""))
        taken.lines.append(Markup())
        if source:
            sources.append(source)
            downloads = page.write(name, table, _text(data.get("image/svg+xml", "")))
            taken.lines[-1] = page.line(source, [page.docname], downloads)
        if narrow:
            alt = cell["metadata"].get("mystnb", {}).get("image", {}).get("alt", "")
            taken.narrow = page.narrow(f"{name or page.stem}-narrow.svg", narrow, alt)
    taken.source = merge(sources) if sources else None
    return taken


def _text(value: str | list[str]) -> str:
    """A text of a notebook, which may keep it as a list of lines."""
    return "".join(value)


def place_lines(app, doctree: nodes.document) -> None:
    """Give each code cell of a page its anchor, and its outputs their lines."""
    cells = app.env.metadata[app.env.docname].get(CELLS, {})
    for container in list(doctree.findall(_is("cell_code"))):
        cell = cells[container["cell_index"]]
        cell.on_page = True
        container["ids"].append(cell.anchor)
        if cell.glued and "prompt_show" in container:
            container["prompt_show"] = "How these numbers are computed"
            container["prompt_hide"] = "Hide the code"
        shown = [
            node
            for outputs in container.findall(_is("cell_code_output"))
            for node in outputs
            if isinstance(node, nodes.figure) or _is("mime_bundle")(node)
        ]
        for image in container.findall(nodes.image) if cell.narrow else ():
            _insert_after(image, cell.narrow)
            image["classes"].append("wide")
        for node, line in zip(shown, cell.lines, strict=True) if shown else ():
            if line:
                _insert_after(node, line)
            if line and _says_only_text(node):
                node.parent.remove(node)  # the line is for the numbers of the cell


def _is(element: str):
    """Whether a node is this element of a notebook."""
    return lambda node: isinstance(node, nodes.container) and node.get("nb_element") == element


def _says_only_text(output: nodes.Element) -> bool:
    return [child.get("mime_type") for child in output] == ["text/plain"]


def _insert_after(node: nodes.Node, html: Markup) -> None:
    node.parent.insert(node.parent.index(node) + 1, nodes.raw("", str(html), format="html"))


class LinkedNumber(PasteTextRole):
    """The role of glued texts, which here remembers page and key of its number."""

    def run(self):
        """The number, with the page and the key that it was glued under."""
        found, messages = super().run()
        place, _, key = self.text.rpartition("::")
        env = self.document.settings.env
        page = env.path2doc(env.relfn2path(place, env.docname)[1]) if place else env.docname
        return [nodes.inline("", "", *found, origin=(page, key.partition(":")[0]))], messages


# Resolving, when all pages are read


def link_numbers(app, doctree: nodes.document, docname: str) -> None:
    """Make numbers links to their cells, and put lines below the tables that are made of them."""
    page = Page(app, docname)
    for table in list(doctree.findall(nodes.table)):
        cells = [_cell_of(app, number) for number in _numbers(table)]
        sources = [cell.source for cell in cells if cell and cell.source]
        if sources:
            downloads = page.write(f"{page.stem}-numbers", _table_as_csv(table))
            origins = sorted({number["origin"][0] for number in _numbers(table)})
            _insert_after(table, page.line(merge(sources), origins, downloads))
    for number in _numbers(doctree):
        cell = _cell_of(app, number)
        if cell and cell.on_page and cell.source:
            target = f"{page.link_to(number['origin'][0])}#{cell.anchor}"
            link = nodes.reference("", "", *number.children, internal=True, refuri=target)
            link["classes"].append("computed")
            number.replace_self(link)
        elif cell:
            fault = "without a source" if cell.on_page else "that its page does not show"
            LOG.warning("%s::%s is glued in a cell %s", *number["origin"], fault)


def _numbers(tree: nodes.Node) -> list[nodes.inline]:
    return [node for node in tree.findall(nodes.inline) if "origin" in node]


def _cell_of(app, number: nodes.inline) -> Cell | None:
    """The cell that glues ``number``; None if there is none, of which MyST-NB has warned."""
    page, key = number["origin"]
    cells = app.env.metadata[page].get(CELLS, {}).values()
    return next((cell for cell in cells if key in cell.glued), None)


def _table_as_csv(table: nodes.table) -> str:
    return _as_csv([entry.astext() for entry in row] for row in table.findall(nodes.row))


def _as_csv(rows: Iterable[Iterable[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def merge(sources: Iterable[dict]) -> dict:
    """The source of what is made from all of ``sources``."""
    files, checksums, commits = {}, set(), set()
    for source in sources:
        checksums.add(source["checksum"])
        commits.update(source["commits"])
        for folder, names in source["files"].items():
            files[folder] = sorted({*files.get(folder, ()), *names})
    one = checksums.pop() if len(checksums) == 1 else checksum_here(files)
    return {"files": files, "checksum": one, "commits": sorted(commits)}


# Writing


def checksum_here(files: dict[str, list[str]]) -> str | None:
    """Checksum of ``files`` (names by folder) as they are now; None if one is not here."""
    found = _locate(files)
    return checksum(found) if all(path.is_file() for path in found) else None


def _locate(files: dict[str, list[str]]) -> list[Path]:
    return [paths.ROOT / folder / name for folder, names in files.items() for name in names]


class Page:
    """A page of the site: writes its downloads, and the lines that link to them."""

    def __init__(self, app, docname: str):
        self.app, self.docname = app, docname
        self.stem = posixpath.basename(docname)
        self.names = Counter()

    def link_to(self, docname: str) -> str:
        """The address of a page from this one; empty for itself."""
        if docname == self.docname:
            return ""
        return self._relative(self.app.builder.get_target_uri(docname))

    def _relative(self, path: str) -> str:
        return posixpath.relpath(path, posixpath.dirname(self.docname) or ".")

    def write(self, name: str | None, table: str, picture: str = "") -> dict[str, str]:
        """Write a table as CSV and a picture as SVG; returns addresses by title.

        Both are called ``name``, or after the page, and get a number if that is taken.
        """
        name = name or f"{self.stem}-{'figure' if picture else 'table'}"
        self.names[name] += bool(table or picture)
        name = name if self.names[name] == 1 else f"{name}-{self.names[name]}"
        contents = {"CSV": (f"{name}.csv", table), "SVG": (f"{name}.svg", picture)}
        return {
            title: self._write(file, content)
            for title, (file, content) in contents.items()
            if content
        }

    def _write(self, name: str, content: str) -> str:
        path = Path(self.app.outdir) / DOWNLOADS / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        return self._relative(f"{DOWNLOADS}/{name}")

    def narrow(self, name: str, picture: str, alt: str) -> Markup:
        """Write a picture for phones; returns it as HTML, which no wider screen loads."""
        html = '<img class="narrow" loading="lazy" alt="{}" src="{}"/>'
        return Markup(html).format(alt, quote(self._write(name, picture)))

    def line(self, source: dict, origins: list[str], downloads: dict[str, str]) -> Markup:
        """The line for what the notebooks ``origins`` made from ``source``."""
        files = source["files"]
        inside = all((paths.ROOT / folder).is_dir() for folder in files)
        if inside and checksum_here(files) != source["checksum"]:
            LOG.warning("%s is drawn from other records than these: make notebooks", self.docname)
        notebooks = [f"{posixpath.basename(origin)}.ipynb" for origin in origins]
        several = len(notebooks) > 1
        parts = [f"{len(notebooks)} notebooks" if several else notebooks[0]]
        parts += [called(folder, names) for folder, names in files.items()]
        parts += [] if files else ["nothing but its code"]
        parts += [f"checksum {source['checksum']}"] if files and source["checksum"] else []
        parts += [_made_at(source["commits"])] if source["commits"] else []
        links = self._overlay(files)
        links += [_download(address, title) for title, address in downloads.items()]
        links += [
            _download(self._relative(f"_sources/notebooks/{name}"), name if several else "notebook")
            for name in notebooks
        ]
        return Markup(
            '<div class="source"><details><summary>Source: {}</summary>{}</details>'
            '<p class="take-away">{}</p></div>'
        ).format(" · ".join(parts), self._details(source, origins), Markup(" · ").join(links))

    def _overlay(self, files: dict[str, list[str]]) -> list[Markup]:
        """The link to all runs with the curves of ``files`` over each other; none for too many."""
        runs = [
            f"{posixpath.basename(folder)}/{posixpath.splitext(name)[0]}"
            for folder, names in files.items()
            if posixpath.dirname(folder) == "data/runs"
            for name in names
        ]
        if not 0 < len(runs) <= MOST_OVERLAID:
            return []
        address = f"{self.link_to('book/runs')}#{','.join(runs)}"
        return [Markup('<a href="{}">runs</a>').format(address)]

    def _details(self, source: dict, origins: list[str]) -> Markup:
        """What does not fit in the line: commands, files, all commits."""
        files = source["files"]
        steps = {"To draw it again": [_execution(origin) for origin in origins]}
        steps["To make the records again"] = list(redo(files))
        told = [
            Markup("<p>{}:</p><pre>{}</pre>").format(title, "\n".join(commands))
            for title, commands in steps.items()
            if commands
        ]
        if files and (found := checksum_here(files)):
            listed = self._write(f"records-{found}.csv", _list(files))
            told.append(
                Markup(
                    "<p>{}, with seals and commits. The checksum is the first ten digits of the "
                    "SHA-256 over the sorted seals.</p>"
                ).format(_download(listed, "List of the files"))
            )
        commits = {"records": ", ".join(source["commits"]), "book": _built_at()}
        named = "; ".join(f"{what} {commit}" for what, commit in commits.items() if commit)
        told.append(Markup("<p>Commits: {}.</p>").format(named or "not known"))
        return Markup().join(told)


def _made_at(commits: list[str]) -> str:
    return f"made at {', '.join(commits) if len(commits) <= FEW else f'{len(commits)} commits'}"


def _download(address: str, title: str) -> Markup:
    link = Markup('<a href="{}" download title="{}">{}</a>')
    return link.format(quote(address), posixpath.basename(address), title)


def called(folder: str, names: list[str]) -> str:
    """``20 records of digits``: what files of a folder are, in words."""
    parent, recipe = posixpath.split(folder)
    several = "" if len(names) == 1 else "s"
    if folder in OTHERS:
        return OTHERS[folder]
    if parent == "data":
        return f"{len(names)} {recipe.removesuffix('s')}{several}"
    where = "" if parent == "data/runs" else f" in {parent}"
    return f"{len(names)} record{several} of {recipe}{where}"


def _list(files: dict[str, list[str]]) -> str:
    """Files with seals and commits, as CSV."""
    rows = [
        (path.relative_to(paths.ROOT).as_posix(), *seal_and_commit(path)) for path in _locate(files)
    ]
    return _as_csv([("file", "seal", "commit"), *rows])


@cache
def _built_at() -> str:
    return short(provenance.commit())


def _execution(docname: str) -> str:
    stem = posixpath.basename(docname)
    files = shlex.join([f"notebooks/{stem}.ipynb", f"{stem}.ipynb"])
    return f"resnet-study execute {files}"


def redo(files: dict[str, list[str]]) -> Iterator[str]:
    """The commands that make ``files`` again, names by folder; what others measured has none."""
    if any(folder.startswith("_build/reproduction/") for folder in files):
        yield "make reproduce"
    for folder, names in files.items():
        if folder.startswith("data/runs/"):
            yield from _trainings(posixpath.basename(folder), set(names))
        elif folder == "data/measurements":
            yield f"resnet-study measure --overwrite {shlex.join(Path(n).stem for n in names)}"
        elif folder == "data/benchmarks":
            yield "make benchmark DATA_DIR=FOLDER"


def _trainings(recipe: str, names: set[str]) -> Iterator[str]:
    """The fewest experiments that train all of ``names``, into a folder of their own."""
    while names:
        experiment, seeds, covered = max(
            (
                (name, {files[file] for file in files.keys() & names}, files.keys() & names)
                for name, files in declared(recipe).items()
            ),
            key=lambda choice: len(choice[2]),
        )
        if not covered:
            return
        chosen = ",".join(map(str, sorted(seeds)))
        yield (
            f"resnet-study run --experiment {experiment} --recipe {recipe} --seeds {chosen} "
            "--runs-dir again"
        )
        names = names - covered


@cache
def declared(recipe: str) -> dict[str, dict[str, int]]:
    """Experiments with a recipe, the smallest first: names of record files, with their seeds."""
    found = {
        name: {run.record_path().name: run.seed for run in experiment.runs(recipe)}
        for name, experiment in EXPERIMENTS.items()
        if recipe in experiment.grids
    }
    return dict(sorted(found.items(), key=lambda pair: len(pair[1])))


def setup(app) -> dict:
    """What Sphinx calls; see ``extra_extensions`` in ``_config.yml``."""
    app.setup_extension("myst_nb")
    app.add_role_to_domain("glue", "text", LinkedNumber(), override=True)
    app.connect("source-read", take_sources)
    app.connect("doctree-read", place_lines)
    app.connect("doctree-resolved", link_numbers)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
