"""The live pieces: nets in the page that are torch's, and charts that answer."""

from itertools import product

import browser
import pytest
import torch
from torch.nn import functional as F

from resnet_study import paths
from resnet_study.diagnostics.norms import layer_norms
from resnet_study.models.fully_connected import build_fully_connected

pytestmark = pytest.mark.skipif(
    browser.find() is None, reason="no browser is installed: apt-get install chromium"
)
NET = paths.ROOT / "book" / "_static" / "net.js"
BATCH, STEPS, RATE, MOMENTUM, DECAY = 16, 4, 0.05, 0.9, 1e-4


@pytest.fixture(scope="module")
def opened():
    with browser.opened() as opened:
        yield opened


# The nets, beside torch's.


@pytest.fixture(scope="module")
def scripted(opened):
    """An empty page that knows the nets."""
    page = opened.new_page()
    page.add_script_tag(path=NET)
    yield page
    page.context.close()


def _start(scripted, **config):
    """Parameters of a new net in the page, in torch's order."""
    usual = {"depth": 6, "width": 8, "inputs": 64, "batch": BATCH, "zeroGamma": False, "seed": 3}
    usual |= {"shortcut": False, "normalised": True, "activation": "relu", "start": "he"}
    values = scripted.evaluate(
        """(config) => {
          window.net = new (studyNets().Net)(config);
          return net.parameters.map(({ value }) => [...value]);
        }""",
        usual | config,
    )
    return [torch.tensor(value, dtype=torch.float64) for value in values]


def _step(scripted, images, labels):
    """Logits, loss, gradients, norms by layer and, after a step, parameters of the page's net."""
    found = scripted.evaluate(
        """([images, labels, rate, momentum, decay]) => {
          net.forward(Float64Array.from(images));
          const logits = [...net.logits];
          const { loss, missed } = net.loss(labels);
          const norms = net.backward(Float64Array.from(images));
          const gradients = net.parameters.map(({ gradient }) => [...gradient]);
          net.step(rate, momentum, decay);
          return { logits, loss, missed, norms, gradients,
            values: net.parameters.map(({ value }) => [...value]) };
        }""",
        [images.flatten().tolist(), labels.tolist(), RATE, MOMENTUM, DECAY],
    )
    return {
        name: [torch.tensor(part, dtype=torch.float64) for part in value]
        if name in ("gradients", "values")
        else torch.tensor(value, dtype=torch.float64)
        for name, value in found.items()
    }


def _as_in_the_page(parameter):
    """Weights lie in the page as inputs × units, in torch the other way round."""
    return parameter.detach().T.flatten() if parameter.ndim == 2 else parameter.detach()


def _put(model, values):
    """Give a model the parameters of the page."""
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), values, strict=True):
            shape = parameter.T.shape if parameter.ndim == 2 else parameter.shape
            value = value.reshape(shape)
            parameter.copy_(value.T if parameter.ndim == 2 else value)


@pytest.mark.parametrize(
    ("activation", "normalised", "shortcut"),
    list(product(("sigmoid", "tanh", "relu"), (False, True), (False, True))),
)
def test_a_net_in_the_page_is_torchs_and_learns_as_it_does(
    scripted, activation, normalised, shortcut
):
    options = {"activation": activation, "normalised": normalised, "shortcut": shortcut}
    values = _start(scripted, **options)
    model = build_fully_connected(6, width=8, inputs=64, classes=10, **options).double()
    _put(model, values)
    optimiser = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM, weight_decay=DECAY)
    blocks = ("0", "1", "2") if shortcut else ("1", "3", "5")
    close = {"rtol": 1e-5, "atol": 1e-9}
    torch.manual_seed(0)
    for _ in range(STEPS):
        images = torch.randn(BATCH, 64, dtype=torch.float64)
        labels = torch.randint(10, (BATCH,))
        norms = layer_norms(model, images, labels, ["stem", *(f"body.{b}" for b in blocks)])
        logits = model(images)
        loss = F.cross_entropy(logits, labels)
        optimiser.zero_grad()
        loss.backward()
        found = _step(scripted, images, labels)
        torch.testing.assert_close(found["logits"], logits.detach().flatten(), **close)
        torch.testing.assert_close(found["loss"], loss.detach(), **close)
        assert found["missed"] == (logits.argmax(dim=1) != labels).sum()
        torch.testing.assert_close(found["norms"], torch.tensor(norms.gradient.to_numpy()), **close)
        for gradient, parameter in zip(found["gradients"], model.parameters(), strict=True):
            torch.testing.assert_close(gradient, _as_in_the_page(parameter.grad), **close)
        optimiser.step()
        for value, parameter in zip(found["values"], model.parameters(), strict=True):
            torch.testing.assert_close(value, _as_in_the_page(parameter), **close)


@pytest.mark.parametrize(("start", "variance"), [("he", 2), ("lecun", 1)])
def test_drawn_weights_have_the_variance_of_their_start(scripted, start, variance):
    stem = _start(scripted, width=64, start=start)[0]
    assert stem.mean().abs() < 0.01
    assert stem.var() * 64 == pytest.approx(variance, rel=0.1)


@pytest.mark.parametrize(("activation", "square"), [("relu", 2), ("tanh", 1)])
def test_orthogonal_weights_have_columns_of_one_length(scripted, activation, square):
    stem, _, square_layer, *_ = _start(
        scripted, start="orthogonal", activation=activation, normalised=False
    )
    for weight in (stem.reshape(64, 8), square_layer.reshape(8, 8)):
        expected = square * torch.eye(8, dtype=torch.float64)
        torch.testing.assert_close(weight.T @ weight, expected)


def test_identity_and_zero_gamma_pass_on_what_comes_in(scripted):
    _, _, square_layer, *_ = _start(scripted, start="identity", normalised=False)
    assert torch.equal(square_layer.reshape(8, 8), torch.eye(8, dtype=torch.float64))
    values = _start(scripted, shortcut=True, zeroGamma=True)
    gammas = [float(value[0]) for value in values[1:-2:3]]
    assert gammas == [1, 1, 0, 1, 0, 1, 0]


def test_both_nets_of_a_seed_start_from_the_same_weights(scripted):
    plain, residual = (_start(scripted, shortcut=shortcut) for shortcut in (False, True))
    assert all(torch.equal(one, other) for one, other in zip(plain, residual, strict=True))
    assert not torch.equal(plain[0], _start(scripted, seed=4)[0])
