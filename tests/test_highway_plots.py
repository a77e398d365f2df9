import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from test_plots import _contrast

from resnet_study.figures import containment
from resnet_study.figures import gates as gates_figures
from resnet_study.figures import style as style_figures
from resnet_study.figures.gates import constant_carry
from resnet_study.questions.experiments import BIASES


@pytest.fixture(autouse=True)
def close_figures():
    style_figures.use_style()
    yield
    plt.close("all")


def _gates(depths=(18, 34), kernels=(1, 3), biases=(0, -2), seeds=(0, 1)):
    """Gates as load_gates has them; T grows by 0.1 in training, and by 0.02 with the seed."""
    rows = []
    for depth in depths:
        blocks = [f"stage{s}.{p}" for s in (1, 2, 3, 4) for p in range(1, (depth - 2) // 8 + 1)]
        for kernel in kernels:
            for bias in biases:
                for seed in seeds:
                    for when, extra in (("start", 0), ("end", 0.1)):
                        for position, block in enumerate(blocks, start=1):
                            t = 0.2 + extra + 0.02 * seed
                            rows.append((depth, kernel, bias, seed, when, position, block, t))
    names = ["depth", "gate_kernel", "gate_bias", "seed", "when", "position", "block", "transform"]
    table = pd.DataFrame(rows, columns=names)
    return table.assign(carry_product=(1 - table["transform"]) ** table.position)


def _coloured(axes, colour, style):
    return [
        line
        for line in axes.lines
        if to_hex(line.get_color()) == to_hex(colour) and line.get_linestyle() == style
    ]


def test_profiles_have_a_panel_for_each_depth_and_kernel():
    figure = gates_figures.profiles(_gates(), "transform", "mean of T")
    assert [axes.get_title() for axes in figure.axes] == [
        "Highway-18, 1×1 gates",
        "Highway-18, 3×3 gates",
        "Highway-34, 1×1 gates",
        "Highway-34, 3×3 gates",
    ]
    assert figure.axes[0].get_ylabel() == "mean of T"


@pytest.mark.parametrize("missing", ["depths", "kernels", "biases", "seeds"])
def test_profiles_of_what_is_recorded_so_far_are_drawn(missing):
    gates = _gates(**{missing: {"depths": (18,), "kernels": (3,)}.get(missing, (0,))})
    figure = gates_figures.carry_products(gates)
    assert len(figure.axes) == {"depths": 2, "kernels": 2}.get(missing, 4)
    assert all(axes.lines for axes in figure.axes)


def test_a_panel_without_a_record_stays_empty():
    gates = _gates()
    gates = gates[(gates.depth == 18) | (gates.gate_kernel == 3)]
    empty = gates_figures.carry_products(gates).axes[2]
    assert empty.get_title() == "Highway-34, 1×1 gates"
    assert not empty.lines


def test_lines_are_solid_after_training_and_dashed_before_and_bands_span_the_seeds():
    table = gates_figures.before_and_after(_gates(depths=(18,), kernels=(3,), biases=(-2,)))
    (axes,) = gates_figures.profiles(table, "transform", "T").axes
    colour = gates_figures.BIAS_STYLES[-2][0]
    (after,), (before,) = (_coloured(axes, colour, style) for style in ("-", "--"))
    assert after.get_ydata() == pytest.approx([0.31] * 8)  # the mean over seeds
    assert before.get_ydata() == pytest.approx([0.21] * 8)
    heights = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == pytest.approx((0.3, 0.32))


def test_blocks_that_change_shape_are_marked():
    (axes,) = gates_figures.profiles(_gates(depths=(18,), kernels=(3,)), "transform", "T").axes
    marked = [line.get_xdata()[0] for line in axes.lines if line.get_linestyle() == ":"]
    assert marked == [3, 5, 7]  # stage2.1, stage3.1, stage4.1


def test_the_legend_names_every_bias_and_both_lines():
    (legend,) = gates_figures.carry_products(_gates()).legends
    names = {text.get_text() for text in legend.get_texts()}
    assert names == {"bias 0", "bias −2", "after training", "before"}


def test_crosses_are_the_carry_products_of_constant_gates():
    (axes,) = gates_figures.carry_products(_gates(depths=(34,), kernels=(1,))).axes
    crosses = {line.get_ydata()[0] for line in axes.lines if line.get_marker() == "x"}
    assert crosses == {constant_carry(0, 16), constant_carry(-2, 16)}
    assert constant_carry(0, 16) == pytest.approx(0.5**16)


@pytest.mark.parametrize(
    "colour",
    [*(c for c, _ in gates_figures.BIAS_STYLES.values()), *containment.ARM_COLOURS.values()],
)
def test_colours_stand_out_from_a_white_page(colour):
    assert _contrast(colour, "white") > 3  # WCAG 2.1, 1.4.11: graphics


def test_every_bias_of_the_grid_has_a_colour_and_a_marker_of_its_own():
    assert set(gates_figures.BIAS_STYLES) == set(BIASES)
    for styles in zip(*gates_figures.BIAS_STYLES.values(), strict=True):
        assert len(set(styles)) == len(BIASES)


def test_contained_curves_have_a_thin_and_a_bold_line_for_each_arm_that_is_there():
    rows = [
        (depth, arm, seed, iteration, 10.0 + seed, 20.0 + seed)
        for depth in (18, 34)
        for arm in containment.ARM_COLOURS
        for seed in (0, 1)
        for iteration in (23, 46)
        if (depth, arm) != (34, "Highway, contained")
    ]
    names = ["depth", "arm", "seed", "iteration", "training_error", "validation_error"]
    figure = containment.contained_curves(pd.DataFrame(rows, columns=names))
    left, right = figure.axes
    assert left.get_title() == "18 layers"
    widths = style_figures.WIDTHS
    drawn = [line for line in left.lines if len(line.get_xdata())]
    assert {(line.get_ydata()[0], line.get_linewidth()) for line in drawn} == {
        (10.5, widths["training"]),
        (20.5, widths["validation"]),
    }
    assert len(drawn) == 6
    assert len([line for line in right.lines if len(line.get_xdata())]) == 4


def test_the_limit_is_drawn_beside_its_rate():
    biases = np.arange(0, 21, 4)
    table = pd.concat(
        pd.DataFrame({"depth": depth, "bias": biases, "error": depth * np.exp(-biases)})
        for depth in (18, 34)
    )
    (axes,) = containment.limit(table).axes
    assert axes.get_yscale() == "log"
    assert len(axes.lines) == 3
    assert axes.lines[2].get_ydata() == pytest.approx([1, np.exp(-20)])


def test_the_same_gates_are_the_same_bytes(tmp_path):
    for name in ("first.svg", "second.svg"):
        style_figures.save_svg(gates_figures.carry_products(_gates()), tmp_path / name)
    assert (tmp_path / "first.svg").read_bytes() == (tmp_path / "second.svg").read_bytes()
