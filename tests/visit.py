"""A visit to one page in a browser, on which all is seen that the tests of the site ask for."""

import gzip
from collections.abc import Sequence
from dataclasses import dataclass, field

from axe_playwright_python.sync_playwright import Axe

GRAVE = ("serious", "critical")  # impacts of axe-core
AXE = Axe().axe_script
COLOURS = {"runOnly": ["color-contrast"]}  # by far the slowest rule
NOT_COLOURS = {"rules": {"color-contrast": {"enabled": False}}}
# Axe cannot tell a contrast on a gradient: the shadows of tables that scroll are taken off for it.
NO_SHADOWS = """.bd-article :is(.pst-scrollable-table-container, .output) {
  background-image: none !important;
}"""
# Coloured as what is around or above them.
ALIKE = ("math", "tbody tr:nth-child(n+4)", "li:nth-child(n+4)", "dl.py ~ dl.py")
COMPRESSED = ("text/", "javascript", "json", "svg")  # what hosts compress
DESK = {"width": 1280, "height": 900}
PATIENCE = 60_000  # milliseconds; for a busy machine
PHONE = {"width": 390, "height": 844}
BARE_FORMULAE = """[...document.querySelectorAll('.math')].filter(
  (formula) => !formula.querySelector('math')?.getBoundingClientRect().width
).map((formula) => formula.textContent)"""
TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"

# Boxes of a page that show a part of what they hold, and have to be scrolled sideways.
CUT_OFF = """[...document.querySelectorAll('.bd-article *')].filter((box) =>
  ['auto', 'scroll'].includes(getComputedStyle(box).overflowX)
  && box.clientWidth && box.scrollWidth > box.clientWidth + 1
  && !box.matches('pre, code, .math')
).map((box) => `${box.tagName} ${box.className} ${box.id}: ${box.scrollWidth}`)"""


@dataclass
class Visit:
    """What was seen of one page."""

    complaints: list[str] = field(default_factory=list)  # errors in the console and of scripts
    outside: list[str] = field(default_factory=list)  # requests that left the site; were blocked
    missing: list[str] = field(default_factory=list)  # requests that the site could not answer
    transferred: int = 0  # bytes, of a first visit, with text compressed as hosts do
    formulae: int = 0
    bare_formulae: list[str] = field(default_factory=list)  # not typeset, or in error
    violations: dict[str, list[str]] = field(default_factory=dict)  # of accessibility, by theme
    too_wide: int = 0  # pixels by which a phone would scroll sideways
    cut_off: dict[str, list[str]] = field(default_factory=dict)  # boxes, by desk and phone


def visit(browser, site: str, name: str) -> Visit:
    """Open the page ``name`` of the site at address ``site`` once, and look at everything."""
    seen, responses = Visit(), []
    context = browser.new_context(viewport=DESK, color_scheme="light", reduced_motion="reduce")

    def stay_inside(route):
        if route.request.url.startswith(site):
            route.continue_()
        else:
            seen.outside.append(route.request.url)
            route.abort()

    context.route("**/*", stay_inside)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.on("response", lambda response: responses.append(response))
    page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    page.on(
        "console",
        lambda message: message.type == "error" and seen.complaints.append(message.text),
    )
    page.goto(site + name, wait_until="load")
    page.add_style_tag(content=NO_SHADOWS)
    page.evaluate(AXE)
    seen.violations["light"] = _violations(page, NOT_COLOURS) + _violations(page, COLOURS, ALIKE)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    seen.violations["dark"] = _violations(page, COLOURS, ALIKE)  # all that depends on the theme
    seen.cut_off["desk"] = page.evaluate(CUT_OFF)
    page.set_viewport_size(PHONE)
    seen.cut_off["phone"] = page.evaluate(CUT_OFF)
    seen.too_wide = page.evaluate(TOO_WIDE)
    seen.formulae = page.locator(".math").count()
    seen.bare_formulae = page.evaluate(BARE_FORMULAE)
    for response in responses:
        if response.status >= 400:
            seen.missing.append(response.url)
        seen.transferred += _transferred(response)
    context.close()
    return seen


def _violations(page, rules: dict, exclude: Sequence[str] = ()) -> list[str]:
    """Grave violations of some of axe-core's rules, but for what ``exclude`` selects."""
    options = rules | {
        "resultTypes": ["violations"],
        "preload": False,  # style sheets, which it would look for at wrong addresses
    }
    context = {"exclude": [[selector] for selector in exclude]}
    found = page.evaluate(
        "async (given) => (await axe.run(...given)).violations", [context, options]
    )
    return [
        f"{rule['id']}: {node['target']} {node['html'][:200]}"
        for rule in found
        if rule["impact"] in GRAVE
        for node in rule["nodes"]
    ]


def _transferred(response) -> int:
    """Size of a response in bytes, as a host sends it."""
    body = response.body() if response.ok else b""
    kind = response.headers.get("content-type", "")
    return len(gzip.compress(body)) if any(text in kind for text in COMPRESSED) else len(body)
