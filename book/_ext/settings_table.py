"""The table of all that can be set of a training, from where it is declared.

A Sphinx extension (see ``extra_extensions`` in ``_config.yml``) with one directive, ``settings``.
"""

from docutils import nodes
from markupsafe import Markup
from sphinx.util.docutils import SphinxDirective

from resnet_study.pipeline.run import SETTINGS, default_of
from resnet_study.settings import Setting

COLUMNS = ("parameter", "option", "default", "what it is")


class Settings(SphinxDirective):
    """Every setting of a run, a row each."""

    def run(self) -> list[nodes.Node]:
        """The table, as HTML."""
        return [nodes.raw("", table(), format="html")]


def table() -> str:
    """The table as HTML, in a box of its own where it is scrolled, with the keyboard, too."""
    head = Markup("").join(map(Markup('<th scope="col">{}</th>').format, COLUMNS))
    body = Markup("\n").join(_row(name, each) for name, each in SETTINGS.items())
    return Markup(
        '<div class="pst-scrollable-table-container" tabindex="0"><table class="table">'
        "<thead><tr>{}</tr></thead>\n<tbody>{}</tbody></table></div>"
    ).format(head, body)


def _row(name: str, each: Setting) -> Markup:
    code = Markup("<code>{}</code>").format
    option = code("--" + name.replace("_", "-"))
    choices = Markup(", ").join(map(code, each.meaning.one_of or ()))
    told = Markup(": {}").format(choices) if choices else ""
    return Markup("<tr><td>{}</td><td>{}</td><td>{}</td><td>{}{}</td></tr>").format(
        code(name), option, default_of(name), each.meaning.help, told
    )


def setup(app) -> dict:
    """What Sphinx calls."""
    app.add_directive("settings", Settings)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
