"""Figures to play with in the static book: Vega-Lite charts, without a server or any network.

A chart's data and description stand in the page; the script that draws them is one file of the
site, written when the book is built (this module is a Sphinx extension, too).
"""

import json
from html import escape
from pathlib import Path

SCRIPT = "vega.js"


def figure(chart, name: str, caption: str, alt: str):
    """``chart``, an Altair chart, as HTML for a notebook in a folder beside ``_static``.

    ``name`` is the element's id, ``caption`` stands below, and ``alt`` is read aloud instead.
    """
    from IPython.display import HTML  # there in a notebook; a training does without it

    # "<" could end the script that the description stands in.
    spec = json.dumps(chart.to_dict(), sort_keys=True).replace("<", "\\u003c")
    return HTML(
        f'<figure class="interactive" id="{name}">'
        f'<div class="chart" id="{name}-chart" aria-label="{escape(alt)}"></div>'
        f"<figcaption><p>{escape(caption)}</p></figcaption></figure>"
        f'<script src="../_static/{SCRIPT}"></script>'
        f'<script>vegaEmbed("#{name}-chart", {spec}, {{actions: false, renderer: "svg"}})</script>'
    )


def write_script(app) -> None:
    """Put Vega-Lite and all it needs into the book's static files, where it is not there yet."""
    import vl_convert

    path = Path(app.outdir) / "_static" / SCRIPT
    made_by = f"// vl-convert {vl_convert.__version__}\n"
    if path.exists() and path.read_text(encoding="utf-8").startswith(made_by):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    path.write_text(f"{made_by}(() => {{{bundle}}})();\n", encoding="utf-8")


def setup(app) -> dict:
    """What Sphinx calls; see ``extra_extensions`` in ``_config.yml``."""
    app.connect("builder-inited", write_script)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
