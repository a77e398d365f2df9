import matplotlib.pyplot as plt
import pandas as pd
import pytest

from resnet_study.figures import depth as depth_figures
from resnet_study.figures import style
from resnet_study.figures.depth import PUBLISHED_ERRORS, beside_published

KINDS = {("plain", "batch"): 60, ("residual", "batch"): 20, ("residual", "zero-gamma"): 2}


@pytest.fixture(autouse=True)
def close_figures():
    style.use_style()
    yield
    plt.close("all")


def _nets(depths, recipe="digits", width=16, kinds=KINDS):
    """Three seeds of each net, two points apart."""
    return pd.DataFrame(
        [
            {
                "recipe": recipe,
                "width": width,
                "family": family,
                "normalisation": normalisation,
                "depth": depth,
                "seed": seed,
                "training_error": error + 2 * seed,
                "validation_error": error + 2 * seed + 1,
                "diverged": False,
                "parameters": 1000 * depth,
                "multiply_adds": 9000 * depth,
                "seconds": 60.0 * (seed + 1),
                "peak_memory": (seed + 1) * 2**30,
            }
            for (family, normalisation), error in kinds.items()
            for depth in depths
            for seed in range(3)
        ]
    )


@pytest.fixture
def runs():
    """Three depths of each kind, and a narrow net of a thousand layers."""
    return pd.concat([_nets((20, 56, 110)), _nets([1004], "digits-narrow", 8)])


def _drawn(axes):
    """Sets of points: colour, whether full and joined, and (depth, mean, lowest, highest)."""
    found = []
    for line, _, (bars,) in axes.containers:
        face, colour = line.get_markerfacecolor(), line.get_color()
        reach = [segment[:, 1] for segment in bars.get_segments()]
        points = [
            (float(x), float(y), *map(float, ends))
            for (x, y), ends in zip(line.get_xydata(), reach, strict=True)
        ]
        found.append((colour, face == colour and line.get_linestyle() == "-", points))
    return found


def test_errors_by_depth_are_joined_within_a_recipe(runs):
    training, validation = depth_figures.errors_by_depth(runs, chance=90).axes
    assert [axes.get_title() for axes in (training, validation)] == ["training", "validation"]
    drawn = _drawn(training)
    looks = [look["color"] for look in depth_figures.LOOKS.values()]
    assert [colour for colour, *_ in drawn] == [c for c in looks for _ in range(2)]
    assert len(set(looks)) == 3
    for (_, joined, points), hollow in zip(drawn[::2], drawn[1::2], strict=True):
        assert joined
        depths = [depth for depth, *_ in points]
        assert depths == pytest.approx([20, 56, 110], rel=0.07)  # a little apart
        assert (len(points), len(hollow[2]), hollow[1]) == (3, 1, False)
    assert drawn[2][2][0][1:] == (22, 20, 24)
    assert _drawn(validation)[2][2][0][1:] == (23, 21, 25)
    labels = [text.get_text() for text in training.get_xticklabels()]
    assert labels == ["20", "56", "110", "1,004"]


def test_the_legend_names_what_is_drawn(runs):
    def legend(some):
        (found,) = depth_figures.errors_by_depth(some, chance=90).legends
        return [text.get_text() for text in found.get_texts()]

    assert legend(runs) == ["plain", "ResNet", "ResNet, zero-γ", "hollow: width 8"]
    assert legend(runs[(runs.recipe == "digits") & (runs.family == "plain")]) == ["plain"]


def test_a_net_that_diverged_counts_100_percent(runs):
    plain = (runs.family == "plain") & (runs.depth == 20)
    runs.loc[plain & (runs.seed == 0), "training_error"] = None
    axes, _ = depth_figures.errors_by_depth(runs, chance=90).axes
    assert _drawn(axes)[0][2][0][1:] == (pytest.approx((100 + 62 + 64) / 3), 62, 100)


def _curves(runs):
    """Two epochs: twice the error, then the error."""
    first = runs.assign(iteration=23, training_error=2 * runs.training_error)
    return pd.concat([first, runs.assign(iteration=46)])


def test_curves_have_a_panel_a_depth_and_a_line_a_split(runs):
    deep = runs[runs.depth >= 110]
    figure = depth_figures.depth_curves(_curves(deep), deep, chance=90)
    assert [axes.get_title() for axes in figure.axes] == ["110 layers", "1,004 layers"]
    for axes in figure.axes:
        ends = {
            (line.get_color(), line.get_linewidth(), line.get_ydata()[-1])
            for line in axes.lines
            if len(line.get_xdata()) and line.get_xdata()[-1] == 46
        }
        assert ends == {
            (depth_figures.LOOKS[kind]["color"], style.WIDTHS[split], error + 2 + higher)
            for kind, error in KINDS.items()
            for split, higher in {"training": 0, "validation": 1}.items()
        }


def test_curves_are_named_and_what_diverged_is_told(runs):
    deep = runs[runs.depth >= 110]
    gone = (deep.family == "plain") & (deep.depth == 1004)
    deep = deep.assign(diverged=gone)
    hundred, thousand = depth_figures.depth_curves(_curves(deep[~gone]), deep, chance=90).axes
    names = [{text.get_text() for text in axes.texts} for axes in (hundred, thousand)]
    assert names[0] == {"plain", "ResNet", "ResNet, zero-γ"}
    assert names[1] == {"plain: diverged", "ResNet", "ResNet, zero-γ"}


@pytest.mark.parametrize("kind", [("plain", "batch"), ("residual", "zero-gamma")])
def test_what_is_not_recorded_is_not_drawn(runs, kind):
    some = runs[(runs.family == kind[0]) & (runs.normalisation == kind[1]) & (runs.depth == 1004)]
    depth_figures.errors_by_depth(some, chance=90)
    (axes,) = depth_figures.depth_curves(_curves(some), some, chance=90).axes
    colours = {line.get_color() for line in axes.lines if line.get_linestyle() == "-"}
    assert colours == {depth_figures.LOOKS[kind]["color"]}


def test_figures_of_depth_are_the_same_bytes(runs, tmp_path):
    files = [tmp_path / name for name in ("first.svg", "second.svg")]
    for file in files:
        style.save_svg(depth_figures.errors_by_depth(runs, chance=90), file)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_table_of_deep_nets_has_their_minutes_and_memory(runs):
    table = depth_figures.deep_net_table(runs).set_index("network")
    assert list(table.index[:3]) == ["plain-20", "ResNet-20", "ResNet-20, zero-γ"]
    assert len(table) == 12
    row = table.loc["ResNet-1004, zero-γ"]
    assert (row.width, row.n, row["training, %"]) == (8, 3, "4.00 ± 2.00")
    assert (row.minutes, row["memory, GiB"]) == ("2", "3.00")
    assert (row.parameters, row["multiply-adds"]) == ("1,004,000", "9,036,000")
    older = depth_figures.deep_net_table(runs.assign(peak_memory=None))
    assert set(older["memory, GiB"]) == {"–"}


def test_published_errors_stand_above_ours(runs):
    partly = runs[(runs.family == "residual") | (runs.depth == 20)]
    table = beside_published({"digits": partly, "pictures": pd.DataFrame()})
    assert len(table) == len(PUBLISHED_ERRORS) + 4
    assert set(table.data) == {"CIFAR-10", "digits"}
    ours = table[table.who == "this book"].set_index("layers")
    assert tuple(ours.loc["20"])[2:] == (
        "63.00 ± 2.00",
        "23.00 ± 2.00",
        "5.00 ± 2.00",
        "3",
        "0.02 M",
    )
    assert (ours.loc["1,004", "plain, %"], ours.loc["1,004", "n"]) == ("–", "0, 3, 3")


def test_published_errors_are_those_of_the_sources():
    told = {(one.source, one.layers): (one.plain, one.residual) for one in PUBLISHED_ERRORS}
    assert told["He et al. 2015", 110] == ("above 60", "6.61 ± 0.16")
    assert told["He et al. 2015", 1202] == ("–", "7.93")
    assert told["Li et al. 2018", 56] == ("13.31", "5.89")
    assert told["nabla0001/resnet", 56] == ("12.95 ± 0.22", "7.40 ± 0.27")
    assert told["He et al. 2016", 1001] == ("–", "7.61; pre-activation 4.92")
