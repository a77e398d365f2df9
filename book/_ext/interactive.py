"""Figures to play with in the static book: Vega-Lite charts, without a server or any network.

A chart's data and description stand in the page; the script that draws them is one file of the
site, written when the book is built (this module is a Sphinx extension, too).
"""

from pathlib import Path

from resnet_study.figures.sources import SCRIPT


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
