import math

import pytest
import torch
from torch import nn
from torchvision.models import resnet18

from resnet_study.diagnostics.inspection import calibrate
from resnet_study.diagnostics.shattering import (
    BATCH,
    ScalarNetwork,
    autocorrelation,
    gradient_autocorrelation,
    input_gradients,
    line,
    scalar_autocorrelation,
)
from resnet_study.errors import InputError
from resnet_study.models.networks import build_model

EXPECTED = {  # layers: lag 1 of plain and of residual nets
    2: (0.95, 0.99),
    10: (0.39, 0.89),
    24: (-0.01, 0.78),
    50: (-0.04, 0.68),
}


class Square(nn.Module):
    """(N, 2) to the logits x² and x·y, of gradients (2x, 0) and (y, x)."""

    def forward(self, points):
        x, y = points.T
        return torch.stack([x**2, x * y], dim=1)


def _classifier(family, depth=8):
    torch.manual_seed(0)
    return build_model(family, depth, classes=3, channels=1, stem="small", width=4)


def _images(points, shape=(1, 8, 8)):
    ends = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
    return line(*ends, points)


@pytest.mark.parametrize("layers", EXPECTED)
@pytest.mark.slow
def test_correlations_of_toy_networks_are_the_known_ones(layers):
    found = [
        scalar_autocorrelation(family, layers, [1], seeds=range(8)).correlation
        for family in ("plain", "residual")
    ]
    for correlation, expected in zip(found, EXPECTED[layers], strict=True):
        assert correlation.mean() == pytest.approx(expected, abs=0.07)
    if layers > 2:  # at 2 both hardly fall
        assert found[0].max() < found[1].min()


def test_the_weights_of_a_toy_network_have_he_variance_and_there_are_no_biases():
    torch.manual_seed(0)
    linear = [part for part in ScalarNetwork("plain", 3).modules() if isinstance(part, nn.Linear)]
    assert [part.in_features for part in linear] == [1, 200, 200, 200, 200]
    assert all(part.bias is None for part in linear)
    for part in linear:
        variance = part.weight.var().item()
        assert variance == pytest.approx(2 / part.in_features, rel=5 / part.weight.numel() ** 0.5)


def test_a_small_branch_keeps_the_gradients_alike():
    small, large = (
        scalar_autocorrelation("residual", 24, [1], [0, 1], beta).correlation for beta in (0.1, 1.0)
    )
    assert small.min() > large.max() + 0.05


def test_a_draw_is_decided_by_its_seed_and_leaves_the_random_state_alone():
    state = torch.get_rng_state()
    table = scalar_autocorrelation("plain", 2, [0, 3], seeds=[4, 5])
    assert torch.equal(torch.get_rng_state(), state)
    assert table[["seed", "lag"]].to_numpy().tolist() == [[4, 0], [4, 3], [5, 0], [5, 3]]
    assert table.correlation[0] == pytest.approx(1) and table.correlation[2] == pytest.approx(1)
    torch.randn(3)
    again = scalar_autocorrelation("plain", 2, [3], seeds=[5])
    assert again.correlation[0] == table.correlation[3] != table.correlation[1]


def test_the_autocorrelation_of_an_alternating_series_is_known():
    series = torch.tensor([1.0, -1.0] * 5) + 7
    found = autocorrelation(series, [0, 1, 2, 9])
    assert found.tolist() == pytest.approx([1, -0.9, 0.8, -0.1])


def test_the_autocorrelation_of_vectors_sums_over_their_entries():
    slow, fast = torch.tensor([1.0, 1, -1, -1]), torch.tensor([3.0, -3, 3, -3])
    both = torch.stack([slow, fast], dim=1).reshape(4, 1, 2, 1)
    # Σ of products at lag 1: 1 − 1 + 1 = 1 and −9·3; of squares: 4 and 36.
    assert autocorrelation(both, [1]).item() == pytest.approx((1 - 27) / (4 + 36))
    assert autocorrelation(slow, [1]).item() == pytest.approx(1 / 4)


def test_white_noise_has_no_autocorrelation_and_brown_noise_much():
    white = torch.randn(256, 40, generator=torch.Generator().manual_seed(0))
    found = torch.stack([autocorrelation(series, [1, 5]) for series in white.T])
    assert found.mean(dim=0).tolist() == pytest.approx([-1 / 256] * 2, abs=3 / math.sqrt(40 * 256))
    brown = white.cumsum(dim=0)
    assert min(autocorrelation(series, [1]).item() for series in brown.T) > 0.9


def test_the_constant_gradient_of_a_linear_model_has_no_correlation():
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    table = gradient_autocorrelation(model, _images(77), [0, 1])
    assert table.correlation.isna().all()
    gradients = input_gradients(model, _images(77), output=2)
    torch.testing.assert_close(gradients.flatten(1), model[1].weight[2].expand(77, 64))
    nearly = gradients + 1e-8 * torch.randn(gradients.shape)
    assert autocorrelation(nearly, [1]).isnan().all()


def test_a_line_is_straight_and_has_equidistant_points():
    found = line(torch.tensor([[-2.0, 1]]), torch.tensor([[2.0, 1]]), 5)
    assert found.tolist() == [[[x, 1]] for x in (-2, -1, 0, 1, 2)]


def test_gradients_are_those_of_the_output_asked_for_at_each_input():
    points = torch.randn(BATCH + 6, 2, generator=torch.Generator().manual_seed(0))
    x, y = points.T
    torch.testing.assert_close(input_gradients(Square(), points), torch.stack([2 * x, 0 * x], 1))
    torch.testing.assert_close(input_gradients(Square(), points, 1), torch.stack([y, x], 1))
    assert not points.requires_grad


@pytest.mark.parametrize("family", ["plain", "residual"])
def test_the_images_of_a_line_do_not_mix(family):
    model, images = _classifier(family), _images(9)
    calibrate(model, images)
    found = input_gradients(model, images, output=1)
    for image, gradient in zip(images, found, strict=True):
        alone = image[None].clone().requires_grad_()
        model(alone)[0, 1].backward()
        torch.testing.assert_close(gradient, alone.grad[0], atol=1e-5, rtol=1e-4)


def test_gradients_of_images_shatter_in_a_plain_net_more_than_in_a_residual_one():
    images, found = _images(64), {}
    for family in ("plain", "residual"):
        model = _classifier(family, depth=32)
        calibrate(model, images)
        found[family] = gradient_autocorrelation(model, images, [1]).correlation[0]
    assert found["plain"] < found["residual"] - 0.1


def test_torchvisions_resnet_is_measured_and_left_as_it_was():
    torch.manual_seed(0)
    model, images = resnet18(), _images(8, shape=(3, 32, 32))
    calibrate(model, images)
    model(images).sum().backward()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    gradients, state = [p.grad.clone() for p in model.parameters()], torch.get_rng_state()
    table = gradient_autocorrelation(model, images, [0, 1, 2], output=999)
    assert list(table.columns) == ["lag", "correlation"] and table.lag.tolist() == [0, 1, 2]
    assert table.correlation[0] == pytest.approx(1) and table.correlation.abs().max() < 1.001
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), gradients, strict=True))
    assert torch.equal(torch.get_rng_state(), state)


def test_mistakes_are_refused_in_one_line():
    model, images = _classifier("plain").eval(), _images(4)
    with pytest.raises(InputError, match="the batch is empty"):
        gradient_autocorrelation(model, images[:0], [1])
    with pytest.raises(InputError, match=r"is in training mode; accepted: model.eval\(\)"):
        gradient_autocorrelation(model.train(), images, [1])
    with pytest.raises(InputError, match="output 3 is impossible; accepted: 0 to 2"):
        gradient_autocorrelation(model.eval(), images, [1], output=3)
    for lag in (-1, 4):
        with pytest.raises(InputError, match=f"lag {lag} is impossible; accepted: 0 to 3"):
            gradient_autocorrelation(model, images, [lag])
    with pytest.raises(InputError, match="lag 1.0 is no whole number"):
        autocorrelation(images, [1.0])
    with pytest.raises(InputError, match=r"shapes \(1,\) and \(2,\); accepted: two of one shape"):
        line(torch.zeros(1), torch.zeros(2))
    with pytest.raises(InputError, match="points 1 is impossible; accepted: 2 or more"):
        line(torch.zeros(1), torch.ones(1), 1)
    with pytest.raises(InputError, match="family 'dense' is unknown; accepted: plain, residual"):
        ScalarNetwork("dense", 2)
    with pytest.raises(InputError, match="layers 0 is impossible; accepted: 1 or more"):
        ScalarNetwork("plain", 0)
