"""Growth of the gradient: closed forms, and the factors and totals of the literature."""

import math
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
import torch

from resnet_study.diagnostics.growth import growth, growth_over_draws
from resnet_study.diagnostics.norms import layer_norms
from resnet_study.errors import InputError
from resnet_study.models.fully_connected import INITIALISATIONS, build_fully_connected
from resnet_study.statistics import estimate


def _table(gradients):
    return pd.DataFrame({"position": range(1, len(gradients) + 1), "gradient": gradients})


def _norms(depth, *, images=64, width=256, seed=0, **options):
    """Norms of the layers of a plain net, or of the blocks of one with shortcuts."""
    torch.manual_seed(seed)
    model = build_fully_connected(depth, width=width, inputs=64, classes=10, **options)
    if options.get("shortcut"):
        layers = ["stem", *(f"body.{index}" for index in range(depth // 2))]
    else:
        layers = ["stem.linear", *(f"body.{index}.linear" for index in range(depth))]
    return layer_norms(model, torch.randn(images, 64), torch.arange(images) % 10, layers)


POSITION = np.arange(1, 21)


@pytest.mark.parametrize(
    ("logarithm", "law"),
    [(POSITION, "l"), (np.sqrt(POSITION), "sqrt(l)"), (np.log(POSITION), "log(l)")],
)
@pytest.mark.parametrize("slope", [-0.4, 0.7])
def test_the_law_that_made_the_gradients_fits_best(logarithm, law, slope):
    found = growth(_table(np.exp(3 + slope * logarithm)))
    assert found.best == law
    assert found.r_squared[law] == pytest.approx(1)
    others = {name: value for name, value in found.r_squared.items() if name != law}
    assert len(others) == 2 and max(others.values()) < 0.99


@pytest.mark.parametrize("factor", [0.25, 0.9, 1.21])
def test_factor_and_total_are_those_of_a_geometric_series(factor):
    table = _table(factor ** np.arange(9, -1, -1.0))
    found = growth(table.sample(frac=1, random_state=0))  # rows may come in any order
    assert found.factor == pytest.approx(factor)
    assert found.total == pytest.approx(factor**9)
    assert found.left_out == 0


@pytest.mark.parametrize(
    ("gradient", "total"), [(0.0, 0.0), (math.inf, math.inf), (math.nan, math.nan)]
)
def test_layers_without_a_logarithm_are_left_out_of_the_fits_but_not_of_the_total(gradient, total):
    found = growth(_table([gradient, gradient, *(0.5 ** np.arange(7, -1, -1.0))]))
    assert found.factor == pytest.approx(0.5)
    assert found.best == "l"
    assert found.total == pytest.approx(total, nan_ok=True)
    assert found.left_out == 2


def test_two_layers_are_too_few_for_a_fit():
    found = growth(_table([0, 0, 0.5, 1]))
    assert math.isnan(found.factor) and found.best is None
    assert all(math.isnan(value) for value in found.r_squared.values())
    assert (found.total, found.left_out) == (0, 2)
    with pytest.raises(InputError, match="number of layers in the table 2 is impossible"):
        growth(_table([0.5, 1]))


def test_a_gradient_that_stays_the_same_follows_no_law():
    found = growth(_table([2.0] * 5))
    assert (found.factor, found.total, found.best) == (pytest.approx(1), 1, None)


FACTORS = [
    ("sigmoid", "lecun", 0.235),
    ("tanh", "lecun", 0.96),
    ("relu", "lecun", 0.71),
    ("relu", "he", 0.995),
]


@pytest.mark.parametrize(("activation", "initialisation", "factor"), FACTORS)
def test_plain_nets_multiply_the_gradient_by_the_known_factor(
    activation, initialisation, factor, monkeypatch
):
    """The wrong variance lies outside of the tolerance."""

    def measure():
        return growth(_norms(40, activation=activation, initialisation=initialisation)).factor

    assert measure() == pytest.approx(factor, abs=0.015)
    monkeypatch.setitem(INITIALISATIONS, initialisation, 3 - INITIALISATIONS[initialisation])
    assert abs(measure() - factor) > 4 * 0.015


def test_sigmoids_lose_25_decades_over_40_layers():
    total = growth(_norms(40, activation="sigmoid", initialisation="lecun")).total
    assert math.log10(total) == pytest.approx(math.log10(6e-26), abs=0.3)


def test_a_gradient_that_underflows_still_has_its_factor():
    found = growth(_norms(90, width=64, activation="sigmoid", initialisation="lecun"))
    assert found.total == 0 and found.left_out > 10
    assert found.factor == pytest.approx(0.235, abs=0.015)


TOTALS = [
    # depth, total without shortcuts, with them
    (18, 18, 11),
    (32, 260, 22),
    (54, 1.3e4, 41),
]


@pytest.mark.parametrize(("depth", "plain", "residual"), TOTALS)
def test_normalised_nets_explode_without_shortcuts_and_hardly_with_them(depth, plain, residual):
    """Totals depend a little on the batch: smaller ones normalise less well."""
    options = {"images": 256, "normalised": True}
    assert growth(_norms(depth, **options)).total == pytest.approx(plain, rel=0.25)
    found = growth(_norms(depth, shortcut=True, **options))
    assert found.total == pytest.approx(residual, rel=0.15)


def test_normalisation_multiplies_by_the_known_factor_and_shortcuts_make_it_a_power():
    """√(π/(π − 1)) at each layer; Yang et al. 2019, arXiv 1902.08129."""
    plain = growth(_norms(54, images=128, width=128, normalised=True))
    assert plain.factor == pytest.approx(math.sqrt(math.pi / (math.pi - 1)), abs=0.02)
    assert plain.best == "l"
    residual = growth(_norms(54, images=128, width=128, normalised=True, shortcut=True))
    assert residual.best == "log(l)"
    assert residual.r_squared["log(l)"] > 0.98 > 0.9 > residual.r_squared["l"]
    bare = growth(_norms(54, images=128, width=128))
    assert bare.factor == pytest.approx(1, abs=0.02)


def _draws(count, **options):
    tables = [_norms(20, width=64, seed=seed, **options) for seed in range(count)]
    return pd.concat(tables, keys=range(count), names=["draw"]).reset_index("draw")


def test_draws_of_the_weights_give_an_interval():
    norms = _draws(5, activation="relu", initialisation="lecun")
    table = growth_over_draws(norms).set_index("quantity")
    each = [growth(draw) for _, draw in norms.groupby("draw")]
    factors = pd.Series([draw.factor for draw in each])
    decades = pd.Series([math.log10(draw.total) for draw in each])
    for quantity, values in {"factor": factors, "decades": decades}.items():
        expected = asdict(estimate(values))
        del expected["least"], expected["most"]
        assert table.loc[quantity].to_dict() == pytest.approx(expected)
    assert table.n.eq(5).all()
    assert table["mean"]["factor"] == pytest.approx(0.71, abs=0.015)
    assert (table.low < table["mean"]).all() and (table["mean"] < table.high).all()


def test_draws_without_a_finite_value_are_left_out_and_counted():
    tables = {0: _table([1.0, 2.0, 4.0]), 1: _table([0.0, 2.0, 4.0]), 2: _table([0.0, 1.0, 3, 9])}
    norms = pd.concat(tables, names=["draw"]).reset_index("draw")
    table = growth_over_draws(norms).set_index("quantity")
    assert table.n.to_dict() == {"factor": 2, "decades": 1}
    assert table["mean"].to_dict() == pytest.approx(
        {"factor": (1 / 2 + 1 / 3) / 2, "decades": math.log10(1 / 4)}
    )


def test_a_table_that_does_not_tell_draws_apart_is_refused():
    with pytest.raises(InputError, match="no column 'draw'"):
        growth_over_draws(_table([1.0, 2.0, 4.0]))
