import importlib
import inspect
import re
import shutil
import sys
from urllib.parse import unquote, urlsplit

import api_pages
import click
import pytest
from bs4 import BeautifulSoup
from checks import figure_faults, machine_paths, number_faults, table_faults
from conftest import build_book, small_book

from resnet_study import paths
from resnet_study.reproduction import BOOK_OPTIONS

pytestmark = pytest.mark.slow

# Neither a DOI nor an arXiv id nor a repository: a blog post and a technical report.
NO_NUMBER = (  # neither arXiv nor a DOI
    "cui2019resnet",
    "krizhevsky2009learning",
    "hochreiter1991untersuchungen",
    "bengio1994learning",
    "glorot2010understanding",
    "monti2018avoiding",
)


def _strict(options):
    return {"-n", "-W", "--keep-going"} <= set(options)


def test_the_book_is_built_strictly_everywhere():
    assert _strict(BOOK_OPTIONS)
    makefile = (paths.ROOT / "Makefile").read_text()
    commands = re.findall(r"jupyter-book build (.*)", makefile)
    assert commands
    assert all(_strict(command.split()) for command in commands)


def test_the_book_builds_without_a_warning(built):
    status, said, html = built
    assert status == 0, said[-5000:]
    assert (html / "index.html").is_file()
    assert "WARNING" not in said


def test_the_book_has_its_chapters(articles):
    assert {"summary", "claims", "fig2", "speed", "reproduce"} <= articles.keys()
    assert {"records", "bibliography"} <= articles.keys()
    assert {"highway", "containment", "data_size", "gates"} <= articles.keys()
    assert {"runs", "status"} <= articles.keys()
    for number in range(1, 10):
        for name in ("summary", "claims"):
            assert f"C{number}" in articles[name].get_text()


def _references(soup):
    """Links, pictures, scripts and style sheets of a page that lie in the book."""
    for tag, attribute in (("a", "href"), ("img", "src"), ("link", "href"), ("script", "src")):
        for element in soup.find_all(tag):
            parts = urlsplit(element.get(attribute) or "")
            if not parts.scheme and not parts.netloc and (parts.path or parts.fragment):
                yield unquote(parts.path), unquote(parts.fragment)


def _broken(html, pages):
    """Number of links within the site ``html``, and those that lead nowhere, as page: link."""
    count, broken = 0, []
    anchors = {
        page.resolve(): {element["id"] for element in soup.find_all(id=True)}
        for page, soup in pages.items()
    }
    for page, soup in pages.items():
        for path, fragment in _references(soup):
            folder = html if path.startswith("/") else page.parent  # as on the 404 page
            target = (folder / path.lstrip("/")).resolve() if path else page.resolve()
            count += 1
            if not target.is_file():
                broken.append(f"{page.name}: {path}")
            elif fragment and target in anchors and {*fragment.split(",")} - anchors[target]:
                broken.append(f"{page.name}: {path}#{fragment}")
    return count, broken


def test_every_internal_link_and_anchor_leads_somewhere(built, pages):
    count, broken = _broken(built[2], pages)
    assert count > 100
    assert broken == []


@pytest.mark.parametrize("check", [figure_faults, table_faults, number_faults])
def test_every_figure_table_and_number_says_what_it_is_and_where_it_comes_from(articles, check):
    assert {name: check(article) for name, article in articles.items() if check(article)} == {}


def test_a_link_that_leads_nowhere_is_found_out(tmp_path):
    path = tmp_path / "page.html"
    path.write_text("<a href='none.html'></a><a href='#none'></a><a href='#one' id='one'></a>")
    pages = {path: BeautifulSoup(path.read_text(), "html.parser")}
    assert _broken(tmp_path, pages) == (3, ["page.html: none.html", "page.html: #none"])


def test_every_notebook_can_be_downloaded_from_the_page_of_all_runs(built, articles):
    links = {a.get_text(): a["href"] for a in articles["runs"].select("#downloads a")}
    for notebook in paths.NOTEBOOKS.glob("*.ipynb"):
        copy = built[2] / "book" / links[notebook.name]
        assert copy.read_bytes() == notebook.read_bytes()


def test_the_pages_have_figures_tables_and_numbers_to_check(articles):
    for selector, fewest in {"figure": 20, ".cell_output table": 20, "a.computed": 200}.items():
        assert sum(len(article.select(selector)) for article in articles.values()) >= fewest


def test_what_a_page_offers_to_take_away_is_there_and_can_be_read(built, articles):
    html, taken = built[2], set()
    for article in articles.values():
        for link in article.select(".source a[download]"):
            taken.add(html / "notebooks" / link["href"])  # every page lies in a folder of the site
    for path in taken:
        content = path.read_text()
        if path.suffix == ".csv":
            assert len(content.splitlines()) >= 2, path
        elif path.suffix == ".svg":
            assert "</svg>" in content, path
        assert machine_paths(content) == [], path
    assert {path.suffix for path in taken} == {".csv", ".svg", ".ipynb"}


def test_no_two_figures_have_the_same_number(articles):
    numbers = [
        re.match(r"Figure \d+", caption.get_text().strip()).group()
        for article in articles.values()
        for caption in article.select("figure:not(.interactive) figcaption")
    ]
    assert len(numbers) >= 3
    assert len(set(numbers)) == len(numbers)


def test_numbers_from_notebooks_arrive_in_the_text(articles):
    glued = {
        name: [span.get_text().strip() for span in article.find_all("span", class_="pasted-text")]
        for name, article in articles.items()
    }
    chapters = ("fig2", "highway", "containment", "data_size", "gates")
    for name in ("summary", *chapters, "reproduce", "records"):
        assert glued[name], name
    for values in glued.values():
        for value in values:
            assert value
            assert value not in ("None", "nan", "''")
            assert not value.startswith("'")
    for name, article in articles.items():
        assert "{glue:" not in article.get_text(), name
        assert not article.find_all(class_=["problematic", "system-message"]), name


def test_every_entry_of_the_bibliography_is_cited_and_shows_its_number(articles):
    source = (paths.ROOT / "book" / "references.bib").read_text()
    entries = re.findall(r"^@\w+\{(.+),\n((?:.+\n)+?)\}", source, re.MULTILINE)
    assert len(entries) == source.count("@") >= 15
    text = str(articles["bibliography"])  # a link to a repository is shown shortened
    assert len(articles["bibliography"].select("div.citation")) == len(entries)  # of those cited
    for name, entry in entries:
        number = re.search(r"(?:eprint|doi) *= *\{(.+?)\}", entry)
        repository = re.search(r"\\url\{(https://github.com/.+?)\}", entry)
        if name not in NO_NUMBER:
            found = number or repository
            assert found and found[1] in text, name


def test_no_page_shows_an_error_of_a_cell_or_a_failed_reference(articles):
    for name, article in articles.items():
        text = article.get_text()
        assert "Traceback (most recent call last)" not in text, name
        assert not re.search(r"\{(numref|cite|cite:t|ref|doc)\}", text), name


def test_every_public_name_of_the_library_is_on_an_api_page(pages):
    api = [soup for page, soup in pages.items() if page.parent.name == "api"]
    described = {element["id"] for soup in api for element in soup.select("dt.sig[id]")}
    names = []
    for module in api_pages.modules():
        code = importlib.import_module(module)
        defined = [
            name
            for name, thing in vars(code).items()
            if getattr(thing, "__module__", None) == module and callable(thing)
            if not isinstance(thing, click.Command)  # on the page by its options
        ]
        names += [f"{module}.{name}" for name in defined if not name.startswith("_")]
        names += [f"{module}.{name}" for name in api_pages.constants(inspect.getsource(code))]
    assert len(names) > 300
    assert sorted(set(names) - described) == []


def test_comments_of_constants_and_fields_are_on_the_api_pages(articles):
    text = " ".join(articles["models"].get_text().split())
    assert "How signals are kept in bounds: batch normalisation; the same" in text
    assert "3: the kernel of H, Srivastava et al. 2015; 1: He et al. 2016." in text


def test_no_page_names_a_folder_of_this_machine(pages):
    folders = (str(paths.ROOT), sys.prefix)
    naming = [page.name for page, soup in pages.items() if any(f in str(soup) for f in folders)]
    assert naming == []


def test_code_in_the_text_is_the_librarys(articles):
    shown = [block.get_text() for block in articles["block"].select(".literal-block-wrapper pre")]
    assert len(shown) >= 4
    for code in shown:
        lines = [line.strip() for line in code.strip().splitlines()]
        files = [path.read_text() for path in (paths.ROOT / "resnet_study").rglob("*.py")]
        assert any(all(line in file for line in lines) for file in files), code


def test_theorem_and_equations_are_numbered_and_referred_to(articles):
    containment = articles["containment"]
    assert "Theorem 1 (Containment)" in " ".join(containment.get_text().split())
    assert containment.select("div.proof") and containment.select("a[href*='thm-containment']")
    numbers = [
        number.get_text() for article in articles.values() for number in article.select("span.eqno")
    ]
    assert len(numbers) >= 10
    assert len(set(numbers)) == len(numbers)


# What stands in a text: what the build says of it.
FAULTS = {
    "{glue:text}`../notebooks/fig2.ipynb::no_such_number:d`": "no_such_number",
    "[a page](no-such-page.md)": "no-such-page.md",
    "{cite}`nobody1900nothing`": "nobody1900nothing",
    "{py:func}`resnet_study.models.networks.no_such_function`": "no_such_function",
    "{eq}`no-such-equation`": "no-such-equation",
    "{prf:ref}`no-such-theorem`": "no-such-theorem",
}


def test_each_fault_in_the_text_is_told_and_stops_the_build(tmp_path):
    folder = small_book(tmp_path / "sources")
    for name in ("fig2.ipynb", "fig2.py"):
        shutil.copy(paths.NOTEBOOKS / name, folder / "notebooks")
    with (folder / "book" / "first.md").open("a") as page:
        page.write("\n" + "\n\n".join(FAULTS) + "\n")
    status, said = build_book(folder)
    assert status != 0
    warnings = [line for line in said.splitlines() if "WARNING" in line or "ERROR" in line]
    for fault, name in FAULTS.items():
        assert any(name in line for line in warnings), fault
