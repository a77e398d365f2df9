"""The page of all runs: a table of every record, their curves, and what can be downloaded.

A Sphinx extension (see ``extra_extensions`` in ``_config.yml``). It writes the records, their
archive and their curves into the site, and gives pages two directives, filled from
``book/_templates``: ``all-runs``, the table that ``book/_static/runs.js`` sorts, filters and draws
curves of, and ``downloads``, a list of links. A run is called by its recipe and its record's name,
such as ``digits/plain-18-seed-0``; that is also the anchor of its row.
"""

import json
import shutil
from functools import cache
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from resnet_study import paths
from resnet_study.pipeline import schemas
from resnet_study.pipeline.archive import pack
from resnet_study.pipeline.records import RecordError, find_records, read_record
from resnet_study.pipeline.run import run_from_config
from resnet_study.questions.words import METRICS
from resnet_study.training.recipes import recipe_schema

CURVES = "_static/curves.js"
RECORDS = "records"  # folder of the site with a copy of every record
DOWNLOADS = "downloads"  # folder of the site
ARCHIVE = "records.tar.gz"
ENVIRONMENT = ("environment.yml", "constraints.txt")
SCHEMAS = {"record.schema.json": schemas.schema, "recipe.schema.json": recipe_schema}
NUMBERS = ("depth", "seed", "minutes", "images/s")  # columns, as are those in percent
FILTERS = ("recipe", "family", "depth")  # columns with a menu of their values
DRAWN = {  # columns of a curve: title and decimals
    "training_error": ("training error, %", 2),
    "validation_error": ("validation error, %", 2),
    "training_loss": ("training loss, nats", 4),
    "validation_loss": ("validation loss, nats", 4),
}


@cache
def named_records(runs_dir: Path = paths.RUNS) -> dict[str, dict]:
    """Every record below ``runs_dir`` by the name of its run, checked.

    Raises:
        RecordError: if one is damaged.
    """
    return {
        path.relative_to(runs_dir).with_suffix("").as_posix(): read_record(path, "run")
        for path in find_records(runs_dir)
    }


def row(name: str, record: dict) -> dict[str, str]:
    """Texts of one row of the table by the titles of their columns, empty where there is none.

    Raises:
        RecordError: if no run today has the record's configuration.
    """
    config, provenance = record["config"], record["provenance"]
    run = run_from_config(config)
    if run is None:
        raise RecordError(f"record {name} has a configuration that no run has today")
    return {
        "recipe": config["recipe"]["name"],
        "family": config["family"],
        "depth": str(config["depth"]),
        "departs from the recipe in": ", ".join(f"{k} {v}" for k, v in run.changes.items()),
        "seed": str(config["seed"]),
        **{f"{title}, %": _final(record, metric) for metric, title in METRICS.items()},
        "minutes": f"{record['seconds'] / 60:.2f}",
        "device": provenance["device"]["name"],
        "images/s": f"{record['images_per_second']:.0f}",
        "commit": short_commit(provenance["commit"]),
    }


def short_commit(commit: str | None) -> str:
    """Seven digits, and ``+`` where the code differed from its commit; empty for none."""
    name, modified, _ = (commit or "").partition("+")
    return name[:7] + modified


def _final(record: dict, metric: str) -> str:
    """An error at the last epoch in percent; empty for one that the recipe does not measure."""
    if metric not in record["final"]:
        return ""
    return "diverged" if record["diverged_at"] is not None else f"{record['final'][metric]:.2f}"


def curve(record: dict) -> dict[str, list | int | None]:
    """A record's curve for drawing: rounded columns with an entry an epoch.

    ``epoch`` is the number of iterations in each, ``diverged_at`` the one at which it diverged.
    """
    columns = {
        metric: [round(value, decimals) for value in record["curve"].get(metric, [])]
        for metric, (_, decimals) in DRAWN.items()
    }
    epoch = record["curve"].get("iteration", [0])[0]
    return {**columns, "epoch": epoch, "diverged_at": record["diverged_at"]}


class Rendered(SphinxDirective):
    """A template of ``book/_templates``; ``root`` leads from the page to the site's root."""

    template: str

    def context(self) -> dict:
        """What the template is filled with."""
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        """The filled template, as HTML."""
        context = {"root": "../" * self.env.docname.count("/"), **self.context()}
        html = self.env.app.builder.templates.render(self.template, context)
        return [nodes.raw("", html, format="html")]


def _naturally(text: str) -> tuple[int, str]:
    """Sorts 8 before 110."""
    return len(text) if text.isdigit() else 0, text


class AllRuns(Rendered):
    """The table of all runs, its filters and its chart. Columns that are empty are left out."""

    template = "runs.html"

    def context(self) -> dict:
        """Rows and titles of the table, and the metrics of the curves."""
        rows = {name: row(name, record) for name, record in named_records().items()}
        titles = [t for t in next(iter(rows.values())) if any(r[t] for r in rows.values())]
        return {
            "rows": rows,
            "classes": {t: "number" if t in NUMBERS or t.endswith("%") else "" for t in titles},
            "filters": {t: sorted({r[t] for r in rows.values()}, key=_naturally) for t in FILTERS},
            "metrics": {metric: title for metric, (title, _) in DRAWN.items()},
            "records": RECORDS,
            "curves": CURVES,
        }


class Downloads(Rendered):
    """Links to the archive of records, the environment, and every notebook."""

    template = "downloads.html"

    def context(self) -> dict:
        """What can be downloaded, and how many records there are."""
        pages = sorted(self.env.found_docs)
        return {
            "count": len(named_records()),
            "archive": f"{DOWNLOADS}/{ARCHIVE}",
            "environment": [f"{DOWNLOADS}/{name}" for name in ENVIRONMENT],
            "schemas": [f"{DOWNLOADS}/{name}" for name in SCHEMAS],
            "notebooks": [f"_sources/{n}.ipynb" for n in pages if n.startswith("notebooks/")],
        }


def write_files(app) -> None:
    """Put records, their archive, the environment, schemas and the curves into the site."""
    records, out = named_records(), Path(app.outdir)
    for folder in (RECORDS, DOWNLOADS):
        shutil.rmtree(out / folder, ignore_errors=True)
    for name in records:
        target = out / RECORDS / f"{name}.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(paths.RUNS / f"{name}.json", target)
    pack(out / DOWNLOADS / ARCHIVE, paths.RUNS)
    for name in ENVIRONMENT:
        shutil.copyfile(paths.ROOT / name, out / DOWNLOADS / name)
    for name, schema in SCHEMAS.items():
        (out / DOWNLOADS / name).write_text(json.dumps(schema(), indent=1), encoding="utf-8")
    curves = {name: curve(record) for name, record in records.items()}
    text = json.dumps(curves, separators=(",", ":"), allow_nan=False)
    (out / CURVES).parent.mkdir(exist_ok=True)
    (out / CURVES).write_text(f"const CURVES = {text};\n", encoding="utf-8")


def setup(app) -> dict:
    """What Sphinx calls."""
    app.connect("builder-inited", write_files)
    app.add_directive("all-runs", AllRuns)
    app.add_directive("downloads", Downloads)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
