import re
from collections import Counter
from io import BytesIO
from math import hypot

import browser
import printing
import pytest
from bs4 import BeautifulSoup
from pypdf import PdfReader

from resnet_study.errors import InputError

pytestmark = pytest.mark.slow

POINTS = 72 / 25.4  # to a millimetre
WIDTH, MARGIN = 210 * POINTS, 18 * POINTS  # of a page
STORY = printing.VOLUMES[0]

needs_browser = pytest.mark.skipif(
    browser.find() is None, reason="no browser is installed: apt-get install chromium"
)


def page(article, menu="", head=""):
    """A page of a site as small as a page can be."""
    return (
        f'<html><head>{head}</head><body><nav class="bd-links">{menu}</nav>'
        '<div class="dropdown-download-buttons"><ul><li>this page</li> </ul></div>'
        f'<article class="bd-article">{article}</article></body></html>'
    )


@pytest.fixture
def small_site(tmp_path):
    """Two pages in two folders that link to each other and have an id in common."""
    (tmp_path / "book").mkdir()
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "index.html").write_text('<a href="book/one.html">One</a>')
    menu = (
        '<a class="internal" href="#">One</a><p class="caption">Part</p>'
        '<a class="internal" href="../notebooks/two.html">Two</a>'
    )
    (tmp_path / "book" / "one.html").write_text(
        page(
            '<h1>One<a class="headerlink">#</a></h1><h2 id="same">Same</h2>'
            '<a href="../notebooks/two.html">two</a><a href="../notebooks/two.html#same">in two</a>'
            '<a href="#same">here</a><a href="https://example.org/">elsewhere</a>'
            '<a href="../_downloads/file">file</a><p class="screen-only">Click here.</p>',
            menu,
            '<link rel="stylesheet" href="../_static/study.css">',
        )
    )
    (tmp_path / "notebooks" / "two.html").write_text(
        page('<h1>Two</h1><h2 id="same">Same</h2><img src="../_images/two.svg" alt="Two">')
    )
    return tmp_path


def test_chapters_come_in_the_order_of_the_menu_with_their_parts(small_site):
    found = printing.chapters(small_site)
    assert [(c.path, c.title, c.part) for c in found] == [
        ("book/one.html", "One", None),
        ("notebooks/two.html", "Two", "Part"),
    ]


def test_the_volumes_are_all_of_the_book_and_each_ends_with_the_references(built):
    book = printing.chapters(built[2])
    volumes = [
        [chapter.path for chapter in printing.chapters_of(volume, book)]
        for volume in printing.VOLUMES
    ]
    assert {volume.pop() for volume in volumes} == {printing.REFERENCES}
    own = [path for volume in volumes for path in volume]
    assert sorted([*own, printing.REFERENCES]) == sorted(chapter.path for chapter in book)
    assert volumes[0][0] == "notebooks/summary.html"


def test_joined_pages_keep_links_and_tell_equal_names_apart(small_site):
    joined = BeautifulSoup(printing.join(printing.chapters(small_site), "A title"), "html.parser")
    links = {link.get_text(): link.get("href") for link in joined.select("section a")}
    names = [element["id"] for element in joined.find_all(id=True)]
    assert len(names) == len(set(names))
    assert links["elsewhere"] == "https://example.org/"
    assert links["file"] is None  # a PDF has no files beside it
    for text, place in (("two", "Two"), ("in two", "Same"), ("here", "Same")):
        assert joined.find(id=links[text][1:]).get_text().startswith(place)
    assert joined.find(id=links["in two"][1:]).find_next("img")["src"] == "_images/two.svg"
    assert joined.find("link")["href"] == "_static/study.css"
    assert "Click here." not in joined.get_text()


def test_every_page_offers_the_volumes_in_its_menu_of_downloads(small_site):
    for _ in range(2):  # printed twice, it is offered once
        printing.link_from_pages(small_site)
    for path, address in (("book/one.html", "../"), ("notebooks/two.html", "../")):
        soup = BeautifulSoup((small_site / path).read_text(), "html.parser")
        entries = soup.select(".dropdown-download-buttons ul > li")
        names = [f"the {volume.name}, .pdf" for volume in printing.VOLUMES]
        assert [entry.get_text() for entry in entries] == ["this page", *names]
        links = [entry.find("a")["href"] for entry in entries[1:]]
        assert links == [f"{address}{volume.file}" for volume in printing.VOLUMES]
    assert ".pdf" not in (small_site / "index.html").read_text()


def test_without_a_book_one_line_says_so(tmp_path):
    with pytest.raises(InputError, match="there is no book yet: make book"):
        printing.make_pdfs(tmp_path)


def test_without_a_browser_one_line_says_so(small_site, monkeypatch):
    monkeypatch.setenv("PATH", str(small_site))
    with pytest.raises(InputError, match="no browser is installed: chromium is needed"):
        printing.make_pdfs(small_site)
    assert not list(small_site.glob("*.pdf"))


@pytest.fixture(scope="module")
def printed(built):
    """The story on paper; the other volumes are printed by the same code."""
    pdf = printing.print_volume(STORY, printing.chapters(built[2]), built[2])
    return PdfReader(BytesIO(pdf))


@pytest.fixture(scope="module")
def words(printed):
    """What stands on each page, piece by piece: distance from the left edge, size, text."""
    found = []
    for page in printed.pages:
        found.append([])

        def look(text, user_matrix, text_matrix, font, size, pieces=found[-1]):
            x = user_matrix[0] * text_matrix[4] + user_matrix[4]
            height = size * hypot(*user_matrix[2:4]) * hypot(*text_matrix[2:4])
            pieces.append((x, height, re.sub(r"\s", "", text)))

        page.extract_text(visitor_text=look)
    return found


@pytest.fixture(scope="module")
def texts(words):
    """What stands on each page, without spaces, which are not told apart well from gaps."""
    return ["".join(text for *_, text in page) for page in words]


@needs_browser
def test_the_pdf_has_title_outline_and_page_numbers(built, printed, texts):
    book = printing.chapters(built[2])
    book = printing.chapters_of(STORY, book)
    outline = [entry for entry in printed.outline if not isinstance(entry, list)]
    assert [entry.title for entry in outline] == ["Contents", *(c.title for c in book)]
    assert printed.metadata.title == book[0].title
    assert texts[0].startswith(re.sub(r"\s", "", book[0].title))
    assert [n for n, text in enumerate(texts[1:], start=2) if not text.startswith(str(n))] == []


@needs_browser
def test_the_contents_name_the_page_that_each_chapter_begins_on(built, texts):
    book = printing.chapters_of(STORY, printing.chapters(built[2]))
    titles = [re.sub(r"\s", "", chapter.title) for chapter in book]
    contents = texts[1]
    for title, after in zip(titles, [*titles[1:], ""], strict=True):
        number, _ = re.match(
            rf"(\d+)(\D*?){re.escape(after)}", contents.split(title, 1)[1]
        ).groups()
        assert title in texts[int(number) - 1], title
        contents = contents.split(title, 1)[1]


@needs_browser
def test_figures_have_the_numbers_that_they_have_on_the_site(articles, texts):
    captions = {
        re.match(r"Figure \d+", caption.get_text().strip())
        for name, article in articles.items()
        if name.startswith(("story_", "summary"))
        for caption in article.select("figure:not(.interactive) figcaption")
    }
    numbers = [re.sub(r"\s", "", match.group()) for match in captions if match]
    assert len(numbers) > 4
    paper = "".join(texts)
    assert [number for number in numbers if number not in paper] == []


@needs_browser
def test_nothing_on_paper_runs_over_the_margin(words):
    beyond = [text for page in words for x, _, text in page if text and x > WIDTH - MARGIN]
    assert beyond == []


@needs_browser
def test_the_story_is_set_in_letters_of_ten_and_a_half_points(words):
    letters = Counter()
    for page in words:
        for _, height, text in page:
            letters[round(height, 1)] += len(text)
    assert letters.most_common(1)[0][0] == 10.5
    assert sum(n for height, n in letters.items() if height >= 10.5) > 0.7 * letters.total()
    assert min(height for height, n in letters.items() if n) > 7  # of indices in formulae


@needs_browser
def test_solutions_are_printed(articles, texts):
    hidden = [
        max(solution.find("p").find_all(string=True, recursive=False), key=len)  # no formula
        for article in articles.values()
        for solution in article.select("details.sd-dropdown")
    ]
    paper = "".join(texts)
    assert len(hidden) > 10
    assert [text for text in hidden if re.sub(r"\s", "", text)[:20] not in paper] == []


@needs_browser
def test_folded_code_stays_out_of_print(articles, texts):
    folded = [code for article in articles.values() for code in article.select("details.hide pre")]
    assert folded
    paper = "".join(texts)
    for code in folded:
        lines = [re.sub(r"\s", "", line) for line in code.get_text().splitlines()]
        assert max(lines, key=len) not in paper
