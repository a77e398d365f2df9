"""Activations and gradients layer by layer, against autograd by other ways and closed forms."""

import math

import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models import resnet18

from resnet_study.diagnostics.inspection import weighted_layers
from resnet_study.diagnostics.norms import layer_norms
from resnet_study.errors import InputError
from resnet_study.models.fully_connected import INITIALISATIONS, build_fully_connected
from resnet_study.models.networks import build_model


def _batch(count=4, shape=(3, 16, 16)):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, *shape, generator=generator), torch.arange(count) % 3


def _ours(family="residual", depth=8):
    torch.manual_seed(0)
    return build_model(family, depth, classes=3, stem="small", width=4)


def _torchvisions():
    torch.manual_seed(0)
    return resnet18(num_classes=3)


def _norms_one_by_one(model, images, labels, layers):
    """The same table, with a pass for each layer.

    A zero added to an output has the gradient of this output, and the sum is a tensor of its own
    that may be overwritten.
    """
    rows = []
    for name in layers:
        part = model.get_submodule(name)
        seen = {}

        def add_zero(part, given, output, seen=seen):
            seen["output"] = output.detach().clone()
            seen["zero"] = torch.zeros_like(output, requires_grad=True)
            return output + seen["zero"]

        handle = part.register_forward_hook(add_zero)
        loss = F.cross_entropy(model(images), labels)
        handle.remove()
        asked = [seen["zero"], part.weight] if hasattr(part, "weight") else [seen["zero"]]
        gradient, *of_weight = (g.norm().item() for g in torch.autograd.grad(loss, asked))
        activation = seen["output"].square().mean().sqrt().item()
        rows.append((name, activation, gradient, *(of_weight or [math.nan])))
    return pd.DataFrame(rows, columns=["layer", "activation", "gradient", "weight_gradient"])


@pytest.mark.parametrize(
    ("build", "before_something_in_place"),
    [
        (_ours, ["stem.1", "stages.1.0.branch.bn1", "stages.1.0.branch.bn2", "stages.1.0"]),
        (lambda: _ours("plain"), ["stages.2.0.branch.bn2", "stages.2.0.branch"]),
        (lambda: _ours("highway"), ["stages.1.0.transform", "stages.2.0.branch"]),
        (_torchvisions, ["bn1", "layer2.0.bn1", "layer2.0.bn2", "layer2.0", "avgpool"]),
    ],
)
def test_norms_are_those_of_a_pass_for_each_layer(build, before_something_in_place):
    model, batch = build(), _batch()
    layers = [*weighted_layers(model), *before_something_in_place]
    expected = _norms_one_by_one(model, *batch, layers).set_index("layer")
    found = layer_norms(model, *batch, layers).set_index("layer")
    assert sorted(found.index) == sorted(layers)
    columns = list(expected)
    pd.testing.assert_frame_equal(found.loc[layers, columns], expected, rtol=1e-4)


def test_norms_are_those_of_the_formulas_although_a_relu_overwrites_its_input():
    torch.manual_seed(0)
    first, second = nn.Linear(6, 5), nn.Linear(5, 3)
    images, labels = _batch(shape=(6,))
    h1 = images @ first.weight.T + first.bias
    h2 = h1.clamp(min=0) @ second.weight.T + second.bias
    of_h2 = (h2.softmax(dim=1) - F.one_hot(labels, 3)) / len(images)
    of_h1 = (of_h2 @ second.weight) * (h1 > 0)
    table = layer_norms(nn.Sequential(first, nn.ReLU(inplace=True), second), images, labels)
    assert table.to_dict("list") == {
        "position": [1, 2],
        "layer": ["0", "2"],
        "activation": pytest.approx([h.square().mean().sqrt().item() for h in (h1, h2)]),
        "gradient": pytest.approx([of_h1.norm().item(), of_h2.norm().item()]),
        "weight_gradient": pytest.approx(
            [(of_h1.T @ images).norm().item(), (of_h2.T @ h1.clamp(min=0)).norm().item()]
        ),
    }


@pytest.mark.parametrize("build", [_ours, _torchvisions])
def test_without_names_it_measures_all_convolutions_and_linear_layers(build):
    model = build()
    table = layer_norms(model, *_batch())
    assert sorted(table.layer) == sorted(weighted_layers(model))
    assert list(table.position) == list(range(1, len(table) + 1))
    assert table[["activation", "gradient", "weight_gradient"]].gt(0).all(axis=None)


def test_layers_are_in_the_order_in_which_they_run():
    class Backwards(nn.Module):
        def __init__(self):
            super().__init__()
            self.last, self.shared, self.first = (nn.Linear(3, 3) for _ in range(3))

        def forward(self, x):
            return self.last(self.shared(self.shared(self.first(x))))

    table = layer_norms(Backwards(), *_batch(shape=(3,)))
    assert list(table.layer) == ["first", "shared", "shared", "last"]
    assert table.activation[1] != table.activation[2]
    assert table.gradient[1] != table.gradient[2]
    assert table.weight_gradient[1] == table.weight_gradient[2]


def test_layers_without_a_weight_have_no_weight_gradient():
    table = layer_norms(_ours(), *_batch(), ["stages.0.0"])
    assert table.weight_gradient.isna().all() and table.gradient.gt(0).all()


def test_gradients_of_frozen_layers_are_measured_too():
    model, batch = _ours(), _batch()
    free = layer_norms(model, *batch)
    model.requires_grad_(False)
    frozen = layer_norms(model, *batch)
    pd.testing.assert_series_equal(frozen.gradient, free.gradient)
    assert frozen.weight_gradient.isna().all()


def test_a_layer_that_the_logits_do_not_depend_on_has_a_gradient_of_zero():
    class Aside(nn.Module):
        def __init__(self):
            super().__init__()
            self.unused, self.used = nn.Linear(3, 3), nn.Linear(3, 3)

        def forward(self, x):
            self.unused(x)
            return self.used(x)

    table = layer_norms(Aside(), *_batch(shape=(3,))).set_index("layer")
    assert table.gradient["unused"] == 0 < table.gradient["used"]


def test_gradients_whose_squares_underflow_are_measured():
    """0.235⁴⁵ is 1e-28: its square is no single-precision number."""
    torch.manual_seed(0)
    model = build_fully_connected(
        45, width=32, inputs=6, classes=3, activation="sigmoid", initialisation="lecun"
    )
    images, labels = _batch(shape=(6,))
    single = layer_norms(model, images, labels)
    double = layer_norms(model.double(), images.double(), labels)
    assert 0 < single.gradient[0] < 1e-23
    pd.testing.assert_frame_equal(single, double, rtol=1e-3)


def test_a_net_of_a_thousand_layers_takes_one_pass_forward_and_one_back(monkeypatch):
    calls = {"forward": 0, "backward": 0}
    run_backward = torch.autograd.backward

    def count_backward(*arguments, **options):
        calls["backward"] += 1
        return run_backward(*arguments, **options)

    monkeypatch.setattr(torch.autograd, "backward", count_backward)
    model = _ours(depth=1004)

    def count_forward(part, given):
        calls["forward"] += 1

    model.register_forward_pre_hook(count_forward)
    table = layer_norms(model, *_batch(shape=(3, 8, 8)))
    assert calls == {"forward": 1, "backward": 1}
    assert len(table) == 1004
    assert table.gradient.between(1e-6, 1e6).all()


def _growth_of_activation_and_gradient():
    """Factor of mean square activation and squared gradient norm, geometric mean of 16 blocks."""
    torch.manual_seed(0)
    model = build_fully_connected(32, width=256, inputs=64, classes=3, shortcut=True)
    blocks = ["stem", *(f"body.{index}" for index in range(16))]
    table = layer_norms(model, *_batch(64, (64,)), blocks)
    first, last = table.iloc[0], table.iloc[-1]
    ratios = last.activation / first.activation, first.gradient / last.gradient
    return [ratio ** (2 / 16) for ratio in ratios]


def test_shortcuts_without_normalisation_double_variance_and_gradient_at_each_block(monkeypatch):
    """Twice, and a little more forward, as the ReLU after the sum cuts off less than half."""
    forward, backward = _growth_of_activation_and_gradient()
    assert forward == pytest.approx(2.35, abs=0.15)
    assert forward**16 > 2**16
    assert backward == pytest.approx(2, abs=0.15)
    monkeypatch.setitem(INITIALISATIONS, "he", 1)
    forward, backward = _growth_of_activation_and_gradient()
    assert forward < 1.5 and backward < 1.5


def test_the_model_is_left_as_it_was_and_no_grad_does_not_matter():
    model, (images, labels) = _ours(), _batch()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    expected = layer_norms(model, images, labels)
    with torch.no_grad():
        pd.testing.assert_frame_equal(layer_norms(model, images, labels), expected)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not images.requires_grad
    assert not any(part._forward_hooks for part in model.modules())


def test_impossible_requests_are_refused():
    model, (images, labels) = _ours(), _batch()
    with pytest.raises(InputError, match="the model has no layer 'nowhere'"):
        layer_norms(model, images, labels, ["nowhere"])
    with pytest.raises(InputError, match="the batch is empty"):
        layer_norms(model, images[:0], labels[:0])
    with pytest.raises(InputError, match="4 images have 3 labels"):
        layer_norms(model, images, labels[:3])
    with pytest.raises(InputError, match=r"is in evaluation mode; accepted: model.train\(\)"):
        layer_norms(model.eval(), images, labels)
