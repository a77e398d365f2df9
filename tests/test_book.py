import re
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup
from conftest import build_book, copy_book

from resnet_study import paths
from resnet_study.reproduction import BOOK_OPTIONS


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
    assert {
        "summary",
        "claims",
        "fig2",
        "speed",
        "reproduce",
        "records",
        "bibliography",
    } <= articles.keys()
    assert {"highway", "containment", "data_size", "gates"} <= articles.keys()
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
            elif fragment and target in anchors and fragment not in anchors[target]:
                broken.append(f"{page.name}: {path}#{fragment}")
    return count, broken


def test_every_internal_link_and_anchor_leads_somewhere(built, pages):
    count, broken = _broken(built[2], pages)
    assert count > 100
    assert broken == []


def test_a_link_that_leads_nowhere_is_found_out(tmp_path):
    path = tmp_path / "page.html"
    path.write_text("<a href='none.html'></a><a href='#none'></a><a href='#one' id='one'></a>")
    pages = {path: BeautifulSoup(path.read_text(), "html.parser")}
    assert _broken(tmp_path, pages) == (3, ["page.html: none.html", "page.html: #none"])


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
    for name in ("summary", *chapters, "reproduce", "records"):
        assert glued[name], name
    for values in glued.values():
        for value in values:
            assert value
            assert value not in ("None", "nan", "''")
            assert not value.startswith("'")
    for name, article in articles.items():
        assert "glue:" not in article.get_text(), name
        assert not article.find_all(class_=["problematic", "system-message"]), name


def test_no_page_shows_an_error_of_a_cell_or_a_failed_reference(articles):
    for name, article in articles.items():
        text = article.get_text()
        assert "Traceback (most recent call last)" not in text, name
        assert not re.search(r"\{(numref|cite|cite:t|ref|doc)\}", text), name


def test_faults_in_the_text_stop_the_build(tmp_path):
    faults = {
        "no_such_number": "{glue:text}`../notebooks/fig2.ipynb::no_such_number:d`",
        "no-such-page": "[a page](no-such-page.md)",
        "nobody1900nothing": "{cite}`nobody1900nothing`",
    }
    folder = copy_book(tmp_path / "sources")
    with (folder / "book" / "records.md").open("a") as page:
        page.writelines(f"\n{fault}\n" for fault in faults.values())
    status, said = build_book(folder)
    assert status != 0
    for name in faults:
        assert re.search(f"(WARNING|ERROR).*{name}", said), name
