import pytest
import torch
from torch import nn
from torchvision.models import resnet18

from resnet_study.diagnostics.inspection import calibrate
from resnet_study.diagnostics.jacobian import jacobian, singular_values
from resnet_study.errors import InputError
from resnet_study.models.networks import build_model


def _calibrated(family):
    """An untrained model and the images that it is calibrated on."""
    torch.manual_seed(0)
    images = torch.randn(4, 1, 6, 6, dtype=torch.double)
    model = build_model(family, 8, classes=3, channels=1, stem="small", width=4).double()
    calibrate(model, images)
    return model, images


def test_a_linear_model_has_the_singular_values_of_its_matrix_at_every_image():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 5))
    table = singular_values(model, torch.randn(3, 3, 2, 2))
    assert table[["image", "index"]].to_numpy().tolist() == [
        [image, index] for image in range(3) for index in range(5)
    ]
    expected = torch.linalg.svdvals(model[1].weight.detach()).tolist()
    assert expected[0] > expected[-1]
    for _, values in table.groupby("image").value:
        assert values.tolist() == pytest.approx(expected, rel=1e-5)


def test_a_deep_linear_net_of_orthogonal_matrices_has_singular_values_of_one():
    torch.manual_seed(0)
    layers = [nn.Linear(16, 16, bias=False) for _ in range(50)]
    model, images = nn.Sequential(nn.Flatten(), *layers), torch.randn(2, 1, 4, 4)
    usual = singular_values(model, images).value
    for layer in layers:
        nn.init.orthogonal_(layer.weight)
    assert singular_values(model, images).value.tolist() == pytest.approx([1] * 32, rel=1e-4)
    assert usual.max() < 1e-3, "other matrices would do as well, so the test shows nothing"


@pytest.mark.parametrize("family", ["plain", "residual", "highway"])
def test_the_jacobian_is_that_of_finite_differences(family):
    model, images = _calibrated(family)
    steps = 1e-6 * torch.eye(36, dtype=torch.double).reshape(36, 1, 6, 6)
    table = singular_values(model, images)
    for position, image in enumerate(images):
        with torch.no_grad():
            differences = (model(image + steps) - model(image - steps)) / 2e-6
        torch.testing.assert_close(jacobian(model, image), differences.T, atol=1e-7, rtol=1e-5)
        values = table.value[table.image == position].tolist()
        assert values == pytest.approx(torch.linalg.svdvals(differences).tolist(), rel=1e-5)


def test_torchvisions_resnet_is_measured_and_left_as_it_was():
    torch.manual_seed(0)
    model, images = resnet18(num_classes=10), torch.randn(4, 3, 32, 32)
    calibrate(model, images)
    model(images).sum().backward()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    gradients, state = [p.grad.clone() for p in model.parameters()], torch.get_rng_state()
    table = singular_values(model, images[:2])
    assert list(table.columns) == ["image", "index", "value"] and len(table) == 20
    for _, values in table.groupby("image").value:
        assert values.is_monotonic_decreasing and values.min() > 0
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), gradients, strict=True))
    assert torch.equal(torch.get_rng_state(), state)


def test_an_empty_batch_and_training_mode_are_refused():
    model, images = _calibrated("residual")
    with pytest.raises(InputError, match="the batch is empty"):
        singular_values(model, images[:0])
    with pytest.raises(InputError, match=r"is in training mode; accepted: model.eval\(\)"):
        singular_values(model.train(), images)
