import pytest
import torch
from torch import nn

from resnet_study.errors import InputError
from resnet_study.figures.block import CLASSES, IMAGE, build_for_imagenet, costs, layout


@pytest.fixture(scope="module")
def table():
    return costs().set_index(["depth", "family", "variant"])


def test_shortcut_a_costs_nothing_and_others_what_is_known(table):
    for depth, parameters in ((18, 11_515_688), (34, 21_623_848)):
        plain, a = table.loc[(depth, "plain", "")], table.loc[(depth, "residual", "shortcut A")]
        assert plain.parameters == a.parameters == parameters
        assert plain.multiply_adds == a.multiply_adds
        assert a.extra_parameters == a.extra_multiply_adds == 0
    assert table.loc[(18, "residual", "shortcut B")].parameters == 11_689_512
    assert table.loc[(34, "residual", "shortcut B")].parameters == 21_797_672


def test_extra_parameters_of_projections_and_gates_are_those_of_their_kernels(table):
    """Counted by hand: a kernel and one bias or two numbers of BN for each channel."""
    widths, blocks = (64, 128, 256, 512), (3, 4, 6, 3)
    inputs = [
        (channels if index or not stage else widths[stage - 1], channels)
        for stage, channels in enumerate(widths)
        for index in range(blocks[stage])
    ]
    expected = {
        ("highway", "shortcut A, 1×1 gates"): sum(i * o + o for i, o in inputs),
        ("highway", "shortcut A, 3×3 gates"): sum(9 * i * o + o for i, o in inputs),
        ("residual", "shortcut B"): sum(i * o + 2 * o for i, o in inputs if i != o),
        ("residual", "shortcut C"): sum(i * o + 2 * o for i, o in inputs),
    }
    plain = table.loc[(34, "plain", "")].parameters
    for variant, extra in expected.items():
        row = table.loc[(34, *variant)]
        assert row.parameters - plain == extra
        assert row.extra_parameters == pytest.approx(100 * extra / plain)


def test_the_layout_is_the_papers():
    found = layout()
    assert list(found["18 layers"]) == ["1 layer", *["2 blocks"] * 4, "1 layer"]
    assert list(found["34 layers"])[1:-1] == ["3 blocks", "4 blocks", "6 blocks", "3 blocks"]
    assert list(found.output)[:2] == ["64 × 56 × 56"] * 2
    assert list(found.output)[-2:] == ["512 × 7 × 7", "1000"]


def test_the_stem_is_what_the_layout_says():
    kinds = {type(layer): layer for layer in build_for_imagenet("plain", 18).stem}
    assert kinds[nn.Conv2d].kernel_size == (7, 7)
    assert kinds[nn.MaxPool2d].kernel_size == 3


def test_nets_for_imagenet_take_no_memory():
    model = build_for_imagenet("residual", 34, shortcut="C")
    assert {tensor.device.type for tensor in model.state_dict().values()} == {"meta"}
    assert model(torch.empty(2, *IMAGE, device="meta")).shape == (2, CLASSES)
    with pytest.raises(InputError, match="depth 17"):
        build_for_imagenet("plain", 17)
