"""The pictures of the story, to be taken away."""

import re
from io import BytesIO
from zipfile import ZipFile

import figure_pack
import pytest
from PIL import Image

from resnet_study import paths

PICTURE = '<svg width="9pt"><g style="fill: #262626"/><path style="fill: #0072b2"/></svg>'


def test_dark_letters_become_light_and_colours_keep_their_hue():
    letters, line = re.findall("fill: (#[0-9a-f]{6})", figure_pack.dark(PICTURE))
    assert min(int(letters[place : place + 2], 16) for place in (1, 3, 5)) > 200
    red, green, blue = (int(line[place : place + 2], 16) for place in (1, 3, 5))
    assert red < green < blue and blue > 0xB2


@pytest.mark.slow
def test_the_pack_has_every_picture_of_the_story_four_times(built):
    names = [name for name, *_ in figure_pack.pictures(paths.NOTEBOOKS)]
    assert {"fig-front", "fig-story-gradients"} <= set(names)
    with ZipFile(built[2] / "downloads" / figure_pack.NAME) as pack:
        kinds = [f"{theme}/{{}}.{kind}" for theme in ("light", "dark") for kind in ("svg", "png")]
        files = {kind.format(name) for kind in kinds for name in names}
        assert set(pack.namelist()) == {*files, "README.txt"}
        assert all(name in pack.read("README.txt").decode() for name in names)
        for theme, ground in figure_pack.GROUNDS.items():
            picture = Image.open(BytesIO(pack.read(f"{theme}/fig-front.png"))).convert("RGB")
            assert picture.width > 1000
            assert "#{:02x}{:02x}{:02x}".format(*picture.getpixel((0, 0))) == ground


@pytest.mark.slow
def test_the_page_for_teachers_links_to_it(articles):
    (link,) = articles["teaching"].select(f'a[href$="{figure_pack.NAME}"]')
    assert link["href"] == f"../downloads/{figure_pack.NAME}"
