"""The page of all runs, rendered alone; ``test_book.py`` renders it in the book."""

import json
import re
from types import SimpleNamespace

import pytest
from bs4 import BeautifulSoup
from runs_page import ENVIRONMENT, curve, row, short_commit, write_files

from resnet_study import paths
from resnet_study.pipeline.archive import unpack
from resnet_study.pipeline.records import RecordError, find_records, read_record

pytestmark = pytest.mark.slow

RUN = "digits/highway-18-match-parameters-gate_kernel-1-seed-3"
RECORDS = {
    path.relative_to(paths.RUNS).with_suffix("").as_posix(): read_record(path)
    for path in find_records()
}


@pytest.fixture(scope="module")
def page(generated_site):
    return BeautifulSoup((generated_site / "book" / "runs.html").read_text(), "html.parser")


@pytest.fixture(scope="module")
def curves(generated_site):
    """What the page's script finds in CURVES."""
    text = (generated_site / "_static" / "curves.js").read_text()
    return json.loads(re.fullmatch(r"const CURVES = (.*);\n", text)[1])


@pytest.fixture(scope="module")
def rows(page):
    """Texts of every row by the titles of their columns, by the run that its anchor names."""
    titles = [cell.get_text() for cell in page.select("#runs-table thead th")]
    return {
        tr["id"]: dict(zip(titles, [cell.get_text() for cell in _cells(tr)], strict=True))
        for tr in _body(page)
    }


def _body(page):
    return page.find("table", id="runs-table").tbody.find_all("tr")


def _cells(tr):
    return tr.find_all(["th", "td"])


def test_every_record_is_in_the_table_once(page):
    assert len(RECORDS) > 300
    assert sorted(tr["id"] for tr in _body(page)) == sorted(RECORDS)


def test_a_row_says_what_its_record_says(rows):
    record = RECORDS[RUN]
    final = record["final"]
    assert rows[RUN] == {
        "curve": RUN,
        "recipe": "digits",
        "family": "highway",
        "depth": "18",
        "departs from the recipe in": "match parameters, gate_kernel 1",
        "seed": "3",
        "training, %": f"{final['training_error']:.2f}",
        "training, clean, %": f"{final['clean_training_error']:.2f}",
        "validation, %": f"{final['validation_error']:.2f}",
        "validation, ten crops, %": "",
        "minutes": f"{record['seconds'] / 60:.2f}",
        "device": record["provenance"]["device"]["name"],
        "images/s": f"{record['images_per_second']:.0f}",
        "commit": record["provenance"]["commit"][:7],
        "record": "record",
    }


def test_what_departs_from_the_recipe_tells_any_two_runs_apart(rows):
    labels = ("recipe", "family", "depth", "departs from the recipe in", "seed")
    told = {tuple(cells[label] for label in labels) for cells in rows.values()}
    assert len(told) == len(RECORDS)


def test_a_run_that_diverged_says_so_and_has_the_curve_it_had():
    record = RECORDS[RUN]
    final = dict.fromkeys(record["final"])
    diverged = {**record, "diverged_at": 72, "final": final, "curve": {}}
    told = row(RUN, diverged)
    assert {told["training, %"], told["training, clean, %"], told["validation, %"]} == {"diverged"}
    assert told["validation, ten crops, %"] == ""  # what nobody measures did not diverge
    drawn = curve(diverged)
    assert drawn.pop("diverged_at") == 72
    assert drawn.pop("epoch") == 0
    assert set(map(tuple, drawn.values())) == {()}


def test_ten_crops_are_shown_where_they_were_measured():
    record = {**RECORDS[RUN], "final": {**RECORDS[RUN]["final"], "ten_crop_error": 12.345}}
    assert row(RUN, record)["validation, ten crops, %"] == "12.35"
    assert row(RUN, RECORDS[RUN])["validation, ten crops, %"] == ""


def test_a_record_of_no_run_is_named():
    config = {**RECORDS[RUN]["config"], "family": "plian"}
    with pytest.raises(RecordError, match=RUN):
        row(RUN, {**RECORDS[RUN], "config": config})


def test_a_commit_is_short_and_tells_a_modified_library():
    assert short_commit("0123456789") == "0123456"
    assert short_commit("0123456789+modified") == "0123456+"
    assert short_commit(None) == ""


def test_every_header_and_row_tells_what_it_is_of(page):
    assert {cell.get("scope") for cell in page.select("#runs-table thead th")} == {"col"}
    for tr in _body(page):
        header, *cells = _cells(tr)
        assert (header.name, header["scope"]) == ("th", "row")
        assert header.label.get_text() == tr["id"]
        assert header.label.input["type"] == "checkbox"
        assert {cell.name for cell in cells} == {"td"}


def test_menus_offer_what_the_table_holds(page, rows):
    for title in ("recipe", "family", "depth"):
        menu = page.find("select", id=f"runs-{title}")
        offered = [option.get_text() for option in menu.find_all("option")]
        assert offered[0] == "all"
        assert len(offered) == len(set(offered))
        assert set(offered[1:]) == {cells[title] for cells in rows.values()}


def test_every_record_is_on_the_site_as_it_was_written(generated_site, page):
    for tr in _body(page):
        (link,) = tr.find_all("a")
        copy = generated_site / "book" / link["href"]
        assert copy.read_bytes() == (paths.RUNS / f"{tr['id']}.json").read_bytes()


def test_every_curve_is_there_as_it_was_recorded(curves):
    assert curves.keys() == RECORDS.keys()
    for name, drawn in curves.items():
        record = RECORDS[name]
        assert drawn["diverged_at"] == record["diverged_at"]
        if not record["curve"]:  # it diverged within the first epoch
            assert drawn["training_error"] == []
            continue
        epochs = range(1, len(drawn["training_error"]) + 1)
        assert [epoch * drawn["epoch"] for epoch in epochs] == record["curve"]["iteration"]
        for metric in ("training_error", "validation_error"):
            assert drawn[metric] == pytest.approx(record["curve"][metric], abs=0.0051)
        for metric in ("training_loss", "validation_loss"):
            assert drawn[metric] == pytest.approx(record["curve"][metric], abs=0.000051)


def test_every_metric_of_the_menu_can_be_drawn(page, curves):
    metrics = {
        option["value"] for option in page.find("select", id="runs-metric").find_all("option")
    }
    assert {"training_error", "validation_error", "training_loss", "validation_loss"} == metrics
    assert all(metrics <= drawn.keys() for drawn in curves.values())


def test_the_script_finds_what_it_looks_for(page):
    script = (paths.ROOT / "book" / "_static" / "runs.js").read_text()
    wanted = set(re.findall(r'byId\("([^"]+)"\)', script))
    assert {"runs-table", "runs-filter", "runs-metric", "runs-chart"} <= wanted
    assert wanted <= {element["id"] for element in page.find_all(id=True)}
    sources = [
        element["src"] for element in page.find_all("script") if "runs" in element.get("src", "")
    ]
    assert sources == ["../_static/runs.js"]


def test_the_archive_on_the_page_holds_every_record(generated_site, page, tmp_path):
    (link,) = page.select("#downloads a[href$='.tar.gz']")
    assert unpack(generated_site / "book" / link["href"], tmp_path / "runs") == (len(RECORDS), 0)
    for name in RECORDS:
        ours = paths.RUNS / f"{name}.json"
        assert (tmp_path / "runs" / f"{name}.json").read_bytes() == ours.read_bytes()


def test_the_environment_on_the_page_is_ours(generated_site, page):
    linked = {a.get_text(): a["href"] for a in page.select("#downloads a")}
    for name in ENVIRONMENT:
        assert (generated_site / "book" / linked[name]).read_bytes() == (
            paths.ROOT / name
        ).read_bytes()


def test_a_record_that_is_gone_leaves_the_site(tmp_path):
    gone = tmp_path / "records" / "digits" / "gone.json"
    gone.parent.mkdir(parents=True)
    gone.touch()
    write_files(SimpleNamespace(outdir=tmp_path))
    assert not gone.exists()
    assert len(list(gone.parent.glob("*.json"))) > 300
