"""What several test files share: a small data set, a one-epoch run, the command line, the book."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

# One thread: pytest-xdist uses the cores, and a curve is bit-equal on one thread.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import matplotlib
import pytest
import torch
from bs4 import BeautifulSoup
from filelock import FileLock

from resnet_study import cli, paths
from resnet_study.data.datasets import Images, make_dataset
from resnet_study.pipeline.perform import perform
from resnet_study.pipeline.records import write_record
from resnet_study.pipeline.run import Run
from resnet_study.reproduction import BOOK_OPTIONS
from resnet_study.training.recipes import get_recipe

matplotlib.use("Agg")
# A shell's background job ignores Ctrl-C, and so would every process that a test starts and stops.
signal.signal(signal.SIGINT, signal.default_int_handler)
torch.set_num_threads(1)


def random_images(count, classes=3, seed=0, shape=(1, 8, 8)):
    """Noise in which the label shows as brightness, so that there is something to learn."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % classes
    noise = torch.randint(0, 100, (count, *shape), generator=generator)
    return Images((noise + 50 * labels[:, None, None, None]).to(torch.uint8), labels)


def tracked_files(folder="."):
    """Files below ``folder`` that git tracks; in a copy without git, all but those that are made.

    A user's own records may lie beside the committed ones.
    """
    command = ["git", "-C", paths.ROOT, "ls-files", "-z", "--", folder]
    if (paths.ROOT / ".git").exists():
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        found = [paths.ROOT / name for name in listed.split("\0") if name]
        return [path for path in found if path.is_file()]
    made = {"_build", "downloads", "__pycache__", "resnet_study.egg-info"}
    found = [path for path in (paths.ROOT / folder).rglob("*") if path.is_file()]
    return sorted(
        path
        for path in found
        if not any(
            part in made or (part.startswith(".") and part not in (".ci", ".github"))
            for part in path.relative_to(paths.ROOT).parent.parts
        )
    )


@pytest.fixture
def dataset():
    """50 training and 20 validation images; 50 is no multiple of the batches used."""
    return make_dataset(random_images(50), random_images(20, seed=1))


@pytest.fixture
def tiny_run():
    """A run on digits of a tenth of a second."""
    return Run(get_recipe("digits", epochs=1, width=1), "residual", 8, seed=0)


@pytest.fixture
def tiny_record(tiny_run, tmp_path):
    """The record of ``tiny_run``, in ``tmp_path / "runs"``."""
    return perform(tiny_run, device="cpu", runs_dir=tmp_path / "runs")


def resealed(record, path, **changes):
    """Write a copy of the sealed file ``record`` to ``path``, with changed fields and a new seal.

    A field that is to be away is ``...``.
    """
    content = {**json.loads(record.read_text()), **changes}
    kept = {key: value for key, value in content.items() if value is not ...}
    write_record(path, {key: value for key, value in kept.items() if key != "sha256"})
    return path


@pytest.fixture
def command(monkeypatch, capsys):
    """Call ``resnet-study`` in this process: arguments to (exit status, stdout, stderr)."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["resnet-study", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return stop.value.code or 0, *capsys.readouterr()

    return call


@pytest.fixture
def no_network(monkeypatch):
    """Every download fails, as on a machine without a network."""

    def unreachable(*arguments, **options):
        raise OSError("network is unreachable")

    monkeypatch.setattr("urllib.request.urlopen", unreachable)


def files_below(folder):
    """Everything below ``folder``: path to content."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="session")
def generated_site(tmp_path_factory):
    """The pages that are made from records, and live pieces, without the rest of the book."""
    folder = tmp_path_factory.mktemp("generated")
    pages = folder / "sources" / "book"
    pages.mkdir(parents=True)
    names = ("runs", "status", "try", "objections_live", "film")
    for name in names:
        shutil.copy(paths.ROOT / "book" / f"{name}.md", pages)
    listed = "\n".join(f"book/{name}" for name in names)
    contents = f"# Contents\n\n```{{toctree}}\n{listed}\n```\n"
    (folder / "sources" / "index.md").write_text(contents)
    settings = {
        "extensions": "myst_nb,sphinx_design,runs_page,status_page,live",
        "templates_path": paths.ROOT / "book" / "_templates",
        "html_static_path": paths.ROOT / "book" / "_static",
        "html_css_files": "study.css,live.css",
        "suppress_warnings": "myst.xref_missing,mystnb.glue_ref",  # the rest of the book
    }
    options = [part for key, value in settings.items() for part in ("-D", f"{key}={value}")]
    command = [sys.executable, "-m", "sphinx", "-C", "-q", *options, folder / "sources"]
    ours = os.environ | {"PYTHONPATH": str(paths.ROOT / "book" / "_ext")}
    done = subprocess.run([*command, folder / "html"], capture_output=True, text=True, env=ours)
    assert not done.stderr, done.stderr
    return folder / "html"


def copy_book(folder):
    """Make ``folder``, with all that the book is built from."""
    folder.mkdir()
    for name in ("_config.yml", "_toc.yml", "book", "notebooks", "resnet_study"):
        source = paths.ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns(".*", "__pycache__")
            shutil.copytree(source, folder / name, ignore=ignored)
        else:
            shutil.copy(source, folder)
    return folder


def small_book(folder):
    """Make ``folder``, a book of two pages with all settings of ours; the second is a notebook."""
    copy_book(folder)
    for path in [*folder.glob("notebooks/*"), *folder.glob("book/**/*.md")]:
        path.unlink()
    (folder / "book" / "first.md").write_text("# First page\n\nIts first sentence.\n")
    cell = {"cell_type": "markdown", "id": "a", "metadata": {}, "source": "# Second page"}
    notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (folder / "notebooks" / "second.ipynb").write_text(json.dumps(notebook))
    (folder / "_toc.yml").write_text(
        "format: jb-book\nroot: book/first\nchapters: [{file: notebooks/second}]\n"
    )
    return folder


def build_book(folder, options=BOOK_OPTIONS):
    """Exit status and messages of a build as strict as everywhere; see ``_build/html`` after it."""
    done = subprocess.run(
        [Path(sys.executable).with_name("jupyter-book"), "build", *options, folder],
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """Exit status and messages of the book's one build, and the folder of its pages."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # each worker has a folder of its own within one
        shared = shared.parent
    folder, said = shared / "book", shared / "book.json"
    with FileLock(shared / "book.lock"):
        if not said.is_file():
            said.write_text(json.dumps(build_book(copy_book(folder))))
    return *json.loads(said.read_text()), folder / "_build" / "html"


@pytest.fixture(scope="session")
def pages(built):
    """Path of every page to its parsed content; the theme's templates are none."""
    html = built[2]
    found = [page for page in html.rglob("*.html") if "_static" not in page.parts]
    return {page: BeautifulSoup(page.read_text(), "html.parser") for page in found}


@pytest.fixture(scope="session")
def articles(pages):
    """Name of every page to what its authors wrote on it."""
    return {
        page.stem: article
        for page, soup in pages.items()
        if (article := soup.find("article", class_="bd-article"))
    }
