"""What a record brings into a page stays text: every text in it, and the name of its file."""

from copy import deepcopy
from types import SimpleNamespace

import pandas as pd
import pytest
import runs_page
import source_lines
import status_page
from bs4 import BeautifulSoup
from conftest import resealed
from jinja2 import Environment, FileSystemLoader
from markdown_it import MarkdownIt

from resnet_study import paths
from resnet_study.figures import sources, tables
from resnet_study.pipeline import benchmarks, schemas
from resnet_study.pipeline.frames import load_runs
from resnet_study.pipeline.measurements import MEASUREMENTS
from resnet_study.pipeline.records import RecordError, read_record, write_record
from resnet_study.pipeline.verification import file_faults

pytestmark = pytest.mark.slow

TAG = "<img src=x onerror=alert(1)>"
ATTACKS = [TAG, f'">{TAG}', f"'>{TAG}", f"</script><script>{TAG}", f"`{TAG}`", f"]({TAG})"]
BENCHMARK = benchmarks.find_results()[0]
MEASUREMENT = next(iter(MEASUREMENTS.values())).path()


@pytest.fixture
def unchecked(monkeypatch):
    """Readers that let everything through that is sealed, so that escaping stands alone."""
    monkeypatch.setattr(schemas, "faults", lambda *arguments, **options: iter(()))


def texts(value, place=()):
    """The places of all texts in a file, which its layout and its seal are not."""
    if isinstance(value, str):
        yield place
    elif isinstance(value, dict | list):
        entries = value.items() if isinstance(value, dict) else enumerate(value)
        for key, each in entries:
            if key != "sha256":
                yield from texts(each, (*place, key))


def planted(content, place, text):
    """A copy of ``content`` with ``text`` at ``place``."""
    copied = deepcopy(content)
    *folders, last = place
    inner = copied
    for key in folders:
        inner = inner[key]
    inner[last] = text
    return copied


def assert_harmless(html, *texts):
    """Nothing of a text became a tag or an attribute; ``texts`` can be read."""
    page = BeautifulSoup(html, "html.parser")
    assert not page.find_all("img")
    assert not [tag for tag in page.find_all(True) for name in tag.attrs if name.startswith("on")]
    for text in texts:
        assert text in page.get_text()


def all_runs(records):
    """The template of all runs filled with records by name, as Sphinx fills it."""
    jinja = Environment(loader=FileSystemLoader(paths.ROOT / "book" / "_templates"))
    rows = {name: runs_page.row(name, record) for name, record in records.items()}
    first = next(iter(rows.values()))
    return jinja.get_template("runs.html").render(
        root="../",
        rows=rows,
        classes=dict.fromkeys(first, ""),
        filters={title: sorted(row[title] for row in rows.values()) for title in runs_page.FILTERS},
        metrics={},
        records=runs_page.RECORDS,
        curves=runs_page.CURVES,
    )


def source_line(path, tmp_path):
    """The line below a figure that was drawn of a record."""
    app = SimpleNamespace(outdir=tmp_path / "html")
    page = source_lines.Page(app, "notebooks/page")
    return str(page.line(sources.describe([path]), ["notebooks/page"], {"CSV": "page.csv"}))


def status(kind, record, monkeypatch):
    """All tables of the page of status that show a record."""
    monkeypatch.setattr(
        status_page, "results", lambda: pd.DataFrame([status_page._row(kind, record)])
    )
    return "".join(map(status_page.as_html, ("machines", "commits", "data", "costs")))


@pytest.mark.parametrize("attack", ATTACKS)
def test_every_text_of_a_record_stays_text_on_every_page(
    tiny_record, tmp_path, monkeypatch, unchecked, attack
):
    record = read_record(tiny_record)
    places = list(texts(record))
    assert len(places) > 20
    for place in places:
        told = planted(record, place, attack)
        path = resealed(tiny_record, tmp_path / "changed" / "x.json", **told)
        assert_harmless(source_line(path, tmp_path))
        assert_harmless(status("training", told, monkeypatch))
        assert_harmless(tables.show(load_runs([path])).data)
        try:
            html = all_runs({"digits/x": told})
        except RecordError as error:  # a configuration of no run
            assert str(error).isprintable()
        else:
            assert_harmless(html)


def test_a_commit_and_a_device_can_be_read_as_they_are(
    tiny_record, tmp_path, monkeypatch, unchecked
):
    record = read_record(tiny_record)
    origin = {**record["provenance"], "commit": f"abcdef0+{TAG}"}
    origin["device"] = {**origin["device"], "name": f"a {TAG}"}
    path = resealed(tiny_record, tmp_path / "x.json", provenance=origin)
    assert_harmless(source_line(path, tmp_path), f"abcdef0+{TAG}")
    assert_harmless(all_runs({"digits/x": read_record(path)}), f"a {TAG}")
    assert_harmless(status("training", read_record(path), monkeypatch), f"a {TAG}")


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_name_of_a_file_stays_text(tiny_record, tmp_path, attack):
    name = attack.replace("/", "∕")  # no slash is in a name
    path = resealed(tiny_record, tmp_path / "runs" / "digits" / f"{name}.json")
    assert_harmless(source_line(path, tmp_path))
    assert_harmless(all_runs({f"digits/{name}": read_record(path)}), name)


@pytest.mark.parametrize("attack", ATTACKS)
def test_every_text_of_a_measurement_and_a_benchmark_stays_text(
    tmp_path, monkeypatch, unchecked, attack
):
    for kind, path in (("measurement", MEASUREMENT), ("benchmark", BENCHMARK)):
        content = read_record(path)
        shallow = [place for place in texts(content) if "tables" not in place]
        for place in shallow:
            told = planted(content, place, attack)
            changed = resealed(path, tmp_path / "x.json", **told)
            assert_harmless(source_line(changed, tmp_path))
            assert_harmless(status(kind, told, monkeypatch))
            if kind == "benchmark":
                assert_harmless(MarkdownIt().render(benchmarks.coverage([changed])))


@pytest.mark.parametrize("attack", ATTACKS)
def test_verify_refuses_html_in_every_text_but_the_names_of_machines(tiny_record, tmp_path, attack):
    """A device calls itself as it likes: its name is escaped instead."""
    free = {("device", "name"), ("device", "instructions"), ("device", "driver")}
    free |= {("provenance", "jpeg_decoder")}
    record = read_record(tiny_record)
    for place in texts(record):
        path = tmp_path / "runs" / "digits" / tiny_record.name
        write_record(path, _unsealed(planted(record, place, attack)))
        faults = list(file_faults(path, tmp_path / "runs"))
        assert bool(faults) != (place[-2:] in free), place
        assert all(fault.isprintable() for fault in faults)


def _unsealed(record):
    return {key: value for key, value in record.items() if key not in ("schema", "sha256")}


def test_the_script_of_the_page_makes_no_html_of_a_text():
    script = (paths.ROOT / "book" / "_static" / "runs.js").read_text(encoding="utf-8")
    assert not [word for word in ("innerHTML", "outerHTML", "insertAdjacent") if word in script]
