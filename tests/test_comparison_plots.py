from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from resnet_study.figures import data_size as data_size_figures
from resnet_study.figures import highway as highway_figures
from resnet_study.figures import style
from resnet_study.models.options import Gates
from resnet_study.questions.data_size import data_size
from resnet_study.questions.highway import at_best_rates, usual, with_gates

RATE = 0.05
GATES = Gates(kernel=3, bias=-2)


@pytest.fixture(autouse=True)
def close_figures():
    style.use_style()
    yield
    plt.close("all")


def _row(family, depth, seed, error, **changes):
    labels = {"rate": RATE, "fraction": 1.0, "match": None, "start": "drawn"}
    gates = {"gate_kernel": 3, "gate_bias": -2.0} if family == "highway" else {}
    gates = gates or {"gate_kernel": None, "gate_bias": None}
    errors = {"training_error": error, "validation_error": error + 1}
    sizes = {"parameters": 1000, "multiply_adds": 9000}
    row = {"family": family, "depth": depth, "seed": seed, **labels, **gates, **errors, **sizes}
    return row | changes


@pytest.fixture
def runs():
    """Three seeds each, errors two points apart: two kernels, three biases, three rates."""
    rows = []
    for depth in (18, 34):
        for seed in range(3):
            shift = 2 * seed
            rows.append(_row("plain", depth, seed, 40 + shift))
            rows.append(_row("residual", depth, seed, 2 + shift))
            for kernel in (1, 3):
                for bias in (-6.0, -2.0, 0.0):
                    changes = {"gate_kernel": kernel, "gate_bias": bias}
                    rows.append(_row("highway", depth, seed, kernel - bias + shift, **changes))
            for family in ("plain", "residual", "highway"):
                for rate in (0.0167, 0.15):
                    rows.append(_row(family, depth, seed, 50 + shift, rate=rate))
            rows.append(_row("highway", depth, seed, 90, match="parameters"))
    return pd.DataFrame(rows)


def _points(axes):
    """Of each set of points: their places to mean, lowest and highest."""
    found = []
    for container in axes.containers:
        line, _, (bars,) = container
        reach = [segment[:, 1] for segment in bars.get_segments()]
        found.append(
            {
                round(float(x), 2): (round(float(y), 2), *(round(float(r), 2) for r in ends))
                for (x, y), ends in zip(line.get_xydata(), reach, strict=True)
            }
        )
    return found


def test_usual_runs_have_the_rate_of_the_recipe_whole_widths_and_all_data(runs):
    chosen = usual(runs, RATE)
    assert set(chosen.rate) == {RATE}
    assert chosen.match.isna().all()
    assert len(chosen) == 2 * 3 * (2 + 6)
    assert len(with_gates(chosen, GATES)) == 2 * 3 * 3


def test_each_network_is_taken_at_its_own_best_rate(runs):
    runs.loc[(runs.family == "plain") & (runs.rate == 0.15), "training_error"] = 1
    chosen = at_best_rates(runs, GATES)
    assert chosen.groupby("family").rate.unique().map(list).to_dict() == {
        "plain": [0.15],
        "residual": [RATE],
        "highway": [RATE],
    }
    assert len(chosen) == 2 * 3 * 3
    assert set(chosen[chosen.family == "highway"].gate_bias) == {-2.0}


def test_errors_by_bias_have_a_panel_for_each_split_and_depth(runs):
    figure = highway_figures.errors_by_bias(usual(runs, RATE))
    assert [axes.get_title() for axes in figure.axes] == ["18 layers", "34 layers", "", ""]
    labels = [axes.get_ylabel() for axes in figure.axes]
    assert labels == ["training error (%)", "", "validation error (%)", ""]
    ones, threes = _points(figure.axes[0])
    assert list(ones.values()) == [(9, 7, 11), (5, 3, 7), (3, 1, 5)]  # −6, −2, 0: mean, range
    assert list(threes.values()) == [(11, 9, 13), (7, 5, 9), (5, 3, 7)]
    assert [round(x) for x in threes] == [-6, -2, 0]
    validation = _points(figure.axes[2])[0]
    assert list(validation.values())[0] == (10, 8, 12)


def test_errors_by_bias_of_one_split_have_one_row_and_name_their_lines(runs):
    figure = highway_figures.errors_by_bias(usual(runs, RATE), ["training_error"])
    assert [axes.get_title() for axes in figure.axes] == ["18 layers", "34 layers"]
    for axes in figure.axes:
        assert {text.get_text() for text in axes.texts} >= {"plain", "ResNet"}
        assert axes.get_xlabel() == "gate bias at the start"
        labels = [label.get_text() for label in axes.get_xticklabels()]
        assert labels[0].endswith("shut") and labels[-1].endswith("half open")


def test_nets_without_gates_are_lines_across_with_bands(runs):
    axes = highway_figures.errors_by_bias(usual(runs, RATE)).axes[0]
    across = [line.get_ydata()[0] for line in axes.lines if list(line.get_xdata()) == [0, 1]]
    assert across == [42, 4]
    reach = {(box.get_y(), box.get_y() + box.get_height()) for box in axes.patches}
    assert reach == {(40, 44), (2, 6)}


def test_errors_by_rate_have_a_line_for_each_family(runs):
    figure = highway_figures.errors_by_rate(with_gates(runs[runs.match.isna()], GATES))
    plain, residual, highway = _points(figure.axes[1])
    assert plain == {0.02: (52, 50, 54), 0.05: (42, 40, 44), 0.15: (52, 50, 54)}
    assert residual[0.05] == (4, 2, 6)
    assert highway[0.05] == (7, 5, 9)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["plain", "ResNet", "Highway"]


def test_a_run_that_diverged_is_left_out_of_a_figure(runs):
    runs.loc[(runs.family == "residual") & (runs.seed == 2), "training_error"] = None
    axes = highway_figures.errors_by_bias(usual(runs, RATE)).axes[0]
    assert 3 in [line.get_ydata()[0] for line in axes.lines]


@pytest.mark.parametrize("families", [["plain", "residual"], ["residual"], ["highway"], []])
def test_networks_that_are_not_recorded_are_left_out_of_a_figure(runs, families):
    some = runs[runs.family.isin(families)]
    highway_figures.errors_by_bias(usual(some, RATE))
    highway_figures.errors_by_rate(with_gates(some, GATES))
    data_size_figures.errors_by_fraction(usual(some, RATE))


def _curves(families):
    rows = [
        (family, depth, seed, iteration, 10 + seed, 20 + seed)
        for family in families
        for depth in (18, 34)
        for seed in range(3)
        for iteration in (23, 46)
    ]
    names = ["family", "depth", "seed", "iteration", "training_error", "validation_error"]
    return style.long_curves(pd.DataFrame(rows, columns=names))


@pytest.mark.parametrize("families", [["residual", "highway"], ["residual"], []])
def test_colour_tells_families_apart_and_width_the_splits(families):
    figure = highway_figures.family_curves(_curves(families))
    for axes, depth in zip(figure.axes, (18, 34), strict=True):
        assert axes.get_title() == f"{depth} layers"
        lines = {
            (line.get_color(), line.get_linewidth(), line.get_ydata()[0]) for line in axes.lines
        }
        assert lines == {
            (style.FAMILY_COLOURS[family], style.WIDTHS[split], error)
            for family in families
            for split, error in {"training": 11, "validation": 21}.items()
        }


@pytest.fixture
def fractions():
    """Gaps of −1 in training and 8 to 2 in validation error, for two biases."""
    rows = []
    for fraction, gap in {0.1: 8, 0.25: 6, 0.5: 4, 1.0: 2}.items():
        for seed in range(3):
            rows.append(_row("residual", 18, seed, 10, fraction=fraction))
            for bias in (-1.0, -4.0):
                errors = {"training_error": 9, "validation_error": 11 + gap + seed}
                changes = {"fraction": fraction, "gate_bias": bias}
                rows.append(_row("highway", 18, seed, 0, **errors, **changes))
    return pd.DataFrame(rows)


def test_errors_by_fraction_have_a_line_for_each_bias(fractions):
    figure = data_size_figures.errors_by_fraction(fractions)
    assert [axes.get_title() for axes in figure.axes] == ["training", "validation"]
    residual, first, second = _points(figure.axes[1])
    assert residual == dict.fromkeys((0.1, 0.25, 0.5, 1.0), (11, 11, 11))
    assert first == second
    assert first[0.1] == (20, 19, 21)
    ticks = [text.get_text() for text in figure.axes[1].get_xticklabels()]
    assert ticks == ["10 %", "25 %", "50 %", "100 %"]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "ResNet",
        "Highway, gate 3×3, −1",
        "Highway, gate 3×3, −4",
    ]


def test_gaps_of_few_seeds_are_drawn_with_their_range(fractions):
    gates = [Gates(kernel=3, bias=bias) for bias in (-1, -4)]
    sizes = [data_size(fractions, gate, RATE) for gate in gates]
    training, validation = data_size_figures.gaps_by_fraction(sizes).axes
    assert [point[0] for point in _points(training)[0].values()] == [-1] * 4
    drawn = _points(validation)[0]
    means, lows, highs = zip(*drawn.values(), strict=True)
    assert means == (9, 7, 5, 3)
    estimates = sizes[0].validation.values()
    assert lows == tuple(round(gap.least, 2) for gap in estimates)
    assert highs == tuple(round(gap.most, 2) for gap in estimates)
    assert validation.get_title() == "validation"
    assert _points(validation)[0].keys() != _points(validation)[1].keys()  # side by side
    table = data_size_figures.gap_points(sizes)
    of_first = table[(table.gate_bias == -1) & (table.error == "validation")]
    assert tuple(of_first["mean"].round(2)) == means
    assert tuple(of_first.least.round(2)) == lows
    assert tuple(of_first.fraction) == (0.1, 0.25, 0.5, 1.0)


@pytest.mark.parametrize("seeds", [0, 1])
def test_gaps_of_too_few_seeds_are_drawn_without_intervals(fractions, seeds):
    some = fractions[(fractions.family == "residual") | (fractions.seed < seeds)]
    figure = data_size_figures.gaps_by_fraction([data_size(some, Gates(bias=-1), RATE)])
    assert all(len(_points(axes)) == seeds for axes in figure.axes)


def test_a_figure_of_comparison_is_the_same_bytes(runs, tmp_path):
    files = [Path(tmp_path) / name for name in ("first.svg", "second.svg")]
    for file in files:
        style.save_svg(highway_figures.errors_by_bias(usual(runs, RATE)), file)
    assert files[0].read_bytes() == files[1].read_bytes()
