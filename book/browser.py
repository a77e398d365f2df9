"""A headless browser, and a folder served to it: to print the book, and to check its pages."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from resnet_study.errors import InputError

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OPTIONS = [
    "--no-sandbox",  # which containers forbid; it opens our own pages only
    "--font-render-hinting=none",  # letters as wide on the screen as on paper
]


def find() -> str | None:
    """Path of the first browser on the PATH, or none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def opened() -> Iterator:
    """A Playwright browser, closed afterwards.

    Raises:
        InputError: if no browser is installed.
    """
    program = find()
    if program is None:
        raise InputError(f"no browser is installed: {NAMES[0]} is needed, or {NAMES[2]}")
    from playwright.sync_api import sync_playwright  # for the book; a training does without it

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=OPTIONS)
        try:
            yield browser
        finally:
            browser.close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Address, ending in a slash, at which this machine can read the files of ``folder``."""
    server = ThreadingHTTPServer(("localhost", 0), partial(_Quiet, directory=str(folder)))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://localhost:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
