import pytest
import torch
from torch.nn import functional as F

from resnet_study.errors import InputError
from resnet_study.models.blocks import PlainBlock
from resnet_study.models.highway import (
    Gate,
    HighwayBlock,
    ScaledBlock,
    highway_blocks,
    make_highway_block,
    watch_gates,
)
from resnet_study.models.networks import build_model, count_multiply_adds, count_parameters
from resnet_study.models.options import Gates, Scales


def _model(gates=None, depth=8, **options):
    torch.manual_seed(3)
    options = {"classes": 10, "stem": "small", "width": 4} | options
    return build_model("highway", depth, gates=gates or Gates(), **options)


def _block(channels_in=4, channels_out=4, stride=1, **gates):
    torch.manual_seed(0)
    block = HighwayBlock(channels_in, channels_out, stride, "A", Gates(**gates)).eval()
    for gate in (part for part in block.modules() if isinstance(part, Gate)):
        torch.nn.init.normal_(gate.conv.weight)
    return block


X = torch.rand(2, 4, 6, 6, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("relu", ["after", "inside"])
def test_a_coupled_block_mixes_branch_and_shortcut(kernel, relu):
    block = _block(kernel=kernel, relu=relu)
    h, t = block.branch(X), block.transform(X)
    assert t.std() > 0.1  # not a constant
    mixed = F.relu(h) * t + X * (1 - t) if relu == "inside" else F.relu(h * t + X * (1 - t))
    torch.testing.assert_close(block(X), mixed)


def test_an_uncoupled_block_has_a_carry_gate_of_its_own():
    block = _block(form="uncoupled")
    expected = F.relu(block.branch(X) * block.transform(X) + X * block.carry(X))
    torch.testing.assert_close(block(X), expected)


def test_a_shortcut_only_gate_leaves_the_branch_alone():
    block = _block(form="shortcut")
    torch.testing.assert_close(block(X), F.relu(block.branch(X) + X * (1 - block.transform(X))))


def test_a_gate_is_the_sigmoid_of_a_convolution_with_bias():
    gate = _block(bias=-3.0).transform
    torch.nn.init.zeros_(gate.conv.weight)
    torch.testing.assert_close(gate(X), torch.full_like(X, 1 / (1 + torch.tensor(3.0).exp())))


def test_a_block_that_changes_shape_gates_the_strided_input_padded_with_zeros():
    block = _block(4, 8, 2)
    padded = F.pad(X[:, :, ::2, ::2], (0, 0, 0, 0, 0, 4))
    t = block.transform(X)
    assert t.shape == (2, 8, 3, 3)
    torch.testing.assert_close(block(X), F.relu(block.branch(X) * t + padded * (1 - t)))


def test_blocks_that_change_shape_can_be_plain():
    gates = Gates(reshaping="plain")
    assert isinstance(make_highway_block(4, 8, 2, "A", gates), PlainBlock)
    assert isinstance(make_highway_block(4, 4, 1, "A", gates), HighwayBlock)
    assert list(highway_blocks(_model(gates, 14))) == [
        "stage1.1", "stage1.2", "stage2.2", "stage3.2"
    ]  # fmt: skip


@pytest.mark.parametrize(("shortcut", "branch"), [(1, 1), (0.5, 0.5), (0.5, 1), (0, 1)])
def test_a_scaled_block_has_frozen_factors(shortcut, branch):
    block = ScaledBlock(4, 4, 1, "A", Scales(shortcut, branch)).eval()
    torch.testing.assert_close(block(X), F.relu(branch * block.branch(X) + shortcut * X))


def test_a_net_scaled_by_one_is_the_residual_net():
    models = []
    for family, scales in (("residual", None), ("scaled", Scales(1, 1))):
        torch.manual_seed(3)
        models.append(build_model(family, 8, classes=10, width=4, scales=scales).eval())
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(models[0](images), models[1](images))


@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("bias", [0.0, -6.0])
def test_the_bias_of_every_gate_is_the_one_asked_for(bias, normalised):
    for form, expected in (("coupled", [bias]), ("uncoupled", [bias, -bias])):
        gates = Gates(bias=bias, form=form, normalised=normalised)
        model = _model(gates)
        for block in highway_blocks(model).values():
            shifts = [part.shift for part in block.modules() if isinstance(part, Gate)]
            assert [shift.unique().tolist() for shift in shifts] == [[b] for b in expected]


@pytest.mark.parametrize("kernel", [1, 3])
def test_the_weights_of_gates_are_he_initialised(kernel):
    model = _model(Gates(kernel=kernel), width=32)
    weights = highway_blocks(model)["stage3.1"].transform.conv.weight.detach()
    assert weights.std() == pytest.approx((2 / (kernel**2 * 128)) ** 0.5, rel=0.02)


@pytest.mark.parametrize("form", ["coupled", "uncoupled", "shortcut"])
def test_a_highway_net_starts_from_the_weights_of_the_residual_net_of_its_seed(form):
    highway = _model(Gates(form=form), 18).state_dict()
    torch.manual_seed(3)
    residual = build_model("residual", 18, classes=10, stem="small", width=4).state_dict()
    assert residual.keys() < highway.keys()
    assert all(torch.equal(highway[name], value) for name, value in residual.items())


@pytest.mark.parametrize(("kernel", "extra"), [(1, 0.050), (3, 0.452)])
def test_gates_add_the_known_share_of_parameters_to_34_layers(kernel, extra):
    residual = build_model("residual", 34, classes=1000)
    highway = build_model("highway", 34, classes=1000, gates=Gates(kernel=kernel))
    share = count_parameters(highway) / count_parameters(residual) - 1
    assert share == pytest.approx(extra, abs=0.001)


def test_the_arithmetic_of_gates_is_counted():
    bare = build_model("residual", 8, classes=10, stem="small", width=4)
    more = count_multiply_adds(_model(Gates(kernel=1)), (3, 8, 8))
    gates = 64 * 4 * 4 + 16 * 4 * 8 + 4 * 8 * 16  # pixels, channels in and out
    assert more - count_multiply_adds(bare, (3, 8, 8)) == gates


def test_gate_activations_are_read_out_within_the_context_only():
    model = _model(Gates(bias=-2), 14)
    images = torch.randn(5, 3, 8, 8)
    with watch_gates(model) as values, watch_gates(model, "carry") as carries:
        model(images)
        assert list(values) == list(highway_blocks(model))
        assert values["stage1.2"].shape == (5, 4, 8, 8)
        assert values["stage3.1"].shape == (5, 16, 2, 2)
        for name, t in values.items():
            assert ((t > 0) & (t < 1)).all()
            assert torch.equal(carries[name], 1 - t)
        before = values["stage1.1"]
        model(images + 1)
        assert not torch.equal(values["stage1.1"], before)
        last = values["stage1.1"]
    model(images)
    assert values["stage1.1"] is last


def test_an_uncoupled_block_shows_its_carry_gate():
    model = _model(Gates(form="uncoupled"))
    with watch_gates(model, "carry") as carries:
        model.eval()(torch.zeros(1, 3, 8, 8))
    assert carries["stage1.1"].mean() == pytest.approx(0.88, abs=0.02)  # σ(2)


@pytest.mark.parametrize("family", ["plain", "residual", "scaled"])
def test_nets_without_gates_show_none(family):
    model = build_model(family, 8, classes=10, stem="small", width=2)
    with watch_gates(model) as values:
        model(torch.randn(2, 3, 8, 8))
    assert values == {}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kernel": 5}, "gate kernel 5 .*accepted: 1, 3"),
        ({"form": "both"}, "'both'.*accepted: coupled, uncoupled, shortcut"),
        ({"reshaping": "no"}, "'no'.*accepted: gated, plain"),
        ({"relu": "before"}, "'before'.*accepted: after, inside"),
        ({"bias": float("nan")}, "gate bias nan.*accepted: a finite number"),
        ({"normalised": "yes"}, "'yes'.*accepted: False, True"),
    ],
)
def test_impossible_gates_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        Gates(**changes)


def test_impossible_scales_are_refused():
    with pytest.raises(InputError, match="branch scale inf.*accepted: a finite number"):
        Scales(branch=float("inf"))


class PublishedBlock(torch.nn.Module):
    """The block of Srivastava 2025 as its code describes it, from torch's own layers."""

    def __init__(self, channels_in, channels_out, stride):
        super().__init__()

        def layers(last):
            return torch.nn.Sequential(
                torch.nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False),
                torch.nn.BatchNorm2d(channels_out),
                torch.nn.ReLU(),
                torch.nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False),
                torch.nn.BatchNorm2d(channels_out),
                last,
            )

        self.h, self.t = layers(torch.nn.ReLU()), layers(torch.nn.Sigmoid())
        self.projection = torch.nn.Sequential()
        if stride != 1 or channels_in != channels_out:
            self.projection.append(
                torch.nn.Conv2d(channels_in, channels_out, 1, stride, bias=False)
            )
            self.projection.append(torch.nn.BatchNorm2d(channels_out))

    def forward(self, x):
        s = self.projection(x)
        return s + self.t(x) * (self.h(x) - s)


SRIVASTAVA_2025 = Gates(layers=2, normalised=True, bias=-6, relu="inside")


@pytest.mark.parametrize(("channels", "stride"), [(4, 1), (8, 2)])
def test_the_block_of_2025_is_among_the_gates(channels, stride):
    torch.manual_seed(0)
    ours = HighwayBlock(4, channels, stride, "B", SRIVASTAVA_2025)
    published = PublishedBlock(4, channels, stride)
    for gate in (part for part in ours.modules() if isinstance(part, Gate)):
        torch.nn.init.normal_(gate.conv1.weight)
        torch.nn.init.normal_(gate.conv.weight)
    assert ours.transform.shift.unique().tolist() == [-6]
    torch.nn.init.zeros_(ours.transform.shift)  # so that the gate shows
    values = list(ours.state_dict().values())
    known = published.state_dict()
    assert [v.shape for v in values] == [v.shape for v in _in_our_order(known).values()]
    published.load_state_dict(dict(zip(_in_our_order(known), values, strict=True)))
    x = torch.randn(3, 4, 6, 6)
    torch.testing.assert_close(ours.train()(x), published.train()(x))
    assert ours.transform(x).std() > 0.1


def _in_our_order(state):
    """Branch, shortcut, gate."""
    order = {"h": 0, "projection": 1, "t": 2}
    return dict(sorted(state.items(), key=lambda item: order[item[0].split(".")[0]]))


def test_both_layers_of_a_gate_are_he_initialised_and_drawn_last():
    model = _model(SRIVASTAVA_2025, width=32)
    gate = highway_blocks(model)["stage3.1"].transform
    for layer in (gate.conv1, gate.conv):
        assert layer.weight.detach().std() == pytest.approx((2 / (9 * 128)) ** 0.5, rel=0.02)


def test_a_gate_of_two_layers_is_normalised():
    with pytest.raises(InputError, match="accepted: gate_normalised"):
        Gates(layers=2)
    with pytest.raises(InputError, match="gate layers"):
        Gates(layers=3)
