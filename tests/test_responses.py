"""Responses of normalised layers: their spread, before anything overwrites them."""

import pytest
import torch
from torch import nn
from torchvision.models import resnet18

from resnet_study.diagnostics.responses import layer_responses
from resnet_study.errors import InputError
from resnet_study.models.networks import build_model

IMAGES = torch.randn(6, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def _trained(model):
    """``model`` as if trained: running statistics of images, and no two scales and shifts alike."""
    torch.manual_seed(0)
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias)
            part.momentum = None
    model.train()(IMAGES)
    return model.eval()


def _ours(depth=8, shortcut="A"):
    torch.manual_seed(0)
    return build_model("residual", depth, classes=3, stem="small", width=4, shortcut=shortcut)


def _residual_functions(model):
    """Deviations of the outputs of the first block's layers, by formula."""
    block = model.stages[0][0]
    with torch.no_grad():
        x = model.stem[1](model.stem[0](IMAGES))
        h = block.branch.bn1(block.branch.conv1(x.clamp(min=0)))
        f = block.branch.bn2(block.branch.conv2(h.clamp(min=0)))
    return [values.std(correction=0).item() for values in (x, h, f)]


def test_responses_are_those_before_the_relu_or_the_addition():
    model = _trained(_ours())
    expected = _residual_functions(model)
    table = layer_responses(model, IMAGES)
    names = ["stem.1", "stages.0.0.branch.bn1", "stages.0.0.branch.bn2"]
    assert list(table.layer[:3]) == names
    assert list(table.deviation[:3]) == pytest.approx(expected, rel=1e-4)
    assert list(table.position) == list(range(1, 8))


def test_torchvisions_net_is_measured_unchanged():
    torch.manual_seed(0)
    model = _trained(resnet18(num_classes=3))
    table = layer_responses(model, IMAGES).set_index("layer")
    assert len(table) == 17 + 3  # the classifier has no normalisation, the projections have
    with torch.no_grad():
        x = model.bn1(model.conv1(IMAGES))
        block = model.layer1[0]
        pooled = model.maxpool(x.clamp(min=0))
        f = block.bn2(block.conv2(block.bn1(block.conv1(pooled)).clamp(min=0)))
    assert table.deviation["bn1"] == pytest.approx(x.std(correction=0).item(), rel=1e-4)
    assert table.deviation["layer1.0.bn2"] == pytest.approx(f.std(correction=0).item(), rel=1e-4)


def test_a_residual_function_of_small_scale_responds_less():
    model = _trained(_ours())
    last = model.stages[2][0].branch.bn2
    before = layer_responses(model, IMAGES).deviation
    with torch.no_grad():
        last.weight *= 0.1
        last.bias *= 0.1
    after = layer_responses(model, IMAGES).deviation
    assert list(after / before) == pytest.approx([1] * 6 + [0.1])


def test_chosen_layers_come_in_the_order_in_which_they_run():
    model = _trained(_ours(shortcut="B"))
    named = ["stages.1.0.shortcut.1", "stem.1", "stages.1.0.branch.bn2"]
    table = layer_responses(model, IMAGES, named)
    assert list(table.layer) == ["stem.1", "stages.1.0.branch.bn2", "stages.1.0.shortcut.1"]
    everything = layer_responses(model, IMAGES).set_index("layer").deviation
    assert list(table.deviation) == list(everything[table.layer])


def test_the_model_is_left_as_it_was():
    model = _trained(_ours())
    before = {name: value.clone() for name, value in model.state_dict().items()}
    layer_responses(model, IMAGES)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(part._forward_hooks for part in model.modules())


def test_impossible_requests_are_refused():
    model = _ours().eval()
    with pytest.raises(InputError, match="the model has no layer 'nowhere'"):
        layer_responses(model, IMAGES, ["nowhere"])
    with pytest.raises(InputError, match="the batch is empty"):
        layer_responses(model, IMAGES[:0])
    with pytest.raises(InputError, match=r"is in training mode; accepted: model.eval\(\)"):
        layer_responses(model.train(), IMAGES)
    with pytest.raises(InputError, match="the model has no batch normalisation"):
        layer_responses(nn.Linear(3, 3), IMAGES)
