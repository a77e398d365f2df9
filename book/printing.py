"""``make pdf``: the book on paper, story, evidence and library apart, through a browser.

The pages of a volume are joined into one in the order of the menu, so that figures, formulae and
numbers are those of the site, and links lead to pages of the PDF.
"""

import re
import sys
from collections import Counter
from dataclasses import dataclass, replace
from html import escape
from io import BytesIO
from pathlib import Path, PurePosixPath
from posixpath import normpath
from urllib.parse import unquote, urlsplit

import browser
from bs4 import BeautifulSoup
from pypdf import PdfReader
from website import ON_PAPER

from resnet_study import paths
from resnet_study.errors import InputError
from resnet_study.files import write_atomically
from resnet_study.pipeline.provenance import commit

SITE = paths.BUILD / "html"
REFERENCES = "book/bibliography.html"  # closes every volume: each cites
TEXT_WIDTH = 658  # CSS pixels: A4 without the margins of study.css
PATIENCE = 60_000  # milliseconds to wait for figures to be drawn
DRAWN = """async () => {
  const charts = [...document.querySelectorAll('.interactive .chart')];
  while (!charts.every((chart) => chart.querySelector('svg')))
    await new Promise((resolve) => setTimeout(resolve, 50));
}"""
# Tables keep each cell on one line as far as smaller letters allow; below that, cells wrap.
FIT = """() => {
  const fit = (wide) => {
    const room = wide.parentElement.clientWidth;
    return room ? Math.min(1, room / wide.scrollWidth) : 1;
  };
  for (const table of document.querySelectorAll('.bd-article table.dataframe')) {
    table.classList.add('one-line');
    if (fit(table) < 0.7) table.classList.remove('one-line');
  }
  for (const wide of document.querySelectorAll('.bd-article :is(table, math)'))
    if (fit(wide) < 1) wide.style.zoom = fit(wide);
}"""
NUMBER = """(numbers) => document.querySelectorAll('.printed-contents .page-number').forEach(
  (place, index) => { place.textContent = numbers[index]; }
)"""
# The title page has no number, and every chapter a page of its own.
STYLE = """
@page { @bottom-center { content: counter(page); font: 9pt sans-serif; } }
@page :first { @bottom-center { content: none; } }
.printed-title { height: 240mm; display: flex; flex-direction: column; justify-content: center; }
.printed-title img { width: 28mm; margin-bottom: 8mm; }
.printed-title .name { font-size: 30pt; font-weight: 600; line-height: 1.15; }
.bd-article > section.chapter, .printed-contents { break-before: page; }
.one-line :is(th, td) { white-space: nowrap; }
.printed-contents p { display: flex; gap: 1em; margin: 0.1em 0; }
.printed-contents p.part { margin-top: 0.8em; font-weight: 600; }
.printed-contents .page-number { margin-left: auto; font-variant-numeric: tabular-nums; }
"""


@dataclass(frozen=True)
class Volume:
    """What is printed as one: parts of the menu."""

    name: str  # what menus call it
    file: str
    parts: tuple[str | None, ...]  # the first page belongs to none


VOLUMES = (
    Volume("story", "resnet-study.pdf", (None, "The story", "For a class")),
    Volume("evidence", "resnet-study-evidence.pdf", ("The evidence", "Check it")),
    Volume("library", "resnet-study-library.pdf", ("The library",)),
)


@dataclass
class Chapter:
    """A page of the site that stands in the menu."""

    path: str  # such as notebooks/fig2.html
    page: BeautifulSoup
    part: str | None  # title of the part that it belongs to

    @property
    def anchor(self) -> str:
        """What links to the whole page lead to."""
        return "page-" + re.sub(r"\W+", "-", self.path)

    @property
    def article(self):
        """What its authors wrote."""
        return self.page.find("article", class_="bd-article")

    @property
    def title(self) -> str:
        """The first heading, without its link to itself."""
        return self.article.find("h1").get_text().strip().rstrip("#")

    def at(self, address: str) -> str:
        """A relative address on the page, seen from the root of the site."""
        return normpath(str(PurePosixPath(self.path).parent / address))


def _read(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def chapters(site: Path = SITE) -> list[Chapter]:
    """The pages of the book in the order of the menu.

    Raises:
        InputError: if the book is not there.
    """
    entrance = site / "index.html"
    if not entrance.is_file():
        raise InputError("there is no book yet: make book")
    first = Chapter(_read(entrance).find("a")["href"], BeautifulSoup(), None)
    found, part = [], None
    for entry in _read(site / first.path).select("nav.bd-links :is(p.caption, a.internal)"):
        if entry.name == "p":
            part = entry.get_text().strip()
        else:
            path = first.path if entry["href"] == "#" else first.at(entry["href"])
            found.append(Chapter(path, _read(site / path), part))
    return found


def chapters_of(volume: Volume, book: list[Chapter]) -> list[Chapter]:
    """The pages of a volume, the references last."""
    own = [c for c in book if c.part in volume.parts and c.path != REFERENCES]
    return own + [replace(c, part=None) for c in book if c.path == REFERENCES]


def join(book: list[Chapter], title: str) -> str:
    """One page of HTML, for the root of the site: title, contents, these chapters."""
    places = _places(book)
    for chapter in book:
        for folded in chapter.article.select(".screen-only"):
            folded.decompose()
        for solution in chapter.article.select("details.sd-dropdown"):
            solution["open"] = ""
        for element in chapter.article.find_all(id=True):
            element["id"] = places[chapter.path, element["id"]]
        for element in chapter.article.find_all(src=True):
            if not urlsplit(element["src"]).scheme:
                element["src"] = chapter.at(element["src"])
        for link in chapter.article.find_all("a", href=True):
            _turn(link, chapter, places)
    body = "".join(
        f'<section class="chapter" id="{chapter.anchor}">{chapter.article.decode_contents()}'
        "</section>"
        for chapter in book
    )
    return (
        f'<!DOCTYPE html><html lang="en" data-theme="light"><head>{_head(book, title)}</head><body>'
        '<main class="bd-main"><div class="bd-content"><div class="bd-article-container">'
        f'<article class="bd-article">{_title_page(book, title)}{_contents(book)}{body}</article>'
        "</div></div></main></body></html>"
    )


def _places(book: list[Chapter]) -> dict[tuple[str, str], str]:
    """What each id on a page becomes: itself, unless a page before has it, too."""
    times = Counter()
    places = {}
    for chapter in book:
        for name in {element["id"] for element in chapter.article.find_all(id=True)}:
            places[chapter.path, name] = f"{name}-{times[name]}" if times[name] else name
            times[name] += 1
        places[chapter.path, ""] = chapter.anchor
    return places


def _turn(link, chapter: Chapter, places: dict) -> None:
    """Let a link lead to its place in the joined book; a link to another file becomes text."""
    parts = urlsplit(link["href"])
    if parts.scheme:
        return
    path = chapter.at(unquote(parts.path)) if parts.path else chapter.path
    if (path, unquote(parts.fragment)) in places:
        link["href"] = "#" + places[path, unquote(parts.fragment)]
    else:
        del link["href"]


def _head(book: list[Chapter], title: str) -> str:
    """Styles of the first page, and what only paper needs."""
    first = book[0]
    styles = [
        f'<link rel="stylesheet" href="{first.at(link["href"])}">'
        for link in first.page.select("link[rel=stylesheet]")
    ]
    return (
        f'<meta charset="utf-8"><title>{escape(title)}</title>{"".join(styles)}'
        f"<style>{STYLE}</style>"
    )


def _title_page(book: list[Chapter], title: str) -> str:
    first = book[0]
    emblem = first.page.select_one("img.logo__image")
    author = first.page.select_one(".component-author")
    rights = first.page.select_one(".copyright")
    lines = [part.get_text(" ").strip() for part in (author, rights) if part]
    if commit():
        lines.append(f"Commit {commit()[:12]}")
    return (
        '<div class="printed-title">'
        + (f'<img alt="" src="{first.at(emblem["src"])}">' if emblem else "")
        + f'<p class="name">{escape(title)}</p>'
        + "".join(f"<p>{escape(line)}</p>" for line in lines)
        + "</div>"
    )


def _contents(book: list[Chapter]) -> str:
    """Titles of parts and chapters; the numbers of their pages are filled in when known."""
    lines, part = [], None
    for chapter in book:
        if chapter.part != part:
            part = chapter.part
            lines.append(f'<p class="part">{escape(part or "")}</p>')
        lines.append(
            f'<p><a href="#{chapter.anchor}">{escape(chapter.title)}</a>'
            '<span class="page-number">000</span></p>'
        )
    return f'<div class="printed-contents"><h1>Contents</h1>{"".join(lines)}</div>'


def chapter_pages(pdf: bytes) -> list[int]:
    """Numbers of the pages that chapters begin on, from the outline; the contents are none."""
    reader = PdfReader(BytesIO(pdf))
    chapters = [entry for entry in reader.outline if not isinstance(entry, list)]
    return [reader.get_destination_page_number(entry) + 1 for entry in chapters[1:]]


def print_volume(volume: Volume, book: list[Chapter], site: Path = SITE) -> bytes:
    """A volume of the ``book`` in ``site`` as a PDF with outline, contents and page numbers.

    Raises:
        InputError: if no browser is installed.
    """
    title = book[0].title if volume == VOLUMES[0] else f"{book[0].title}: the {volume.name}"
    joined = join(chapters_of(volume, book), title)
    with browser.opened() as opened, browser.served(site) as address:
        page = opened.new_page(
            viewport={"width": TEXT_WIDTH, "height": 1000}, device_scale_factor=2
        )
        page.set_default_timeout(PATIENCE)
        page.emulate_media(media="print")
        page.route(address, lambda route: route.fulfill(body=joined, content_type="text/html"))
        page.goto(address)
        page.evaluate(DRAWN)
        page.evaluate(FIT)

        def printed() -> bytes:
            return page.pdf(
                prefer_css_page_size=True, print_background=True, outline=True, tagged=True
            )

        page.evaluate(NUMBER, chapter_pages(printed()))
        return printed()


def link_from_pages(site: Path = SITE) -> None:
    """Offer the PDFs in the menu of downloads of every page."""
    menu = re.compile(r"(dropdown-download-buttons.*?)(\s*</ul>)", re.DOTALL)
    for path in site.rglob("*.html"):
        up = "../" * (len(path.relative_to(site).parts) - 1)
        entries = "".join(
            '<li class="on-paper">'
            f'<a href="{up}{volume.file}" class="btn btn-sm dropdown-item" title="To print">'
            '<span class="btn__icon-container"><i class="fas fa-book"></i></span>'
            f'<span class="btn__text-container">the {volume.name}, .pdf</span></a></li>'
            for volume in VOLUMES
        )
        text = path.read_text(encoding="utf-8")
        offered = menu.sub(rf"\1{entries}\2", ON_PAPER.sub("", text), count=1)
        if offered != text:
            path.write_text(offered, encoding="utf-8")


def make_pdfs(site: Path = SITE) -> list[Path]:
    """Print the book in ``site``, put the PDFs beside and into it, and link to them.

    Raises:
        InputError: if the book is not there, or no browser is installed.
    """
    printed = {
        volume.file: print_volume(volume, chapters(site), site)  # joining takes pages apart
        for volume in VOLUMES
    }
    for name, pdf in printed.items():
        for folder in (site.parent, site):
            write_atomically(folder / name, pdf)
    link_from_pages(site)
    return [site.parent / name for name in printed]


if __name__ == "__main__":
    try:
        print("the book on paper:", *make_pdfs(), sep="\n")
    except InputError as error:
        sys.exit(str(error))
