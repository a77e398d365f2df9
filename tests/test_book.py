import importlib
import inspect
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from bs4 import BeautifulSoup

from resnet_study import api_pages, paths
from resnet_study.reproduction import BOOK_OPTIONS

# Neither a DOI nor an arXiv id: two blog posts and a technical report.
NO_NUMBER = ("cui2019resnet", "srivastava2025comparison", "krizhevsky2009learning")
SOURCES = ("_config.yml", "_toc.yml", "book", "notebooks", "resnet_study")


def _copy_sources(folder):
    folder.mkdir()
    for name in SOURCES:
        source = paths.ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns(".*", "__pycache__")
            shutil.copytree(source, folder / name, ignore=ignored)
        else:
            shutil.copy(source, folder)
    return folder


def _build(folder):
    done = subprocess.run(
        [Path(sys.executable).with_name("jupyter-book"), "build", *BOOK_OPTIONS, folder],
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Exit status and messages of the build, and the folder of its pages."""
    folder = _copy_sources(tmp_path_factory.mktemp("book") / "sources")
    return *_build(folder), folder / "_build" / "html"


@pytest.fixture(scope="module")
def pages(built):
    """Path of every page to its parsed content; the theme's templates are none."""
    html = built[2]
    found = [page for page in html.rglob("*.html") if "_static" not in page.parts]
    return {page: BeautifulSoup(page.read_text(), "html.parser") for page in found}


@pytest.fixture(scope="module")
def articles(pages):
    """Name of every page to what its authors wrote on it."""
    return {
        page.stem: article
        for page, soup in pages.items()
        if (article := soup.find("article", class_="bd-article"))
    }


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
    assert {"preface", "fig2", "speed", "reproduce", "records", "bibliography"} <= articles.keys()
    assert {"highway", "containment", "data_size", "gates"} <= articles.keys()
    for number in range(1, 10):
        assert f"C{number}" in articles["preface"].get_text()


def _references(soup):
    """Links, pictures, scripts and style sheets of a page that lie in the book."""
    for tag, attribute in (("a", "href"), ("img", "src"), ("link", "href"), ("script", "src")):
        for element in soup.find_all(tag):
            parts = urlsplit(element.get(attribute) or "")
            if not parts.scheme and not parts.netloc and (parts.path or parts.fragment):
                yield unquote(parts.path), unquote(parts.fragment)


def test_every_internal_link_and_anchor_leads_somewhere(pages):
    checked, broken = 0, []
    anchors = {
        page.resolve(): {element["id"] for element in soup.find_all(id=True)}
        for page, soup in pages.items()
    }
    for page, soup in pages.items():
        for path, fragment in _references(soup):
            target = (page.parent / path).resolve() if path else page.resolve()
            checked += 1
            if not target.is_file():
                broken.append(f"{page.name}: {path}")
            elif fragment and target in anchors and fragment not in anchors[target]:
                broken.append(f"{page.name}: {path}#{fragment}")
    assert checked > 100
    assert broken == []


def test_every_picture_has_a_text_for_those_who_do_not_see_it(articles):
    pictures = [(name, image) for name, a in articles.items() for image in a.find_all("img")]
    assert len(pictures) >= 3
    for name, image in pictures:
        alt = image.get("alt", "").strip()
        assert len(alt) > 20, (name, image)
        assert "_images/" not in alt  # what Sphinx writes where there is none


def test_every_picture_stands_in_a_numbered_figure_with_a_caption(articles):
    for name, article in articles.items():
        for image in article.find_all("img"):
            figure = image.find_parent("figure")
            assert figure is not None, (name, image)
            caption = figure.find("figcaption").get_text().strip()
            assert re.match(r"Figure \d+\W", caption), (name, caption)
            assert len(caption) > 30, (name, caption)


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
    for name in ("preface", *chapters, "reproduce", "records"):
        assert glued[name], name
    for values in glued.values():
        for value in values:
            assert value
            assert value not in ("None", "nan", "''")
            assert not value.startswith("'")
    for name, article in articles.items():
        assert "glue:" not in article.get_text(), name
        assert not article.find_all(class_=["problematic", "system-message"]), name


def test_every_entry_of_the_bibliography_is_cited_and_shows_its_number(articles):
    source = (paths.ROOT / "book" / "references.bib").read_text()
    entries = re.findall(r"^@\w+\{(.+),\n((?:.+\n)+?)\}", source, re.MULTILINE)
    assert len(entries) == source.count("@") >= 15
    text = articles["bibliography"].get_text()
    assert len(articles["bibliography"].select("div.citation")) == len(entries)  # of those cited
    for name, entry in entries:
        number = re.search(r"(?:eprint|doi) *= *\{(.+?)\}", entry)
        if name not in NO_NUMBER:
            assert number and number[1] in text, name


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
        files = [path.read_text() for path in (paths.ROOT / "resnet_study").glob("*.py")]
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
    "{py:func}`resnet_study.models.no_such_function`": "no_such_function",
    "{eq}`no-such-equation`": "no-such-equation",
    "{prf:ref}`no-such-theorem`": "no-such-theorem",
}


def test_each_fault_in_the_text_is_told_and_stops_the_build(tmp_path):
    folder = _copy_sources(tmp_path / "sources")
    with (folder / "book" / "preface.md").open("a") as page:
        page.write("\n" + "\n\n".join(FAULTS) + "\n")
    status, said = _build(folder)
    assert status != 0
    warnings = [line for line in said.splitlines() if "WARNING" in line or "ERROR" in line]
    for fault, name in FAULTS.items():
        assert any(name in line for line in warnings), fault
