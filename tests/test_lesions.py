"""Lesions: the error of a network without one block at a time."""

import copy

import pandas as pd
import pytest
import torch
from torch import nn
from torch.optim.swa_utils import update_bn
from torchvision.models import resnet18, resnet50

from resnet_study.diagnostics.inspection import calibrate
from resnet_study.diagnostics.lesions import find_blocks, lesions, without
from resnet_study.errors import InputError
from resnet_study.models.networks import build_model
from resnet_study.models.options import Gates, Scales

FAMILIES = ("plain", "residual", "highway", "scaled")


def _model(family="residual", **options):
    """A small net whose running statistics are those of some images."""
    torch.manual_seed(0)
    model = build_model(family, 18, classes=3, channels=1, stem="small", width=4, **options)
    calibrate(model, torch.randn(50, 1, 8, 8))
    return model.eval()


def _torchvision():
    torch.manual_seed(0)
    model = resnet18(num_classes=3)
    calibrate(model, torch.randn(8, 3, 32, 32))
    return model.eval()


def _batch(count=40, channels=1, side=8):
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(count, channels, side, side, generator=generator)
    return images, torch.randint(0, 3, (count,), generator=generator)


def _logits_without(model, name, images):
    with without(model.get_submodule(name)), torch.no_grad():
        return model(images)


@pytest.mark.parametrize("family", FAMILIES)
def test_each_block_has_a_row(family):
    table = lesions(_model(family), *_batch(), _batch(20)[0])
    assert list(table.columns) == ["block", "error", "recalibrated"]
    assert table.block.tolist() == [f"stages.{s}.{b}" for s in range(4) for b in range(2)]
    assert table[["error", "recalibrated"]].stack().between(0, 100).all()


def test_torchvisions_resnet_is_measured_as_it_is():
    table = lesions(_torchvision(), *_batch(8, 3, 32), _batch(4, 3, 32)[0])
    assert table.block.tolist() == [f"layer{s}.{b}" for s in (1, 2, 3, 4) for b in (0, 1)]
    assert len(find_blocks(resnet50())) == 3 + 4 + 6 + 3


@pytest.mark.parametrize("name", ["stages.0.1", "stages.2.1"])
def test_the_error_is_that_of_the_net_with_nothing_in_the_place_of_the_block(name):
    """A residual block of one shape leaves the identity."""
    model, (images, labels), (training, _) = _model(), _batch(), _batch(20)
    shorter = copy.deepcopy(model)
    stage, block = name.rsplit(".", 1)
    shorter.get_submodule(stage)[int(block)] = nn.Identity()

    def error():
        return 100 * (shorter(images).argmax(dim=1) != labels).double().mean().item()

    before = error()
    update_bn([training], shorter)
    row = lesions(model, images, labels, training).set_index("block").loc[name]
    assert (row.error, row.recalibrated) == (before, error())
    assert row.error != row.recalibrated, "recalibration moved nothing, so the test shows nothing"


@pytest.mark.parametrize("name", ["stages.1.0", "stages.3.1"])
@pytest.mark.parametrize("family", ["residual", "scaled"])
def test_a_block_whose_branch_is_zero_costs_nothing(family, name):
    model, (images, _) = _model(family), _batch()
    whole = model(images)
    assert not torch.allclose(_logits_without(model, name, images), whole)
    nn.init.zeros_(model.get_submodule(name).branch.bn2.weight)
    nn.init.zeros_(model.get_submodule(name).branch.bn2.bias)
    assert torch.equal(_logits_without(model, name, images), model(images))


@pytest.mark.parametrize("name", ["layer1.0", "layer2.0", "layer4.1"])
def test_a_block_of_torchvisions_whose_branch_is_zero_costs_nothing(name):
    model, (images, _) = _torchvision(), _batch(8, 3, 32)
    assert not torch.allclose(_logits_without(model, name, images), model(images))
    nn.init.zeros_(model.get_submodule(name).bn2.weight)
    torch.testing.assert_close(_logits_without(model, name, images), model(images))


def test_a_plain_block_puts_out_the_padded_identity():
    block = _model("plain").stages[1][0]
    x = torch.rand(2, 4, 8, 8)
    with without(block):
        y = block(x)
    assert y.shape == (2, 8, 4, 4)
    assert torch.equal(y[:, :4], x[:, :, ::2, ::2])
    assert not y[:, 4:].any()


def test_a_scaled_block_keeps_the_factor_of_its_shortcut():
    block = _model("scaled", scales=Scales(shortcut=0.25, branch=1)).stages[0][0]
    x = torch.rand(2, 4, 8, 8)
    with without(block):
        assert torch.equal(block(x), 0.25 * x)


@pytest.mark.parametrize("relu", ["after", "inside"])
def test_a_projection_goes_through_the_relu_that_the_block_ends_with(relu):
    block = _model("highway", shortcut="B", gates=Gates(relu=relu)).stages[1][0]
    x = torch.rand(2, 4, 8, 8)
    projected = block.shortcut(x)
    assert (projected < 0).any()
    with without(block):
        assert torch.equal(block(x), projected if relu == "inside" else projected.clamp(min=0))


def test_the_model_is_left_as_it_was():
    model, batch, (training, _) = _model(), _batch(), _batch(20)
    model(batch[0]).sum().backward()
    before = copy.deepcopy(model.state_dict())
    gradients = [p.grad.clone() for p in model.parameters()]
    logits, state = model(batch[0]), torch.get_rng_state()
    first = lesions(model, *batch, training)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), gradients, strict=True))
    assert torch.equal(model(batch[0]), logits)
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(part.training for part in model.modules())
    pd.testing.assert_frame_equal(lesions(model, *batch, training), first, check_exact=True)


def test_recalibration_leaves_dropout_alone():
    """The statistics are those of the network that is evaluated, and of no random one."""
    model = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm2d(1)).eval()
    images, _ = _batch()
    calibrate(model, images)
    torch.testing.assert_close(model[1].running_mean, images.mean(dim=(0, 2, 3)))
    torch.testing.assert_close(model[1].running_var, images.var().view(1))
    assert model[1].momentum == 0.1 and not model[1].training


def test_bad_input_is_refused():
    model, (images, labels) = _model(), _batch(4)
    with pytest.raises(InputError, match=r"accepted: model.eval\(\)"):
        lesions(copy.deepcopy(model).train(), images, labels, images)
    with pytest.raises(InputError, match="the batch is empty"):
        lesions(model, images[:0], labels[:0], images)
    with pytest.raises(InputError, match="4 images have 3 labels"):
        lesions(model, images, labels[:3], images)
    with pytest.raises(InputError, match="images for recalibration 1 .* accepted: 2 or more"):
        lesions(model, images, labels, images[:1])
    flat = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    with pytest.raises(InputError, match="Sequential has no blocks; accepted: nets of PlainBlock"):
        lesions(flat, images, labels, images)
