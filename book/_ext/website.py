"""What the book's site has, and does without, beyond what Jupyter Book gives it.

A Sphinx extension, listed under ``extra_extensions`` in ``_config.yml``. It draws the card that
stands for the book where a link to it is shared, describes pages to those who know only their
address, and takes out scripts that no page needs.
"""

import glob
import os
import re
from html import escape
from pathlib import Path
from urllib.parse import urlsplit

from docutils import nodes

from resnet_study.figures import style
from resnet_study.pipeline.frames import load_curves
from resnet_study.questions.experiments import EXPERIMENTS

CARD = "_static/card.png"
CARD_SIZE = (1200, 630)  # pixels; what social media show uncropped
CARD_FAMILIES = {"plain": "plain networks", "residual": "ResNets"}
ENTRANCE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<meta http-equiv="refresh" content="0; url={page}">{tags}
</head>
<body><p><a href="{page}">{title}</a></p></body>
</html>
"""
# What others write that a screen reader cannot read or a keyboard not reach, and what it should be.
MENDED = {
    # the theme: a nameless button that shows the pages below a page
    '<summary><span class="toctree-toggle"': '<summary aria-label="Pages below">'
    '<span class="toctree-toggle"',
    # docutils: a list of what are no items
    '<div role="list" class="citation-list">': '<div class="citation-list">',
    # MyST-NB: a table that scrolls sideways, but only under a pointer
    '<div class="output text_html">': '<div class="output text_html" tabindex="0">',
}
# Sphinx lists parameters, one a line, as definitions of nothing.
PARAMETERS = re.compile(r'<span class="sig-paren">[(\[]</span>\s*<dl>.*?</dl>', re.DOTALL)
ON_PAPER = re.compile(r'<li class="on-paper">.*?</li>', re.DOTALL)


def card(title: str):
    """A matplotlib figure of ``CARD_SIZE`` at 100 dpi: the title above both halves of Fig. 2."""
    curves = style.long_curves(load_curves(EXPERIMENTS["fig2"].records()))
    style.use_style()
    width, height = (pixels / 100 for pixels in CARD_SIZE)
    figure, panels = style.plt.subplots(
        1, 2, figsize=(width, height), sharey=True, facecolor="white", dpi=100
    )
    figure.subplots_adjust(left=0.09, right=0.96, top=0.68, bottom=0.14, wspace=0.08)
    figure.text(0.05, 0.86, title, fontsize=34, fontweight="bold", color="#12202b")
    for axes, (family, name) in zip(panels, CARD_FAMILIES.items(), strict=True):
        for depth, lines in curves[curves.family == family].groupby("depth"):
            colour = style.net_colour(family, depth)
            style.draw_curves(axes, lines, colour)
            axes.plot([], [], color=colour, linewidth=4, label=f"{depth} layers")
        style.label_curves(axes)
        axes.set_title(name, fontsize=20)
        axes.legend(fontsize=18)
    panels[1].set_ylabel("")
    return figure


def set_addresses(app) -> None:
    """Tell other extensions where site and repository lie, as far as ``_config.yml`` knows.

    Without ``html.baseurl`` there is no map of the site and no description for social media, both
    of which need whole addresses, and the page for a wrong address takes the site to lie at a
    host's root. Without ``repository.url`` no button opens a notebook elsewhere.
    """
    config = app.config
    if not config.html_theme_options["repository_url"]:
        config.html_theme_options.pop("launch_buttons", None)
    address = config.html_baseurl and config.html_baseurl.rstrip("/") + "/"
    config.html_baseurl = address
    config.notfound_urls_prefix = urlsplit(address).path or "/"
    if address:
        app.setup_extension("sphinx_sitemap")
        config.sitemap_url_scheme = "{link}"  # without language and version
        app.setup_extension("sphinxext.opengraph")
        config.ogp_site_url = address
        config.ogp_site_name = config.html_title
        config.ogp_social_cards = {"enable": False}  # ours instead
        config.ogp_image = CARD
        config.ogp_image_alt = "Error against iteration of plain networks and ResNets."


def leave_out_dangling_links(app, config) -> None:
    """Let Sphinx pass by links that lead nowhere; a page of the contents is missed all the same."""
    source = Path(app.srcdir)
    for place, folders, names in os.walk(source):
        folders[:] = [name for name in folders if not name.startswith((".", "_"))]
        for path in (Path(place) / name for name in names):
            if not path.exists():
                config.exclude_patterns.append(glob.escape(path.relative_to(source).as_posix()))


def draw_card(app) -> None:
    """Draw the card into the site, if it has an address to be shared."""
    if app.config.html_baseurl:
        path = Path(app.outdir) / CARD
        path.parent.mkdir(parents=True, exist_ok=True)
        figure = card(app.config.html_title)
        figure.savefig(path)
        style.plt.close(figure)


def leave_out_thebe(app, pagename, templatename, context, doctree) -> None:
    """Take out the scripts and styles of Thebe, which the book has no use for.

    Jupyter Book sets it up twice, and the second time is an error on every page.
    """

    def needed(asset) -> bool:
        named = f"{asset.filename} {asset.attributes.get('body', '')}"
        return "thebe" not in named.lower()

    for kind in ("script_files", "css_files"):
        context[kind] = [asset for asset in context[kind] if needed(asset)]


def leave_out_unused_files(app, exception) -> None:
    """Take out what no page asks for.

    The theme brings all icons of Font Awesome twice: as a font, which it uses, and as a script of
    1.5 MB that every page loads for icons of a site's own.
    """
    icons = Path(app.outdir) / "_static" / "scripts" / "fontawesome.js"
    if icons.exists():
        icons.write_text("")
        icons.with_suffix(".js.map").unlink(missing_ok=True)


def write_entrance(app, exception) -> None:
    """Write ``index.html``, which leads to the first page.

    Jupyter Book's own has no title, and tells social media nothing.
    """
    if exception:
        return
    title, address = escape(app.config.html_title), escape(app.config.html_baseurl)
    page = app.builder.get_target_uri(app.config.root_doc)
    properties = {"title": title, "url": address + page, "image": address + CARD}
    tags = (
        "".join(
            f'\n<meta property="og:{name}" content="{content}">'
            for name, content in properties.items()
        )
        if address
        else ""
    )
    entrance = ENTRANCE.format(title=title, page=page, tags=tags)
    (Path(app.outdir) / "index.html").write_text(entrance, encoding="utf-8")


def mended(page: str) -> str:
    """A page as others can use it: without what ``MENDED`` lists, parameters as plain lines.

    Links to the book on paper go: ``make pdf`` puts them onto the pages that it printed.
    """
    for fault, better in MENDED.items():
        page = page.replace(fault, better)
    page = ON_PAPER.sub("", page)
    return PARAMETERS.sub(
        lambda found: re.sub(r"(</?)d[ld]>", r"\1div>", found[0]).replace(
            "<div>", '<div class="parameters">', 1
        ),
        page,
    )


def mend_pages(app, exception) -> None:
    """Replace every page that is not as others can use it."""
    for path in Path(app.outdir).rglob("*.html"):
        written = path.read_text(encoding="utf-8")
        better = mended(written)
        if better != written:
            path.write_text(better, encoding="utf-8")


def index_prose_alone(app) -> None:
    """Leave code out of the index: who searches for a word wants the page that tells of it."""
    if app.builder.format != "html":
        return
    index = app.builder.index_page

    def without_code(name: str, page: nodes.document, title: str) -> None:
        prose = page.deepcopy()
        for code in list(prose.findall(nodes.literal_block)):
            code.parent.remove(code)
        index(name, prose, title)

    app.builder.index_page = without_code


def setup(app) -> dict:
    """What Sphinx calls; after the extensions that it sets, which must be listed before."""
    set_addresses(app)
    app.connect("config-inited", leave_out_dangling_links)
    app.connect("builder-inited", draw_card)
    app.connect("builder-inited", index_prose_alone)
    app.connect("html-page-context", leave_out_thebe, priority=900)
    app.connect("build-finished", write_entrance, priority=100)  # before Jupyter Book's
    app.connect("build-finished", mend_pages)
    app.connect("build-finished", leave_out_unused_files, priority=900)  # when all is copied
    return {"parallel_read_safe": True, "parallel_write_safe": True}
