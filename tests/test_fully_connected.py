"""Fully connected nets: their layers, their initialisation, and refused choices."""

import pytest
import torch
from torch import nn

from resnet_study.diagnostics.inspection import weighted_layers
from resnet_study.errors import InputError
from resnet_study.models.fully_connected import build_fully_connected


def _build(depth=4, seed=0, **options):
    torch.manual_seed(seed)
    return build_fully_connected(depth, **{"width": 8, "inputs": 6, "classes": 3, **options})


@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("shortcut", [False, True])
def test_depth_counts_the_square_layers_between_stem_and_classifier(normalised, shortcut):
    model = _build(normalised=normalised, shortcut=shortcut)
    shapes = [tuple(layer.weight.shape) for layer in weighted_layers(model).values()]
    assert shapes == [(8, 6), (8, 8), (8, 8), (8, 8), (8, 8), (3, 8)]
    norms = [part for part in model.modules() if isinstance(part, nn.BatchNorm1d)]
    assert len(norms) == (5 if normalised else 0)
    assert model(torch.randn(5, 1, 2, 3)).shape == (5, 3)


@pytest.mark.parametrize(
    ("activation", "function"),
    [("sigmoid", torch.sigmoid), ("tanh", torch.tanh), ("relu", torch.relu)],
)
def test_a_plain_net_multiplies_and_activates_layer_by_layer(activation, function):
    model = _build(depth=2, activation=activation)
    images = torch.randn(5, 6)
    x = images
    weights = [layer.weight for layer in weighted_layers(model).values()]
    for weight in weights[:-1]:
        x = function(x @ weight.T)
    torch.testing.assert_close(model(images), x @ weights[-1].T)


def test_normalisation_is_between_multiplication_and_activation():
    model = _build(depth=1, normalised=True)
    x = torch.randn(50, 8)
    h = x @ model.body[0].linear.weight.T
    expected = torch.relu((h - h.mean(dim=0)) / (h.var(dim=0, correction=0) + 1e-5).sqrt())
    torch.testing.assert_close(model.body[0](x), expected)


@pytest.mark.parametrize("normalised", [False, True])
def test_a_block_activates_the_sum_of_two_layers_and_their_input(normalised):
    model = _build(depth=2, shortcut=True, normalised=normalised)
    x = torch.randn(5, 8)
    block = model.body[0]
    first, second = block.branch
    h = torch.relu(first.norm(first.linear(x)) if normalised else first.linear(x))
    f = second.norm(second.linear(h)) if normalised else second.linear(h)
    torch.testing.assert_close(block(x), torch.relu(f + x))


@pytest.mark.parametrize(("initialisation", "times_n"), [("lecun", 1), ("he", 2)])
def test_weights_have_the_variance_of_their_initialisation(initialisation, times_n):
    model = _build(depth=1, width=300, inputs=100, classes=200, initialisation=initialisation)
    assert model.stem.linear.weight.var().item() == pytest.approx(times_n / 100, rel=0.05)
    assert model.body[0].linear.weight.var().item() == pytest.approx(times_n / 300, rel=0.05)
    assert model.classifier.weight.var().item() == pytest.approx(1 / 300, rel=0.05)
    assert all(not layer.bias.any() for layer in weighted_layers(model).values())


def test_a_seed_decides_the_weights():
    images = torch.randn(2, 6)
    assert torch.equal(_build()(images), _build()(images))
    assert not torch.equal(_build()(images), _build(seed=1)(images))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"activation": "gelu"}, "activation 'gelu' is unknown; accepted: sigmoid, tanh, relu"),
        ({"initialisation": "2/N"}, "initialisation '2/N' is unknown; accepted: lecun, he"),
        ({"normalised": "yes"}, "normalised 'yes' is unknown; accepted: False, True"),
        ({"shortcut": "A"}, "shortcut 'A' is unknown; accepted: False, True"),
        ({"depth": 0}, "depth 0 is impossible; accepted: 1 or more"),
        ({"depth": 4.0}, "depth 4.0 is no whole number"),
        ({"classes": 0}, "classes 0 is impossible; accepted: 1 or more"),
        ({"width": 0}, "width 0 is impossible; accepted: 1 or more"),
        ({"depth": 3, "shortcut": True}, "depth 3 is odd; accepted with shortcuts: 2, 4, 6, …"),
    ],
)
def test_choices_that_do_not_exist_are_refused(options, message):
    with pytest.raises(InputError) as refusal:
        _build(**options)
    assert str(refusal.value) == message
