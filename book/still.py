"""Draw anew what stands in place of the nets that train in the page, on paper and without scripts.

The page draws it itself: a browser trains the nets of the built book, and what it shows then is
kept as ``book/_templates/live_try_still.html``. Run it after a change of the nets or their charts:
``make book`` and ``PYTHONPATH=book python book/still.py``.
"""

from pathlib import Path

import browser

from resnet_study import paths
from resnet_study.files import write_atomically

STILL = paths.ROOT / "book" / "_templates" / "live_try_still.html"
PAGE = "book/try.html"
WIDTH = 1280
PATIENCE = 120_000  # milliseconds for both nets


def trained(page) -> None:
    """Let an open page train the nets that it begins with."""
    page.locator("#try-guesses button[value=residual]").click()
    page.locator("#try-says", has_text="before the first step").wait_for(timeout=PATIENCE)


def draw(site: Path) -> str:
    """The panels that the page of the site shows after the training, and what it says below."""
    with browser.served(site) as address, browser.opened() as opened:
        page = opened.new_page(viewport={"width": WIDTH, "height": 900})
        page.goto(address + PAGE)
        trained(page)
        return page.evaluate(
            """() => {
              const panels = document.querySelector("#try .live-panels").cloneNode(true);
              panels.querySelectorAll("[id]").forEach((element) => element.removeAttribute("id"));
              const says = document.createElement("p");
              const [errors, , ...gradients] = document.querySelector("#try-says").innerText
                .split("\\n");
              says.textContent = [errors, ...gradients].join(" ");
              return `${panels.outerHTML}\\n${says.outerHTML}\\n`;
            }"""
        )


if __name__ == "__main__":
    write_atomically(STILL, draw(paths.BUILD / "html").encode())
