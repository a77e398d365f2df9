"""What is checked on every page of the book, as functions that return the faults they find."""

import re
from pathlib import Path
from tempfile import gettempdir

import jupytext

from resnet_study import paths

ROLE_CODE_OR_MATHS = re.compile(
    r"```.*?```|\{[a-z:]+\}`[^`]*`|`[^`]*`|\$\$.*?\$\$|\$[^$]*\$|\]\([^)]*\)", re.DOTALL
)
# Decimal fractions, and numbers with a unit that results have; "Fig. 2" and "34 layers" are none.
RESULT = re.compile(
    r"\d[\d,]*\.\d+|\d[\d,]*(?=\s?(?:%|points?\b|seconds?\b|minutes?\b|hours?\b|×(?!\s?\d)|-?fold\b))"
)
# A slash that begins a path: not after a name, as in "images/s", nor the second of "https://".
ABSOLUTE = re.compile(r"(?<![\w.])(?<!:/)/\w[\w.-]*/(?!/)[^\s\"'<>]*")


# The text as it is written


def prose(path: Path) -> str:
    """What a page says outside of roles, code and mathematics, which are …; captions are part."""
    if path.suffix == ".md":
        parts = [path.read_text()]
    else:
        cells = jupytext.read(path).cells
        parts = [cell.source for cell in cells if cell.cell_type == "markdown"]
        for cell in cells:
            shown = cell.metadata.get("mystnb", {})
            parts += [
                shown.get("figure", {}).get("caption", ""),
                shown.get("image", {}).get("alt", ""),
            ]
    return re.sub(r"\s+", " ", ROLE_CODE_OR_MATHS.sub("…", "\n\n".join(parts)))


def typed_numbers(text: str, allowed: list[str]) -> list[str]:
    """Numbers in ``text`` that look like results and stand outside of its ``allowed`` parts."""
    spans = [match.span() for part in allowed for match in re.finditer(re.escape(part), text)]
    return [
        text[max(0, number.start() - 40) : number.end() + 20]
        for number in RESULT.finditer(text)
        if not any(start <= number.start() and number.end() <= end for start, end in spans)
    ]


# What is taken away from a page


def machine_paths(content: str) -> list[str]:
    """Paths of some machine in ``content``: absolute ones, and this machine's wherever they are."""
    here = [place for place in (f"{paths.ROOT}/", f"{gettempdir()}/") if place in content]
    return ABSOLUTE.findall(content) + here


# The page as it is built


def figure_faults(article) -> list[str]:
    """Pictures without text, caption or number, and drawn ones without a source."""
    faults = []
    for image in article.select('img:not([src*="_static/"])'):  # the theme's icons
        alt, figure = image.get("alt", "").strip(), image.find_parent("figure")
        if len(alt) <= 20 or "_images/" in alt:  # what Sphinx writes where there is none
            faults.append(f"no alternative text: {image.get('src')}")
        if figure is None or not _caption(figure, r"Figure \d+\W.{30}"):
            faults.append(f"no numbered caption: {image.get('src')}")
    for chart in article.select("figure.interactive .chart"):
        if len(chart.get("aria-label", "")) <= 20 or not _caption(chart.parent, ".{30}"):
            faults.append(f"no text or caption: {chart.get('id')}")
    for figure in article.select(".cell_output figure"):
        if not _has_source(figure):
            faults.append(f"no source: figure {figure.get('id')}")
    return faults


def _caption(figure, pattern: str) -> bool:
    caption = figure.find("figcaption")
    return caption is not None and re.match(pattern, caption.get_text().strip()) is not None


def table_faults(article) -> list[str]:
    """Tables of results without source, and those that a cell shows without caption."""
    faults = []
    for table in article.find_all("table"):
        shown = table.find_parent(class_="cell_output") is not None
        named = table.find_previous(["h1", "h2"]).get_text()
        if shown and not (table.caption and len(table.caption.get_text()) > 10):
            faults.append(f"no caption: table under {named}")
        if (shown or table.select(".pasted-text")) and not _has_source(table, "CSV"):
            faults.append(f"no source: table under {named}")
    return faults


def _has_source(element, *links: str) -> bool:
    """Whether a source line comes next, with these links and one to a notebook."""
    follower = element.find_next(
        lambda tag: tag.name in ("figure", "table") or "source" in tag.get("class", [])
    )
    if follower is None or "source" not in follower.get("class", []):
        return False
    offered = {link.get_text() for link in follower.select("a")}
    notebooks = [link for link in follower.select("a") if link["href"].endswith(".ipynb")]
    return (
        follower.summary.get_text().startswith("Source: ")
        and notebooks != []
        and {*links} <= offered
    )


def number_faults(article) -> list[str]:
    """Numbers that do not link to where they are computed."""
    return [
        number.get_text()
        for number in article.select(".pasted-text")
        if not re.search(r"#cell-\d+$", (number.find_parent("a") or {}).get("href", ""))
    ]
