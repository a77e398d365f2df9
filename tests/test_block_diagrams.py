import pytest
from matplotlib.patches import FancyBboxPatch
from torch import nn

from resnet_study.figures import block as block_figures
from resnet_study.figures import style as style_figures
from resnet_study.models.blocks import PlainBlock, ResidualBlock
from resnet_study.models.highway import HighwayBlock
from resnet_study.models.options import Gates


@pytest.fixture(autouse=True)
def style():
    style_figures.use_style()
    yield
    style_figures.plt.close("all")


def _texts(axes):
    return sorted(text.get_text() for text in axes.texts if text.get_text())


BRANCH = ["3×3 conv, 8", "BN", "ReLU", "3×3 conv, 8", "BN"]


def test_layers_are_those_of_the_blocks():
    block = HighwayBlock(8, 8, 1, "A", Gates(kernel=1))
    assert block_figures.layers(block.branch) == BRANCH
    assert block_figures.layers(block.shortcut) == []
    assert block_figures.layers(block.transform) == ["1×1 conv, 8\n+ b", "sigmoid"]
    projected = ResidualBlock(8, 16, 2, "B")
    assert block_figures.layers(projected.branch)[0] == "3×3 conv, 16\nstride 2"
    assert block_figures.layers(projected.shortcut) == ["1×1 conv, 16\nstride 2", "BN"]


def test_a_layer_without_a_name_is_refused():
    block = PlainBlock(8, 8, 1, "A")
    block.branch.append(nn.Dropout())
    with pytest.raises(TypeError, match="Dropout"):
        block_figures.layers(block.branch)


def test_blocks_of_one_shape_differ_in_what_joins_the_paths():
    plain, residual, highway = block_figures.same_shape(8).axes
    common = [*BRANCH, "ReLU", "x", "y"]
    gate = ["3×3 conv, 8\n+ b", "sigmoid", "T", "1 − T", "×", "×"]
    assert _texts(plain) == sorted(common)
    assert _texts(residual) == sorted([*common, "+"])
    assert _texts(highway) == sorted([*common, "+", *gate])


def test_blocks_of_new_shape_have_their_shortcut():
    padded, projected = block_figures.new_shape(8).axes
    assert "stride 2,\npad with zeros" in _texts(padded)
    assert "1×1 conv, 16\nstride 2" in _texts(projected)


def test_text_fits_into_its_box():
    for figure in (block_figures.same_shape(), block_figures.new_shape()):
        figure.draw_without_rendering()
        for axes in figure.axes:
            boxes = [patch for patch in axes.patches if isinstance(patch, FancyBboxPatch)]
            assert len(boxes) >= 6
            for box in boxes:
                frame = box.get_window_extent()
                (inside,) = (
                    text.get_window_extent()
                    for text in axes.texts
                    if text.get_text()
                    and frame.contains(*axes.transData.transform(text.get_position()))
                )
                assert frame.x0 < inside.x0 and inside.x1 < frame.x1
                assert frame.y0 < inside.y0 and inside.y1 < frame.y1


def test_a_diagram_is_the_same_byte_for_byte(tmp_path):
    for name in ("first", "second"):
        style_figures.save_svg(block_figures.same_shape(), tmp_path / name)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
