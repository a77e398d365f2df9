"""What every diagnostic needs: layers by name, modes, and a model left as it was."""

import pytest
import torch
from torch import nn
from torchvision.models import resnet18

from resnet_study.diagnostics.inspection import (
    calibrate,
    find_layers,
    require_batch,
    require_mode,
    untouched,
    watched,
    weighted_layers,
)
from resnet_study.errors import InputError
from resnet_study.models.networks import build_model


@pytest.fixture
def model():
    return build_model("residual", 8, classes=3, channels=1, stem="small", width=4)


def test_weighted_layers_are_as_many_as_the_depth(model):
    assert len(weighted_layers(model)) == 8


def test_torchvisions_projections_are_layers_too():
    assert len(weighted_layers(resnet18())) == 18 + 3


def test_layers_are_found_by_name(model):
    found = find_layers(model, ["stem.0", "stages.1.0"])
    assert list(found) == ["stem.0", "stages.1.0"] and found["stem.0"] is model.stem[0]


@pytest.mark.parametrize("name", ["nowhere", ""])
def test_an_unknown_layer_is_refused_and_known_ones_are_named(model, name):
    with pytest.raises(InputError, match=r"no layer .*; accepted: such as stem\.0, stages"):
        find_layers(model, [name])


def test_an_empty_batch_and_missing_labels_are_refused():
    with pytest.raises(InputError, match="the batch is empty"):
        require_batch(torch.zeros(0, 1, 8, 8))
    with pytest.raises(InputError, match="2 images have 1 labels"):
        require_batch(torch.zeros(2, 1, 8, 8), torch.zeros(1))
    require_batch(torch.zeros(2, 1, 8, 8), torch.zeros(2))


def test_the_wrong_mode_is_refused(model):
    require_mode(model.train(), training=True)
    with pytest.raises(InputError, match=r"stem.1 is in training mode; accepted: model.eval\(\)"):
        require_mode(model, training=False)
    with pytest.raises(InputError, match=r"is in evaluation mode; accepted: model.train\(\)"):
        require_mode(model.eval(), training=True)
    require_mode(nn.Linear(2, 2), training=False)  # it has no mode that matters


def test_a_calibrated_model_normalises_its_batch_as_in_training_mode(model):
    images = 3 + 2 * torch.randn(50, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    trained = model.train()(images)
    assert not torch.allclose(model.eval()(images), trained, atol=0.1)
    calibrate(model, images)
    torch.testing.assert_close(model(images), trained, atol=0.01, rtol=0.01)
    torch.testing.assert_close(model(images[:1]), model(images)[:1])
    assert model.stem[1].momentum == 0.1 and not model.training
    with pytest.raises(InputError, match="the batch is empty"):
        calibrate(model, images[:0])


def test_a_model_is_left_untouched(model):
    images = torch.randn(4, 1, 8, 8)
    model(images).sum().backward()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    gradients = [p.grad.clone() for p in model.parameters()]
    state = torch.get_rng_state()
    with untouched(model):
        assert all(p.grad is None for p in model.parameters())
        model(torch.randn(4, 1, 8, 8)).sum().backward()
        moved = any(not torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert moved, "running statistics did not move, so the test shows nothing"
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), gradients, strict=True))
    assert torch.equal(torch.get_rng_state(), state)


def test_watched_layers_show_their_output_before_it_is_overwritten_and_only_within():
    model = nn.Sequential(nn.Linear(3, 3), nn.ReLU(inplace=True))
    smallest = []
    with watched({"first": model[0]}, lambda name, h: smallest.append((name, h.min().item()))):
        model(torch.randn(20, 3))
    model(torch.randn(20, 3))
    [(name, value)] = smallest
    assert name == "first" and value < 0
