import pytest
import torch
import torchvision
from torch import nn

from resnet_study.errors import InputError
from resnet_study.models.blocks import make_shortcut
from resnet_study.models.networks import build_model, count_multiply_adds, count_parameters
from resnet_study.models.options import BUILT_IN


@pytest.mark.parametrize(
    ("family", "shortcut", "depth", "parameters"),
    [
        ("plain", "A", 18, 11_515_688),
        ("plain", "A", 34, 21_623_848),
        ("residual", "A", 18, 11_515_688),
        ("residual", "A", 34, 21_623_848),
        ("residual", "B", 18, 11_689_512),
        ("residual", "B", 34, 21_797_672),
    ],
)
def test_imagenet_nets_have_the_known_number_of_parameters(family, shortcut, depth, parameters):
    model = build_model(family, depth, classes=1000, shortcut=shortcut)
    assert count_parameters(model) == parameters


def test_frozen_parameters_are_not_counted():
    model = build_model("plain", 8, classes=10)
    before = count_parameters(model)
    model.classifier.bias.requires_grad = False
    assert count_parameters(model) == before - 10


@pytest.mark.parametrize(
    ("depth", "millions"),
    [(20, "0.27"), (32, "0.46"), (44, "0.66"), (56, "0.85"), (110, "1.7"), (1202, "19.4")],
)
def test_cifar_nets_have_the_papers_number_of_parameters(depth, millions):
    model = build_model("residual", depth, classes=10, stem="small")
    decimals = len(millions.partition(".")[2])
    assert f"{count_parameters(model) / 1e6:.{decimals}f}" == millions


@pytest.mark.parametrize(("depth", "multiply_adds"), [(18, 1.8e9), (34, 3.6e9)])
@pytest.mark.parametrize("family", ["plain", "residual"])
def test_multiply_adds_are_the_papers(family, depth, multiply_adds):
    model = build_model(family, depth, classes=1000)
    assert count_multiply_adds(model, (3, 224, 224)) == pytest.approx(multiply_adds, rel=0.03)


def test_counting_multiply_adds_leaves_the_model_as_it_was():
    model = build_model("residual", 8, classes=10)
    images = torch.randn(2, 3, 32, 32)
    model.eval()
    before = model(images)
    model.train()
    count_multiply_adds(model, (3, 32, 32))
    assert model.training
    assert torch.equal(model.eval()(images), before)


@pytest.mark.parametrize("depth", [8, 18, 34, 110])
def test_depth_counts_the_layers_with_weights(depth):
    model = build_model("residual", depth, classes=10)
    weighted = [part for part in model.modules() if isinstance(part, (nn.Conv2d, nn.Linear))]
    assert len(weighted) == depth  # shortcut A adds none


def shaken(network):
    """Fresh batch normalisation is the identity, and would hide a layer in the wrong place."""
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.running_mean, -0.5, 0.5)
            nn.init.uniform_(part.running_var, 0.5, 2)
            nn.init.uniform_(part.weight, 0.5, 1)
            nn.init.uniform_(part.bias, -0.5, 0.5)
    return network.eval()


@pytest.mark.parametrize("depth", [18, 34])
def test_shortcut_b_gives_torchvisions_outputs_from_its_weights(depth):
    torch.manual_seed(0)
    theirs = shaken(getattr(torchvision.models, f"resnet{depth}")().double())
    ours = build_model("residual", depth, classes=1000, shortcut="B").double()
    weights = dict(zip(ours.state_dict(), theirs.state_dict().values(), strict=True))
    ours.load_state_dict(weights)
    images = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    with torch.no_grad():
        expected = theirs(images)
        assert expected.std() > 0.1  # of a size to which 1e-5 means something
        torch.testing.assert_close(ours.eval()(images), expected, rtol=0, atol=1e-5)


def test_shortcut_a_keeps_every_second_pixel_and_adds_zeros():
    shortcut = make_shortcut(4, 8, 2, "A")
    images = torch.randn(2, 4, 6, 6)
    result = shortcut(images)
    assert torch.equal(result[:, :4], images[:, :, ::2, ::2])
    assert result.shape == (2, 8, 3, 3)
    assert not result[:, 4:].any()
    assert count_parameters(shortcut) == 0


@pytest.mark.parametrize(
    ("shortcut", "depth", "projections"),
    [("A", 18, 0), ("A", 34, 0), ("B", 18, 3), ("B", 34, 3), ("C", 18, 8), ("C", 34, 16)],
)
def test_shortcuts_project_where_the_paper_says(shortcut, depth, projections):
    model = build_model("residual", depth, classes=10, width=4, shortcut=shortcut)
    convolutions = [part for part in model.modules() if isinstance(part, nn.Conv2d)]
    assert sum(part.kernel_size == (1, 1) for part in convolutions) == projections


def _silence_branches(model):
    """Let every block's last batch normalisation put out zero: F(x) = 0."""
    for stage in model.stages:
        for block in stage:
            normalisations = [p for p in block.branch.modules() if isinstance(p, nn.BatchNorm2d)]
            nn.init.zeros_(normalisations[-1].weight)


def test_a_residual_block_adds_its_input_and_a_plain_block_does_not():
    images = torch.randn(2, 3, 16, 16)
    results = {}
    for family in ("plain", "residual"):
        model = build_model(family, 8, classes=10, stem="small")
        _silence_branches(model)
        _, results[family] = model(images, return_stages=True)
    residual = results["residual"]
    assert residual["stem"].any()
    assert torch.equal(residual["stage1"], residual["stem"])
    assert not results["plain"]["stage1"].any()


@pytest.mark.parametrize("family", BUILT_IN)
def test_blocks_end_in_a_relu(family):
    model = build_model(family, 8, classes=10, stem="small")
    _, stages = model(torch.randn(2, 3, 16, 16), return_stages=True)
    for output in stages.values():
        assert output.min() == 0


def test_small_gamma_damps_each_branch_as_a_gate_of_bias_minus_two_does():
    usual, damped = (
        build_model("residual", 8, classes=10, stem="small", normalisation=normalisation)
        for normalisation in ("batch", "small-gamma")
    )
    damped.load_state_dict(
        {
            name: value if name.endswith("branch.bn2.weight") else usual.state_dict()[name]
            for name, value in damped.state_dict().items()
        }
    )
    x = torch.rand(2, 16, 8, 8)
    gate = torch.sigmoid(torch.tensor(-2.0))
    for one, other in zip(usual.stages[0], damped.stages[0], strict=True):
        torch.testing.assert_close(other.train().branch(x), gate * one.train().branch(x))


def test_an_orthogonal_start_keeps_the_size_of_what_passes_through_it():
    torch.manual_seed(0)
    model = build_model("plain", 18, classes=10, stem="small", normalisation="orthogonal")
    for stage in model.stages:
        for block in stage:
            weight = block.branch.conv2.weight.detach()
            centre = weight[:, :, 1, 1]
            assert torch.allclose(centre.T @ centre, 2 * torch.eye(len(centre)), atol=1e-4)
            assert weight.square().sum() == pytest.approx(centre.square().sum().item())
            x = torch.randn(2, len(centre), 5, 5)
            passed = block.branch.conv2(x)
            assert passed.norm().item() == pytest.approx(2**0.5 * x.norm().item(), rel=1e-4)


@pytest.mark.parametrize("normalisation", ["zero-gamma", "skip-init"])
def test_branches_that_start_at_zero_leave_the_input_as_it_is(normalisation):
    model = build_model("residual", 8, classes=10, stem="small", normalisation=normalisation)
    _, stages = model(torch.randn(2, 3, 16, 16), return_stages=True)
    assert stages["stem"].any()
    assert torch.equal(stages["stage1"], stages["stem"])


@pytest.mark.parametrize(
    ("family", "normalisation"),
    [("plain", "none"), ("residual", "none"), ("residual", "skip-init")],
)
def test_a_net_without_batch_normalisation_has_biases_instead(family, normalisation):
    model = build_model(family, 18, classes=10, normalisation=normalisation)
    assert not any(isinstance(part, nn.BatchNorm2d) for part in model.modules())
    convolutions = [part for part in model.modules() if isinstance(part, nn.Conv2d)]
    assert len(convolutions) == 17
    assert all(part.bias is not None and not part.bias.any() for part in convolutions)
    usual = build_model(family, 18, classes=10)
    # γ and β of each normalisation against one bias, and a factor for each of eight branches.
    channels = sum(part.out_channels for part in convolutions)
    factors = 8 if normalisation == "skip-init" else 0
    assert count_parameters(usual) - count_parameters(model) == channels - factors


def test_plain_and_residual_nets_of_one_seed_start_from_the_same_weights():
    models = []
    for family in ("plain", "residual"):
        torch.manual_seed(3)
        models.append(build_model(family, 34, classes=10, width=4))
    plain, residual = (list(model.state_dict().items()) for model in models)
    assert [name for name, _ in plain] == [name for name, _ in residual]
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(plain, residual, strict=True))


def test_seeds_give_different_weights():
    weights = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        weights.append(build_model("plain", 8, classes=10).state_dict()["stem.0.weight"])
    assert not torch.equal(*weights)


@pytest.mark.parametrize(
    ("depth", "stem", "size", "shapes"),
    [
        (
            18,
            "imagenet",
            64,
            {
                "stem": (64, 16, 16),
                "stage1": (64, 16, 16),
                "stage2": (128, 8, 8),
                "stage3": (256, 4, 4),
                "stage4": (512, 2, 2),
            },
        ),
        (
            20,
            "small",
            32,
            {
                "stem": (16, 32, 32),
                "stage1": (16, 32, 32),
                "stage2": (32, 16, 16),
                "stage3": (64, 8, 8),
            },
        ),
    ],
)
def test_named_stages_come_back_with_the_logits(depth, stem, size, shapes):
    model = build_model("residual", depth, classes=7, stem=stem).eval()
    images = torch.randn(2, 3, size, size)
    logits, stages = model(images, return_stages=True)
    assert {name: tuple(output.shape[1:]) for name, output in stages.items()} == shapes
    assert torch.equal(model(images), logits)
    assert logits.shape == (2, 7)


def test_width_and_channels_are_arguments():
    model = build_model("plain", 18, classes=10, channels=1, stem="small", width=5)
    _, stages = model(torch.randn(2, 1, 8, 8), return_stages=True)
    assert [output.shape[1] for output in stages.values()] == [5, 5, 10, 20, 40]


def test_every_stage_can_have_a_width_of_its_own():
    model = build_model("residual", 18, classes=10, channels=1, stem="small", width=(5, 7, 8, 8))
    _, stages = model(torch.randn(2, 1, 8, 8), return_stages=True)
    assert [output.shape[1] for output in stages.values()] == [5, 5, 7, 8, 8]


@pytest.mark.parametrize(
    ("changes", "accepted"),
    [
        ({"family": "plian"}, "plain, residual"),
        ({"depth": 19}, "18, 34"),
        ({"depth": 2}, "18, 34"),
        ({"depth": -4}, "18, 34"),
        ({"stem": "large"}, "imagenet, small"),
        ({"shortcut": "D"}, "A, B, C"),
        ({"width": 0}, "1 or more"),
    ],
)
def test_what_cannot_be_built_is_refused_with_what_can(changes, accepted):
    arguments = {"family": "plain", "depth": 18, "classes": 10, **changes}
    with pytest.raises(InputError, match=f"accepted: .*{accepted}") as refusal:
        build_model(**arguments)
    assert str(next(iter(changes.values()))) in str(refusal.value)


def test_convolutions_are_he_initialised():
    torch.manual_seed(0)
    model = build_model("residual", 18, classes=10)
    # The widening layer of stage 4: 256 to 512 channels, so that fan-in and fan-out differ.
    weights = model.state_dict()["stages.3.0.branch.conv1.weight"]
    assert weights.shape == (512, 256, 3, 3)
    assert weights.std() == pytest.approx((2 / (9 * 512)) ** 0.5, rel=0.01)
    assert weights.mean() == pytest.approx(0, abs=1e-4)
