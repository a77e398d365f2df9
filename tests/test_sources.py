import json

import matplotlib.pyplot as plt
import nbformat
import pandas as pd
import pytest
import source_lines
import yaml
from bs4 import BeautifulSoup
from checks import (
    figure_faults,
    machine_paths,
    number_faults,
    prose,
    table_faults,
    typed_numbers,
)
from sphinx.application import Sphinx

from resnet_study import paths
from resnet_study.figures import sources, style
from resnet_study.pipeline.benchmarks import find_results
from resnet_study.pipeline.measurements import MEASUREMENTS
from resnet_study.pipeline.records import find_records, read_record, write_record
from resnet_study.questions.experiments import EXPERIMENTS, parse_seeds
from resnet_study.questions.paper import CURVES

# A registration stands before its runs: it has no result of theirs, and its text is sealed.
REGISTRATION = paths.ROOT / "book" / "registration.md"
PAGES = sorted({*paths.NOTEBOOKS.glob("*.py"), *REGISTRATION.parent.glob("*.md")} - {REGISTRATION})
ALLOWED = yaml.safe_load((paths.ROOT / "tests" / "typed_numbers.yml").read_text())


# What a cell hands over


@pytest.fixture
def shown(monkeypatch):
    """What a cell displays: a list of MIME bundles."""
    bundles = []
    style.use_style()
    monkeypatch.setattr("IPython.display.display", lambda bundle, raw: bundles.append(bundle))
    return bundles


def _draw():
    figure, axes = plt.subplots()
    axes.plot([1, 2], [3, 4])
    return figure


DATA = pd.DataFrame({"seed": [0, 1], "error": [1 / 3, float("nan")]})


def test_a_figure_comes_with_its_data_and_its_source(shown, tiny_record):
    figure = _draw()
    sources.figure(figure, DATA, [tiny_record])
    (bundle,) = shown
    assert "</svg>" in bundle["image/svg+xml"]
    assert bundle[sources.CSV] == "seed,error\n0,0.333333\n1,\n"
    assert bundle[sources.SOURCE] == sources.describe([tiny_record])
    assert not plt.fignum_exists(figure.number)  # else it would be shown twice


def test_a_figure_is_the_same_every_time(shown, tiny_record):
    for _ in range(2):
        sources.figure(_draw(), DATA, [tiny_record])
    first, second = shown
    assert {**first, "text/plain": ""} == {**second, "text/plain": ""}


def test_a_drawing_without_data_has_a_source_all_the_same(shown):
    sources.figure(_draw())
    assert sources.CSV not in shown[0]
    assert shown[0][sources.SOURCE]["files"] == {}


def test_several_tables_are_told_apart_by_their_titles():
    text = sources.as_csv({"ours": DATA, "theirs": DATA.head(1)})
    assert text.splitlines() == [
        "title,seed,error", "ours,0,0.333333", "ours,1,", "theirs,0,0.333333"
    ]  # fmt: skip


def test_a_table_has_a_caption_and_its_source(shown, tiny_record):
    sources.table(DATA, "Errors < 50 %", [tiny_record])
    (bundle,) = shown
    assert BeautifulSoup(bundle["text/html"], "html.parser").caption.get_text() == "Errors < 50 %"
    assert bundle[sources.CSV].startswith("seed,error\n")
    assert sources.SOURCE in bundle


def test_numbers_have_a_source(shown, tiny_record):
    sources.numbers([tiny_record])
    assert shown[0][sources.SOURCE] == sources.describe([tiny_record])


def test_files_are_named_as_seen_from_the_repository_and_once():
    records = find_records()[:3]
    described = sources.describe([*records, str(records[0]), CURVES])
    assert described["files"] == {
        "data/paper": [CURVES.name],
        "data/runs/digits": [path.name for path in records],
    }
    assert described["commits"] == sorted(
        {read_record(path)["provenance"]["commit"][:7] for path in records}
    )


def test_a_file_of_another_place_is_named_without_it(tiny_record):
    described = sources.describe([tiny_record])
    assert described["files"] == {"runs/digits": [tiny_record.name]}
    assert str(tiny_record.parents[2]) not in json.dumps(described)


def test_the_checksum_is_that_of_the_seals_in_any_order(tiny_record, tmp_path):
    records = find_records()[:3]
    assert sources.checksum(records) == sources.checksum(records[::-1])
    assert sources.checksum(records) != sources.checksum(records[:2])
    other = tmp_path / "other.json"
    content = read_record(tiny_record)
    write_record(other, content | {"seconds": 0})
    assert sources.checksum([other]) != sources.checksum([tiny_record])


# The commands that make the files again


def test_every_committed_file_but_those_of_others_has_a_command():
    by_folder = {}
    for path in [*find_records(), *paths.MEASUREMENTS.glob("*.json"), *find_results()]:
        folder = path.parent.relative_to(paths.ROOT).as_posix()
        by_folder.setdefault(folder, []).append(path.name)
    for folder, names in by_folder.items():
        commands = list(source_lines.redo({folder: names}))
        made = set().union(*map(_made_by, commands))
        assert set(names) <= made, folder
    for folder in source_lines.OTHERS:
        names = [path.name for path in (paths.ROOT / folder).glob("*.csv")]
        assert names and list(source_lines.redo({folder: names})) == []


def _made_by(command):
    """Names of the files that a command writes."""
    words = command.split()
    if words[:2] == ["make", "benchmark"]:
        return {path.name for path in find_results()}
    if words[:2] == ["resnet-study", "measure"]:
        return {MEASUREMENTS[name].path().name for name in words[3:]}
    options = dict(zip(words[2::2], words[3::2], strict=True))
    assert words[:2] == ["resnet-study", "run"]
    assert options["--runs-dir"] == "again"  # in data/runs they are there already
    experiment = EXPERIMENTS[options["--experiment"]]
    runs = experiment.runs(options["--recipe"], parse_seeds(options["--seeds"]))
    return {run.record_path().name for run in runs}


def test_one_experiment_is_named_where_one_is_enough_and_no_more_seeds_than_needed():
    names = [path.name for path in EXPERIMENTS["fig2"].records(seeds=(0, 2))]
    assert list(source_lines.redo({"data/runs/digits": names})) == [
        "resnet-study run --experiment fig2 --recipe digits --seeds 0,2 --runs-dir again"
    ]


def test_records_of_a_reproduction_are_made_by_reproducing():
    files = {"_build/reproduction/runs/digits": ["plain-18-seed-0.json"]}
    assert list(source_lines.redo(files)) == ["make reproduce"]
    (folder, names), *_ = files.items()
    assert source_lines.called(folder, names) == "1 record of digits in _build/reproduction/runs"


# The book's own lines and links, on a book of two pages


GLUE = """from myst_nb import glue
glue("answer", 42, display=False)
glue("half", 0.5, display=False)"""
TEXT = """# Text

There are {glue:text}`notes.ipynb::answer:d`, or **{glue:text}`notes.ipynb::half:.2f`**.

| net | error |
|---|---|
| ours | {glue:text}`notes.ipynb::half:.1f` |
"""


def _glued(name, value):
    data = {"application/papermill.record/text/plain": repr(value)}
    scrapbook = {"name": name, "mime_prefix": "application/papermill.record/"}
    return nbformat.v4.new_output("display_data", data, metadata={"scrapbook": scrapbook})


def _source(records, **shown):
    data = {"text/plain": "…", **shown, sources.SOURCE: sources.describe(records)}
    return nbformat.v4.new_output("display_data", data)


@pytest.fixture
def book(tmp_path):
    """Builds a book of a notebook and a page; returns what was warned of, and both as HTML.

    ``tag`` and ``source`` are those of the cell that glues.
    """
    records = find_records()[:2]
    usual = _source(records)

    def build(tag="hide-cell", source=usual):
        cells = [
            nbformat.v4.new_markdown_cell("# Notes\n\nHere it is {glue:text}`answer:d`."),
            nbformat.v4.new_code_cell(
                GLUE,
                execution_count=1,
                outputs=[_glued("answer", 42), _glued("half", 0.5), *([source] if source else [])],
                metadata={"tags": [tag]},
            ),
            nbformat.v4.new_code_cell(
                "draw()",
                execution_count=2,
                outputs=[_source(records, **{"text/csv": "x,y\n1,2\n", "image/svg+xml": SVG})],
                metadata={"mystnb": FIGURE},
            ),
            nbformat.v4.new_code_cell(
                "tell()",
                execution_count=3,
                outputs=[_source(records, **{"text/csv": "x\n1\n", "text/html": TABLE})],
            ),
        ]
        pages = tmp_path / "pages"
        (pages / "in").mkdir(parents=True)
        kernel = {
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}
        }
        nbformat.write(
            nbformat.v4.new_notebook(cells=cells, metadata=kernel), pages / "in" / "notes.ipynb"
        )
        (pages / "in" / "text.md").write_text(TEXT)
        (pages / "index.md").write_text("# Book\n\n```{toctree}\nin/notes\nin/text\n```\n")
        warnings = (tmp_path / "warnings").open("w+")
        settings = {
            "extensions": ["source_lines"],
            "nb_execution_mode": "off",
            "numfig": True,
            "numfig_format": {"figure": "Figure %s"},
        }
        app = Sphinx(
            pages, None, tmp_path / "html", tmp_path / "trees", "html", settings,
            status=None, warning=warnings,
        )  # fmt: skip
        app.build()
        warnings.seek(0)
        found = {
            name: BeautifulSoup(
                (tmp_path / "html" / "in" / f"{name}.html").read_text(), "html.parser"
            )
            for name in ("notes", "text")
        }
        return warnings.read(), found["notes"], found["text"]

    return build


SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"></svg>'
TABLE = "<table><caption>All of them, in short</caption><tr><td>1</td></tr></table>"
FIGURE = {
    "figure": {"name": "fig-one", "caption": "One of them, drawn for everyone to see and to take."},
    "image": {"alt": "A square without anything in it."},
}


def test_figures_tables_and_numbers_get_lines_and_links(book, tmp_path):
    warned, notes, text = book()
    assert warned == ""
    for page in (notes, text):
        assert (figure_faults(page), table_faults(page), number_faults(page)) == ([], [], [])
    assert notes.select_one("a.computed")["href"] == "#cell-1"
    assert {link["href"] for link in text.select("a.computed")} == {"notes.html#cell-1"}
    assert notes.find(id="cell-1").select_one("details")
    assert "42" in text.select_one("a.computed").get_text()
    checksum = sources.checksum(find_records()[:2])
    for line in (*notes.select(".source"), *text.select(".source")):
        assert f"notes.ipynb · 2 records of digits · checksum {checksum}" in line.summary.get_text()
        assert "resnet-study run --experiment" in line.get_text()
    downloads = tmp_path / "html" / "downloads"
    assert (downloads / "fig-one.csv").read_text() == "x,y\n1,2\n"
    assert (downloads / "fig-one.svg").read_text() == SVG
    assert (downloads / "text-numbers.csv").read_text() == "net,error\nours,0.5\n"
    listed = pd.read_csv(downloads / f"records-{checksum}.csv")
    assert [paths.ROOT / file for file in listed.file] == find_records()[:2]


def test_a_number_of_a_cell_that_is_not_shown_is_a_fault(book):
    warned, _, text = book(tag="remove-cell")
    assert "in/notes::answer is glued in a cell that its page does not show" in warned
    assert number_faults(text)


def test_a_number_of_a_cell_without_a_source_is_a_fault(book):
    warned, _, text = book(source=None)
    assert "in/notes::answer is glued in a cell without a source" in warned
    assert number_faults(text) and table_faults(text)


def test_a_notebook_executed_on_other_records_is_a_fault(book):
    stale = _source(find_records()[:2])
    stale.data[sources.SOURCE]["checksum"] = "0123456789"
    warned, *_ = book(source=stale)
    assert "in/notes is drawn from other records than these" in warned


# The checks find what they are for


def _page(**changes):
    """A page with a figure, a table and a number, as the book has them, but for ``changes``."""
    parts = {
        "alt": "Two panels of the error against depth.",
        "caption": "Figure 1: Errors of plain nets and of residual nets.",
        "line": '<div class="source"><details><summary>Source: fig2.ipynb</summary></details>'
        '<a href="fig2.csv">CSV</a><a href="fig2.ipynb">notebook</a></div>',
        "title": "<caption>Final errors on the digits</caption>",
        "href": "fig2.html#cell-3",
    } | changes
    return BeautifulSoup(
        """<h1>Page</h1><p><a href="{href}"><span class="pasted-text">1.5</span></a></p>
        <div class="cell_output"><figure><img src="1.svg" alt="{alt}">
        <figcaption>{caption}</figcaption></figure>{line}</div>
        <div class="cell_output"><table>{title}<tr><td>1</td></tr></table>{line}</div>""".format(
            **parts
        ),
        "html.parser",
    )


def test_a_chart_without_text_or_caption_is_found():
    chart = '<figure class="interactive"><div class="chart" aria-label="{}"></div>{}</figure>'
    caption = "<figcaption>Choose a net; the line is its gradient.</figcaption>"
    for text, below in (("", caption), ("Gradients of one net by layer.", "")):
        page = BeautifulSoup(chart.format(text, below), "html.parser")
        assert figure_faults(page) == ["no text or caption: None"]


def test_a_page_without_a_fault_passes():
    page = _page()
    assert (figure_faults(page), table_faults(page), number_faults(page)) == ([], [], [])


@pytest.mark.parametrize(
    ("change", "check", "fault"),
    [
        ({"alt": ""}, figure_faults, "no alternative text"),
        ({"alt": "_images/0123456789abcdef.svg"}, figure_faults, "no alternative text"),
        ({"caption": ""}, figure_faults, "no numbered caption"),
        ({"caption": "Errors of plain nets and of residual nets."}, figure_faults, "no numbered"),
        ({"line": ""}, figure_faults, "no source"),
        ({"line": ""}, table_faults, "no source"),
        ({"title": ""}, table_faults, "no caption"),
        ({"href": "fig2.html"}, number_faults, "1.5"),
    ],
)
def test_a_planted_fault_of_a_page_is_found(change, check, fault):
    (found,) = check(_page(**change))
    assert fault in found


@pytest.mark.parametrize(
    "text",
    [
        "Plain-34 ends at 47.13 in the mean.",
        "Plain-34 ends 40 points above.",
        "It fails in 12 % of the trainings, or 12% of them.",
        "One training takes 3 minutes.",
        "It is 2 × as fast.",
    ],
)
def test_a_typed_in_result_is_found(text):
    assert typed_numbers(text, [])
    assert typed_numbers(f"{text} 95 % interval", ["95 % interval"])


def test_a_number_inside_of_an_allowed_text_passes_there_alone():
    allowed = ["their ResNet has 6.61 %"]
    assert typed_numbers("On CIFAR-10 their ResNet has 6.61 %.", allowed) == []
    assert typed_numbers("On digits our ResNet has 6.61 %.", allowed)


def test_roles_code_mathematics_and_names_are_no_results(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "See Fig. 2, {glue:text}`gap:.2f` points, `rate=0.1`, $1.21^l$, [page](v1.5.md), 34 layers."
        "\n\n```\n0.5 %\n```\n\n$$ 0.71 $$\n"
    )
    assert typed_numbers(prose(page), []) == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_no_result_is_typed_in(path):
    allowed = [entry["text"] for entry in ALLOWED if entry["page"] in (path.stem, "every")]
    assert typed_numbers(prose(path), allowed) == []


def test_every_number_that_may_be_typed_stands_there_for_a_reason():
    texts = {path.stem: prose(path) for path in PAGES}
    for entry in ALLOWED:
        assert entry.keys() == {"page", "text", "why"}, entry
        where = texts.values() if entry["page"] == "every" else [texts[entry["page"]]]
        assert any(entry["text"] in text for text in where), entry
        assert typed_numbers(entry["text"], []), entry  # one that needs no leave


@pytest.mark.parametrize(
    "text", ["read /srv/anyone/data.csv", '"/srv/x/"', "file:///srv/x/y", f"at{paths.ROOT}/data"]
)
def test_a_path_of_a_machine_is_found(text):
    assert machine_paths(text)


def test_other_slashes_are_no_paths_of_a_machine():
    text = (
        "images/s, ../book/runs.md, http://www.w3.org/2000/svg, data/runs/digits, text/html, </g>"
    )
    assert machine_paths(text) == []
