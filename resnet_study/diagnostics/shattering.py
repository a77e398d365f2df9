"""Shattered gradients: how alike the gradients at neighbouring points of a line are.

With depth, the gradient of a plain net with respect to its input comes to look like white noise
along a line of inputs; with shortcuts, far less. Lag 1 of the autocorrelation shows it.

Reference: D. Balduzzi, M. Frean, L. Leary, J. P. Lewis, K. W.-D. Ma, B. McWilliams, "The shattered
gradients problem: if resnets are the answer, then what is the question?", arXiv 1702.08591,
sections 1 to 3 and Figures 1 and 2.
"""

from collections.abc import Iterable

import pandas as pd
import torch
from torch import Tensor, nn

from resnet_study.diagnostics.inspection import calibrate, require_batch, require_mode, untouched
from resnet_study.errors import InputError, require_at_least, require_integers, require_one_of

WIDTH = 200  # rectifiers in each layer of a ScalarNetwork, as in the paper
POINTS = 256  # of the grid on [-2, 2], as in the paper
BATCH = 64  # inputs at a time, so that a line of large images fits into memory


def line(start: Tensor, end: Tensor, points: int = POINTS) -> Tensor:
    """Equidistant points of the straight line from ``start`` to ``end``: (...) to (points, ...).

    Raises:
        InputError: for two ends of different shapes, or fewer than two points.
    """
    require_integers(points=points)
    require_at_least("points", points, 2)
    if start.shape != end.shape:
        shapes = f"{tuple(start.shape)} and {tuple(end.shape)}"
        raise InputError(f"the ends have shapes {shapes}; accepted: two of one shape")
    share = torch.linspace(0, 1, points, dtype=start.dtype, device=start.device)
    return start + share.reshape(-1, *[1] * start.dim()) * (end - start)


def input_gradients(model: nn.Module, inputs: Tensor, output: int = 0) -> Tensor:
    """The gradient of ``output`` by the input, at each of ``inputs`` (N, ...), of the same shape.

    In evaluation mode, in which the inputs do not mix: in training mode, each would also act on the
    outputs of the others, through the statistics of the batch. Call
    :func:`resnet_study.diagnostics.inspection.calibrate` first where a network is untrained.

    Raises:
        InputError: for an empty batch, an output that the model does not have, or batch
            normalisation in training mode.
    """
    require_batch(inputs)
    require_mode(model, training=False)
    gradients = []
    with untouched(model), torch.enable_grad():
        for part in inputs.detach().split(BATCH):
            outputs = model(part.requires_grad_())
            _require_below("output", output, outputs.shape[1])
            gradients += torch.autograd.grad(outputs[:, output].sum(), part)
    return torch.cat(gradients)


def autocorrelation(gradients: Tensor, lags: Iterable[int]) -> Tensor:
    r"""Autocorrelation of gradients g (points, ...) along their line: one value a lag k.

    .. math::

        r_k = \frac{\sum_i \langle g_i - \bar g,\; g_{i+k} - \bar g \rangle}
                   {\sum_i \lVert g_i - \bar g \rVert^2}

    The sum over pairs has k terms fewer than the one over points, as usual for a series, so that
    it lies in [−1, 1]; white noise of n points has :math:`-1/n` on average. Gradients that are the
    same everywhere, as those of a linear model, have no correlation: it is NaN. So are those that
    differ by no more than rounding.

    Raises:
        InputError: for no points, or a lag that is no whole number from 0 to points − 1.
    """
    require_batch(gradients)
    points = len(gradients)
    exact = gradients.detach().double().reshape(points, -1)
    deviations = exact - exact.mean(dim=0)
    rounding = 10 * torch.finfo(gradients.dtype).eps * exact.norm()
    constant = deviations.norm() <= rounding
    values = []
    for lag in lags:
        _require_below("lag", lag, points)
        covariance = (deviations[: points - lag] * deviations[lag:]).sum()
        values.append(torch.nan if constant else covariance / deviations.square().sum())
    return torch.tensor(values, dtype=torch.double)


def _require_below(name: str, value: int, end: int) -> None:
    require_integers(**{name: value})
    if not 0 <= value < end:
        raise InputError(f"{name} {value} is impossible; accepted: 0 to {end - 1}")


def gradient_autocorrelation(
    model: nn.Module, inputs: Tensor, lags: Iterable[int], output: int = 0
) -> pd.DataFrame:
    """Autocorrelation of :func:`input_gradients` along a line of inputs (points, ...).

    Columns ``lag``, in points, and ``correlation``; one row a lag. ``inputs`` come from
    :func:`line`: a grid of scalars for a :class:`ScalarNetwork`, the way from one image to
    another for a classifier, whose function is then the logit of class ``output``. The mean over
    lines or draws is the caller's: concatenate the tables and group them by lag. A trained network
    is measured as it is, an untrained one after ``calibrate(model, inputs)``.

    Raises:
        InputError: as :func:`input_gradients` and :func:`autocorrelation`.
    """
    lags = list(lags)
    correlation = autocorrelation(input_gradients(model, inputs, output), lags)
    return pd.DataFrame({"lag": lags, "correlation": correlation.numpy()})


class ScalarNetwork(nn.Module):
    r"""Fully connected rectifiers of scalars, (N, 1) to (N, 1): the paper's toy networks.

    :math:`x_0 = W_0 x`; then ``layers`` times
    :math:`B(x) = W\,\mathrm{ReLU}(\mathrm{BN}(x))` and :math:`x \leftarrow B(x)` (plain) or
    :math:`x \leftarrow x + \beta B(x)` (residual); :math:`f = w\,\mathrm{ReLU}(\mathrm{BN}(x))`.
    ``WIDTH`` units, weights :math:`\mathcal{N}(0, 2/\text{fan-in})` (He), no biases.

    Those two, and where normalisation goes, were chosen by trial, against the list of facts that
    this study began with. It ascribes to the paper a lag 1 on ``POINTS`` points of [−2, 2] at 2,
    10, 24 and 50 layers of .95, .39, −.01 and −.04 for plain nets and .99, .89, .78 and .68 for
    residual ones. Here it is .95, .37, .00, .02 and .96, .86, .75, .64 with β = 1; means of 40
    draws, whose standard deviation is up to .08.
    Without normalisation and with random biases, a plain net of 50 layers would still have .7 to
    .9; with gradients through the statistics of the batch, one of 10 layers would have .07.

    Raises:
        InputError: for a family that does not exist, or fewer layers than one.
    """

    def __init__(self, family: str, layers: int, beta: float = 1.0):
        super().__init__()
        require_one_of("family", family, ("plain", "residual"))
        require_integers(layers=layers)
        require_at_least("layers", layers, 1)
        self.residual = family == "residual"
        self.beta = beta
        self.stem = _linear(1, WIDTH)
        self.layers = nn.ModuleList(_layer(WIDTH) for _ in range(layers))
        self.readout = _layer(1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for layer in self.layers:
            x = x + self.beta * layer(x) if self.residual else layer(x)
        return self.readout(x)


def _linear(units_in: int, units_out: int) -> nn.Linear:
    layer = nn.Linear(units_in, units_out, bias=False)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return layer


def _layer(units: int) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm1d(WIDTH), nn.ReLU(), _linear(WIDTH, units))


def scalar_autocorrelation(
    family: str, layers: int, lags: Iterable[int], seeds: Iterable[int], beta: float = 1.0
) -> pd.DataFrame:
    """Autocorrelation on [−2, 2] of one :class:`ScalarNetwork` a seed, calibrated on the grid.

    Columns ``seed``, ``lag`` and ``correlation``; the paper shows the mean over 20 draws.
    torch's random generator is left as it is.

    Raises:
        InputError: as :class:`ScalarNetwork` and :func:`autocorrelation`.
    """
    lags = list(lags)
    grid = line(torch.tensor([-2.0]), torch.tensor([2.0]))
    tables = []
    for seed in seeds:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = ScalarNetwork(family, layers, beta)
        calibrate(model, grid)
        tables.append(gradient_autocorrelation(model, grid, lags).assign(seed=seed))
    return pd.concat(tables, ignore_index=True)[["seed", "lag", "correlation"]]
