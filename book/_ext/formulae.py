"""Formulae as MathML, written when the book is built: browsers draw it without a script."""

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.util.math import get_node_equation_number

RENDERER = "mathml"
NORM = "&#x02016;"  # ‖, which grows with what it stands beside, on one side and not on the other


def mathml(formula: str, display: str = "inline") -> str:
    """A LaTeX formula as MathML; ``display`` is ``inline`` or ``block``."""
    return convert(formula, display=display).replace(
        f"<mo>{NORM}</mo>", f'<mo stretchy="false">{NORM}</mo>'
    )


def visit_math(translator, node: nodes.math) -> None:
    """Write a formula that stands in a line."""
    opening = translator.starttag(node, "span", "", CLASS="math notranslate nohighlight")
    translator.body.append(f"{opening}{mathml(node.astext())}</span>")
    raise nodes.SkipNode


def visit_math_block(translator, node: nodes.math_block) -> None:
    """Write a formula that stands alone, with its number if it has a label."""
    translator.body.append(translator.starttag(node, "div", CLASS="math notranslate nohighlight"))
    if node["number"]:
        number = get_node_equation_number(translator, node)
        translator.body.append(f'<span class="eqno">({number})')
        translator.add_permalink_ref(node, "Link to this equation")
        translator.body.append("</span>")
    translator.body.append(f"{mathml(node.astext(), 'block')}</div>\n")
    raise nodes.SkipNode


def setup(app) -> dict:
    """What Sphinx calls."""
    app.add_html_math_renderer(RENDERER, (visit_math, None), (visit_math_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
