"""What a word means, where it is first used: hints from the glossary, as a Sphinx extension.

On each page of the book the first use of a word of the glossary leads there, and says what it means
when it is pointed at or reached with the keyboard. The words are marked when a page is rendered, so
that nobody has to.
"""

import re

from docutils import nodes
from markupsafe import Markup
from sphinx import addnodes

WORDS = "words"  # key of a page's glossary in its metadata: word to meaning
# Texts that are names or have a look of their own.
APART = (nodes.reference, nodes.literal, nodes.title, nodes.math, nodes.raw, nodes.caption)
WITHOUT = ("book/api", "book/bibliography")


def take_words(app, doctree: nodes.document) -> None:
    """Remember what the glossary of a page says."""
    app.env.metadata[app.env.docname][WORDS] = {
        term.astext(): (term["ids"][0], item[-1].astext().replace("\n", " "))
        for glossary in doctree.findall(addnodes.glossary)
        for item in glossary.findall(nodes.definition_list_item)
        for term in item.findall(nodes.term)
    }


def mark_words(app, doctree: nodes.document, docname: str) -> None:
    """Let the first use of each word on a page say what it means."""
    if docname.startswith(WITHOUT):
        return
    for page, data in app.env.metadata.items():
        if page == docname:
            continue
        for word, (anchor, meaning) in data.get(WORDS, {}).items():
            address = app.builder.get_relative_uri(docname, page)
            _mark(doctree, word, f"{address}#{anchor}", meaning)


def _mark(doctree: nodes.document, word: str, address: str, meaning: str) -> None:
    pattern = re.compile(rf"\b{re.escape(word)}s?(?!\w)")
    for paragraph in doctree.findall(nodes.paragraph):
        for text in paragraph.findall(nodes.Text):
            found = pattern.search(text)
            if found and not _is_apart(text, doctree):
                before, after = text[: found.start()], text[found.end() :]
                html = Markup('<a class="word" href="{}" title="{}">{}</a>')
                hint = nodes.raw("", html.format(address, meaning, found[0]), format="html")
                parent = text.parent
                parent.replace(text, [nodes.Text(before), hint, nodes.Text(after)])
                return


def _is_apart(text: nodes.Text, top: nodes.Node) -> bool:
    node = text.parent
    while node is not top and node is not None:
        if isinstance(node, APART):
            return True
        node = node.parent
    return False


def setup(app) -> dict:
    """What Sphinx calls; see ``extra_extensions`` in ``_config.yml``."""
    app.connect("doctree-read", take_words)
    app.connect("doctree-resolved", mark_words)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
