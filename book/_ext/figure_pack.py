"""The pictures of the story for lessons and slides, as one archive: SVG and PNG, light and dark.

A Sphinx extension: it writes the archive into the site, and gives pages the directive
``figure-pack``, a link to it.
"""

import colorsys
import json
import re
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

from runs_page import DOWNLOADS, Rendered

from resnet_study import paths

NAME = "figures.zip"
STORY = ("summary", "story_*")  # notebooks whose pictures are in it
GROUNDS = {"light": "#ffffff", "dark": "#14181e"}  # what stands behind a picture as PNG
SCALE = 2  # pixels a CSS pixel: sharp over half a slide
READ_ME = """{title}: the pictures of the story. Licence: CC BY 4.0.

Each is here as SVG, which has no ground and grows without loss, and as PNG; for light and for dark
pages.

{pictures}
"""
COLOUR = re.compile(r"#([0-9a-fA-F]{6})\b")


def dark(picture: str) -> str:
    """An SVG for dark pages: each colour as light as it was dark, with its hue kept."""

    def turned(found: re.Match) -> str:
        red, green, blue = (int(found[1][place : place + 2], 16) / 255 for place in (0, 2, 4))
        hue, lightness, saturation = colorsys.rgb_to_hls(red, green, blue)
        channels = colorsys.hls_to_rgb(hue, 1 - 0.92 * lightness, saturation)
        return "#" + "".join(f"{round(255 * channel):02x}" for channel in channels)

    return COLOUR.sub(turned, picture).replace("<svg ", '<svg fill="#ffffff" ', 1)


def pictures(notebooks: Path) -> Iterator[tuple[str, str, str]]:
    """Name, caption and SVG of every figure of the story, in the order of the files' names."""
    for path in sorted(path for name in STORY for path in notebooks.glob(f"{name}.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            figure = cell["metadata"].get("mystnb", {}).get("figure")
            for output in cell.get("outputs", ()) if figure else ():
                if picture := output.get("data", {}).get("image/svg+xml"):
                    yield figure["name"], figure["caption"], "".join(picture)


def write_pack(path: Path, notebooks: Path, title: str) -> None:
    """Write the archive of the pictures of ``notebooks`` to ``path``."""
    import vl_convert

    path.parent.mkdir(parents=True, exist_ok=True)
    captions = []
    with ZipFile(path, "w", ZIP_DEFLATED) as pack:
        for name, caption, picture in pictures(notebooks):
            captions.append(f"{name}: {caption}")
            for theme, svg in {"light": picture, "dark": dark(picture)}.items():
                pack.writestr(f"{theme}/{name}.svg", svg)
                png = vl_convert.svg_to_png(_on_ground(svg, GROUNDS[theme]), scale=SCALE)
                pack.writestr(f"{theme}/{name}.png", png)
        told = READ_ME.format(title=title, pictures="\n\n".join(captions))
        pack.writestr("README.txt", told)


def _on_ground(picture: str, colour: str) -> str:
    """The SVG with a rectangle of this colour behind all."""
    ground = f'<rect width="100%" height="100%" style="fill: {colour}"/>'
    return re.sub(r"(<svg [^>]*>)", rf"\1{ground}", picture, count=1)


class FigurePack(Rendered):
    """A link to the archive."""

    template = "figure_pack.html"

    def context(self) -> dict:
        """Where the archive lies in the site."""
        return {"archive": f"{DOWNLOADS}/{NAME}"}


def write(app) -> None:
    """Put the archive into the site."""
    archive = Path(app.outdir) / DOWNLOADS / NAME
    write_pack(archive, paths.ROOT / "notebooks", app.config.html_title)


def setup(app) -> dict:
    """What Sphinx calls; after ``runs_page``, which clears the folder of downloads."""
    app.connect("builder-inited", write, priority=600)
    app.add_directive("figure-pack", FigurePack)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
