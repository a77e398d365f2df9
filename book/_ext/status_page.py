"""The status page: which machines, packages, code and data the committed results come from.

A Sphinx extension (see ``extra_extensions`` in ``_config.yml``) with one directive, ``status``,
that shows one of ``TABLES``. All of it is read from sealed files: records of runs, measurements,
benchmarks, and the log of the notebooks' executions.
"""

import platform
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import metadata
from pathlib import Path

import pandas as pd
from docutils import nodes
from runs_page import named_records, short_commit
from sphinx.util.docutils import SphinxDirective

from resnet_study import paths
from resnet_study.errors import require_one_of
from resnet_study.pipeline import provenance
from resnet_study.pipeline.benchmarks import find_results
from resnet_study.pipeline.executions import load_executions
from resnet_study.pipeline.records import find_sealed, read_record
from resnet_study.questions.words import percent

RENDERING = ("jupyter-book", "sphinx", "myst-nb", "sphinx-book-theme")
DIGITS = 12  # of a fingerprint


@cache
def results() -> pd.DataFrame:
    """One row a sealed result: what kind it is, what made it, and its cost.

    ``core_hours`` are threads times processes times hours on a CPU, ``gpu_minutes`` those of all
    GPUs. A benchmark has neither, and a measurement has no date.
    """
    sealed = {
        "training": named_records().values(),
        "measurement": _read("measurement", find_sealed(paths.MEASUREMENTS)),
        "benchmark": _read("benchmark", find_results()),
    }
    return pd.DataFrame([_row(kind, record) for kind, group in sealed.items() for record in group])


def _read(kind: str, files: Iterable[Path]) -> Iterator[dict]:
    return (read_record(path, kind) for path in files)


def _row(kind: str, record: dict) -> dict:
    origin = record["provenance"]
    config = record.get("config", {})
    recipe = config.get("recipe", {})
    started = origin.get("started") or record.get("started")
    seconds = record.get("seconds", 0) * origin.get("processes", 1)
    on_gpu = origin["device"]["type"] == "cuda"
    return {
        "kind": kind,
        "recipe": recipe.get("name", ""),
        "data set": recipe.get("data", ""),
        "fraction": recipe.get("fraction", 1.0),
        "drawn by seed": str(config["seed"]) if recipe.get("own_subset") else "",
        "training images": record.get("training_images", 0),
        "validation images": record.get("validation_images", 0),
        "SHA-256": origin.get("data", "")[:DIGITS],
        "device": origin["device"]["name"],
        "instructions": origin["device"].get("instructions", ""),
        "Python": origin["python"],
        # Empty in a result from before the package was among them.
        **{name: origin["packages"].get(name, "") for name in provenance.PACKAGES},
        "commit": short_commit(origin["commit"]),
        "date": started[:10] if started else None,
        "core_hours": 0 if on_gpu else seconds * origin["threads"] / 3600,
        "gpu_minutes": seconds / 60 if on_gpu else 0,
    }


def _grouped(table: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """One row a combination of ``columns``: how many results, and their first and last day."""
    groups = table.groupby(columns, sort=False, dropna=False)
    found = groups.agg(n=("kind", "size"), first=("date", "min"), last=("date", "max"))
    return found.reset_index().fillna("")


def machines() -> pd.DataFrame:
    """Devices and packages behind every kind of result."""
    packages = ["Python", *provenance.PACKAGES]
    table = _grouped(results(), ["kind", "device", "instructions", *packages])
    return table.drop(columns=["first", "last"])


def commits() -> pd.DataFrame:
    """The code behind every kind of result, in the order of its first day."""
    kinds = _grouped(results(), ["commit", "kind"]).groupby("kind", sort=False)
    return pd.concat([table.sort_values("first", kind="stable") for _, table in kinds])


def data() -> pd.DataFrame:
    """Data sets and their parts, with the fingerprint that every training on them found."""
    trained = results().query("kind == 'training'")
    parts = ["data set", "fraction", "drawn by seed"]
    columns = [*parts, "training images", "validation images", "SHA-256"]
    table = _grouped(trained, columns).sort_values(parts, ascending=[True, False, True])
    return table.assign(fraction=table.fraction.map(percent)).drop(columns=["first", "last"])


def costs() -> pd.DataFrame:
    """What the results cost, by kind, recipe and device, and in total."""
    timed = results().query("kind != 'benchmark'")
    groups = timed.groupby(["kind", "recipe", "device"], sort=False)
    table = groups.agg(
        n=("kind", "size"),
        core_hours=("core_hours", "sum"),
        gpu_minutes=("gpu_minutes", "sum"),
    ).reset_index()
    total = {"kind": "total", "recipe": "", "device": "", "n": len(timed)}
    total |= {name: table[name].sum() for name in ("core_hours", "gpu_minutes")}
    table = pd.concat([table, pd.DataFrame([total])], ignore_index=True)
    return pd.DataFrame(
        {
            **table[["kind", "recipe", "device", "n"]],
            "core hours": table.core_hours.map("{:.2f}".format),
            "GPU minutes": table.gpu_minutes.map("{:.0f}".format),
        }
    )


def notebooks() -> pd.DataFrame:
    """When and how long the committed notebooks were executed."""
    return pd.DataFrame(
        [
            {
                "notebook": name,
                "seconds": f"{execution['seconds']:.1f}",
                "date": execution["date"],
                "processor": execution["processor"],
                "Python": execution["python"],
            }
            for name, execution in load_executions().items()
        ]
    )


def packages() -> pd.DataFrame:
    """Versions of packages that the notebooks were executed with."""
    executions = load_executions()
    used = pd.DataFrame(
        [
            {"package": package, "version": version, "notebook": name}
            for name, execution in executions.items()
            for package, version in execution["packages"].items()
        ]
    )

    def listed(names: pd.Series) -> str:
        return "all" if len(names) == len(executions) else ", ".join(names)

    groups = used.groupby(["package", "version"]).notebook
    return groups.agg(listed).rename("notebooks").reset_index()


def rendering() -> pd.DataFrame:
    """What rendered this copy of the book."""
    versions = {name: metadata.version(name) for name in RENDERING}
    found = {
        "commit": short_commit(provenance.commit()) or "not from a clone",
        "Python": platform.python_version(),
        **versions,
    }
    return pd.DataFrame({"part": found.keys(), "version": found.values()})


TABLES = {
    table.__name__: table
    for table in (machines, commits, data, costs, notebooks, packages, rendering)
}


class Status(SphinxDirective):
    """One of ``TABLES``, by its name."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The table of that name, as HTML."""
        (name,) = self.arguments
        require_one_of("table of the status", name, TABLES)
        return [nodes.raw("", as_html(name), format="html")]


def as_html(name: str) -> str:
    """The table of ``TABLES`` with that name, its texts escaped, in a box of its own."""
    table = TABLES[name]()
    with pd.option_context("display.max_colwidth", None):  # a device has its whole name
        html = table.to_html(
            index=False,
            formatters=dict.fromkeys(table.select_dtypes("integer"), "{:,}".format),
            border=0,
            justify="left",
            classes="table text-nowrap",
            table_id=f"status-{name}",
        )
    html = html.replace("<th>", '<th scope="col">')
    # Scrolled in a box of its own, with the keyboard, too.
    return f'<div class="pst-scrollable-table-container" tabindex="0">{html}</div>'


def setup(app) -> dict:
    """What Sphinx calls."""
    app.add_directive("status", Status)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
