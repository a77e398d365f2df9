import copy
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from resnet_study.errors import InputError
from resnet_study.models import containment
from resnet_study.models.containment import (
    EQUAL,
    approach,
    contain,
    largest_error,
    negative_part,
    relative_error,
)
from resnet_study.models.highway import highway_blocks, watch_gates
from resnet_study.models.networks import build_model
from resnet_study.models.options import Gates


def _trained(depth=18, shortcut="A", family="residual", dtype=torch.float64):
    """A net after three steps: weights and running statistics are no longer trivial."""
    torch.manual_seed(0)
    options = {"classes": 5, "stem": "small", "width": 4, "shortcut": shortcut}
    model = build_model(family, depth, **options).to(dtype)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(3):
        optimiser.zero_grad()
        F.cross_entropy(model(_images(dtype=dtype)), torch.arange(10) % 5).backward()
        optimiser.step()
    return model.eval()


def _images(dtype=torch.float64):
    return torch.randn(10, 3, 16, 16, dtype=dtype)


@pytest.mark.parametrize("depth", [18, 34])
@pytest.mark.parametrize("shortcut", ["A", "B", "C"])
def test_the_contained_net_computes_what_the_residual_net_computes(depth, shortcut):
    resnet = _trained(depth, shortcut)
    highway = contain(resnet)
    assert len(highway_blocks(highway)) == len([b for stage in resnet.stages for b in stage])
    images = _images()
    assert resnet(images).std() > 0.01  # of a size to which equality means something
    assert relative_error(highway, resnet, images) < EQUAL
    with watch_gates(highway) as values:
        highway(images)
    assert all((t == 0.5).all() for t in values.values())


@pytest.mark.parametrize("shortcut", ["A", "B"])
def test_it_does_so_with_the_statistics_of_the_batch_too(shortcut):
    resnet = _trained(shortcut=shortcut).train()
    highway = contain(resnet)
    assert highway.training
    assert relative_error(highway, resnet, _images()) < EQUAL


def test_containing_leaves_the_residual_net_and_the_random_state_alone():
    resnet = _trained()
    before, state = copy.deepcopy(resnet.state_dict()), torch.get_rng_state()
    contain(resnet)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[name], value) for name, value in resnet.state_dict().items())


@pytest.mark.parametrize("block", ["stage1.1", "stage2.1", "stage4.2"])
def test_one_altered_factor_of_a_half_shows(block):
    resnet = _trained()
    highway = contain(resnet)
    nn.init.constant_(highway_blocks(highway)[block].transform.shift, 0.01)  # T = 0.5025
    assert relative_error(highway, resnet, _images()) > 1e-5


def test_the_factors_of_a_projection_matter():
    resnet = _trained(shortcut="B")
    highway = contain(resnet)
    with torch.no_grad():
        highway_blocks(highway)["stage2.1"].shortcut[1].weight *= 2
    assert relative_error(highway, resnet, _images()) > 1e-3


def test_without_the_scaled_epsilon_the_nets_differ():
    resnet = _trained(34)
    highway = contain(resnet)
    for part in highway.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.eps = 1e-5
    assert relative_error(highway, resnet, _images()) > 1e-5


@pytest.mark.parametrize("depth", [18, 34])
@pytest.mark.parametrize("shortcut", ["A", "B"])
def test_uncoupled_gates_approach_the_residual_net_as_fast_as_they_open(depth, shortcut):
    resnet, images = _trained(depth, shortcut), _images()
    biases = range(8, 21, 2)
    errors = [relative_error(approach(resnet, bias), resnet, images) for bias in biases]
    slopes = [math.log(b / a) / 2 for a, b in zip(errors, errors[1:], strict=False)]
    assert slopes == pytest.approx([-1] * len(slopes), abs=0.02)  # error ∝ e^(−bias)
    assert min(errors) > 0


@pytest.mark.parametrize("family", ["plain", "highway", "scaled"])
@pytest.mark.parametrize("function", [contain, lambda net: approach(net, 5)])
def test_only_residual_nets_can_be_contained(function, family):
    model = build_model(family, 8, classes=5, width=2)
    with pytest.raises(InputError, match="accepted: a residual net") as refusal:
        function(model)
    assert "\n" not in str(refusal.value)


def test_a_highway_net_with_plain_reshaping_is_not_residual_either():
    model = build_model("highway", 8, classes=5, width=2, gates=Gates(reshaping="plain"))
    with pytest.raises(InputError, match="accepted: a residual net"):
        negative_part(model, torch.randn(2, 3, 16, 16))


def test_a_contained_net_can_be_trained_on():
    highway = contain(_trained(dtype=torch.float32)).train()
    F.cross_entropy(highway(_images(torch.float32)), torch.arange(10) % 5).backward()
    gates = [block.transform.conv.weight.grad for block in highway_blocks(highway).values()]
    assert all(gradient.abs().max() > 0 for gradient in gates)


def test_the_branch_is_far_from_every_function_that_is_never_negative():
    resnet, images = _trained(), _images()
    distances = negative_part(resnet, images)
    assert list(distances) == [f"stage{s}.{p}" for s in (1, 2, 3, 4) for p in (1, 2)]
    assert all(0.3 < distance < 1 for distance in distances.values())
    branch = resnet.stages[0][0].branch
    f = branch(resnet.stem(images))
    for h in (f.clamp(min=0), f.abs(), torch.rand_like(f)):
        assert (h - f).norm() / f.norm() >= distances["stage1.1"] - 1e-12


def test_the_largest_error_over_depths_and_shortcuts_is_that_of_rounding():
    assert 0 < largest_error() < EQUAL


def test_the_largest_error_shows_a_wrong_factor(monkeypatch):
    """One factor in three instead of in two, in one path of one block."""
    right = containment._scale_path
    calls = []

    def wrong(path, factor):
        calls.append(path)
        right(path, factor / 3 if len(calls) == 5 else factor)

    monkeypatch.setattr(containment, "_scale_path", wrong)
    assert largest_error(depths=(18,), shortcuts=("A",)) > 1e-3
