"""A build after a change shows what a build of everything would."""

import json
from types import SimpleNamespace

import pytest
import rebuilding
from conftest import build_book, small_book

from resnet_study.reproduction import BOOK_OPTIONS

pytestmark = pytest.mark.slow

AGAIN = [option for option in BOOK_OPTIONS if option != "--all"]


def test_a_change_reaches_other_pages_and_a_fault_stays_one(tmp_path):
    folder = small_book(tmp_path / "book")
    for link in (".#first.md", "lost.md", "_static/.#runs.js", "_static/lost.svg"):
        (folder / "book" / link).symlink_to("someone@somewhere.12345")  # an editor's lock, or lost
    first = folder / "_build" / "html" / "book" / "first.html"
    notebook = folder / "notebooks" / "second.ipynb"
    status, said = build_book(folder, AGAIN)
    assert status == 0, said[-3000:]
    assert "Second page" in first.read_text()
    content = json.loads(notebook.read_text())
    content["cells"][0]["source"] = "# Another title\n\n[a page](no-such-page.md)"
    notebook.write_text(json.dumps(content))
    for _ in range(2):  # the second time, nothing has changed
        status, said = build_book(folder, AGAIN)
        assert status != 0
        assert "no-such-page" in said
    assert "Another title" in first.read_text()


class Page(str):
    def astext(self):
        return str(self)


@pytest.fixture
def changed(tmp_path):
    """A book in which the notebook "two" is read again: its environment, and the application."""
    sources = {"one": "{glue:text}`two.ipynb::number:d`", "two": "# Two", "three": "# Three"}
    for name, source in sources.items():
        (tmp_path / f"{name}.ipynb").write_text(source)
    env = SimpleNamespace(
        found_docs=set(sources),
        titles={name: Page(name) for name in sources},
        domaindata={
            "std": {"labels": {}, "anonlabels": {}},
            "math": {"objects": {}},
            "cite": {"citations": []},
        },
        doc2path=lambda name: tmp_path / f"{name}.ipynb",
    )
    app = SimpleNamespace()
    rebuilding.remember_names(app, env, ["two"])
    return app, env


def test_pages_that_name_a_changed_one_are_written_again(changed):
    assert rebuilding.write_again(*changed) == ["one"]


@pytest.mark.parametrize(
    "change",
    [
        lambda env: env.titles.update(two=Page("Second")),
        lambda env: env.domaindata["std"]["labels"].update(fig=("two", "fig", "Figure")),
        lambda env: env.domaindata["math"]["objects"].update(equation=("two", 2)),
        lambda env: env.domaindata["cite"]["citations"].append(
            SimpleNamespace(key="he2015", formatted_entry=SimpleNamespace(label="HZRS15a"))
        ),
    ],
    ids=["title", "label", "equation", "citation"],
)
def test_all_pages_are_written_again_when_they_may_name_something_anew(changed, change):
    app, env = changed
    change(env)
    assert rebuilding.write_again(app, env) == ["one", "three", "two"]


def test_all_pages_are_read_again_when_a_record_or_the_library_changed(changed, tmp_path):
    app, env = changed
    app.srcdir = tmp_path
    (tmp_path / "book" / "_templates").mkdir(parents=True)
    assert rebuilding.read_again(app, env, set(), set(), set()) == ["one", "three", "two"]
    assert rebuilding.read_again(app, env, set(), set(), set()) == []
    (tmp_path / "book" / "_templates" / ".runs.html.swp").write_text("An editor's copy")
    (tmp_path / "book" / "_templates" / ".#runs.html").symlink_to("someone@somewhere.12345")
    assert rebuilding.read_again(app, env, set(), set(), set()) == []
    (tmp_path / "book" / "_templates" / "runs.html").write_text("A table")
    assert rebuilding.read_again(app, env, set(), set(), set()) == ["one", "three", "two"]
