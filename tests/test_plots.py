import itertools
import os
import subprocess
import sys
from dataclasses import replace

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from matplotlib.colors import to_rgba
from matplotlib.ticker import EngFormatter

from resnet_study.figures import fig2, line_names, speed, style
from resnet_study.figures.style import FAMILY_COLOURS
from resnet_study.pipeline.frames import load_curves
from resnet_study.pipeline.perform import perform
from resnet_study.pipeline.records import read_record, write_record
from resnet_study.questions.paper import load_paper_curves


@pytest.fixture(autouse=True)
def close_figures():
    style.use_style()
    yield
    plt.close("all")


@pytest.fixture
def curves():
    """Long curves of two families, two depths, three seeds."""
    rows = []
    for family in ("plain", "residual"):
        for depth in (18, 34):
            for seed in range(3):
                for iteration in (23, 46, 69):
                    rows.append((family, depth, seed, iteration, depth + seed, 2 * depth + seed))
    names = ["family", "depth", "seed", "iteration", "training_error", "validation_error"]
    return style.long_curves(pd.DataFrame(rows, columns=names))


def _names(axes):
    """Where each net's name points to."""
    return {text.get_text(): text.xy for text in axes.texts if hasattr(text, "xy")}


def _lines(axes):
    return [line for line in axes.lines if len(line.get_xdata())]


def test_long_curves_have_one_row_a_point_of_a_line(curves):
    assert len(curves) == 2 * 2 * 3 * 3 * 2
    chosen = curves[(curves.depth == 34) & (curves.seed == 1) & (curves.iteration == 46)]
    by_split = chosen[chosen.family == "plain"].set_index("split").error_percent
    assert by_split.to_dict() == {"training": 35, "validation": 69}


def test_figure_2_has_plain_nets_left_and_residual_nets_right_on_shared_axes(curves):
    left, right = fig2.fig2({"": curves}).axes
    assert (left.get_title(), right.get_title()) == ("plain", "ResNet")
    assert left.get_shared_x_axes().joined(left, right)
    assert left.get_shared_y_axes().joined(left, right)
    assert left.get_position().x1 <= right.get_position().x0
    assert (left.get_xlabel(), left.get_ylabel()) == ("iteration", "error (%)")


@pytest.mark.parametrize("with_seeds", [True, False])
def test_a_panel_has_a_thin_and_a_bold_line_for_each_depth(curves, with_seeds):
    if not with_seeds:
        curves = curves[curves.seed == 0].drop(columns="seed")
    for axes in fig2.fig2({"": curves}).axes:
        lines = {(round(line.get_ydata()[0]), line.get_linewidth()) for line in _lines(axes)}
        heights = {height for height, _ in lines}
        offset = 1 if with_seeds else 0  # the mean over seeds
        assert heights == {18 + offset, 34 + offset, 36 + offset, 68 + offset}
        widths = dict(lines)
        assert widths[18 + offset] == widths[34 + offset]
        assert widths[36 + offset] == widths[68 + offset] >= 2 * widths[18 + offset]


def test_colour_tells_the_net_and_nothing_else(curves):
    for family, axes in zip(("plain", "residual"), fig2.fig2({"": curves}).axes, strict=True):
        colours = {round(line.get_ydata()[0]): line.get_color() for line in _lines(axes)}
        assert colours[19] == colours[37] == style.net_colour(family, 18)
        assert colours[35] == colours[69] == style.net_colour(family, 34)


def test_the_deeper_the_darker_in_the_familys_colour():
    for family, colour in FAMILY_COLOURS.items():
        shades = [sum(to_rgba(style.net_colour(family, depth))[:3]) for depth in (18, 34, 56)]
        assert style.net_colour(family, 18).lower() == colour.lower()
        assert shades[0] > 1.8 * shades[1] > 3.6 * shades[2]


def _contrast(colour, background):
    def luminance(name):
        channels = [
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgba(name)[:3]
        ]
        return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), channels, strict=True))

    bright, dark = sorted((luminance(colour), luminance(background)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(
    "colour",
    sorted({*style.NEUTRAL, *speed.LOOP_COLOURS.values(), *FAMILY_COLOURS.values()}),
)
def test_colours_stand_out_from_a_white_page(colour):
    assert _contrast(colour, "white") > 3  # WCAG 2.1, 1.4.11: graphics


def test_a_family_without_a_point_leaves_its_panel_empty(curves):
    plain, residual = fig2.fig2({"": curves[curves.family == "plain"]}).axes
    assert [text.get_text() for text in plain.texts] and not residual.texts


def test_a_net_that_ended_early_is_named_where_it_ended(curves):
    early = curves[(curves.depth == 18) | (curves.iteration < curves.iteration.max())]
    for axes in fig2.fig2({"": early}).axes:
        ends = _names(axes)
        assert ends["34 layers"][0] < ends["18 layers"][0] == curves.iteration.max()


def test_every_net_is_named(curves):
    for axes in fig2.fig2({"": curves}).axes:
        names = _names(axes)
        assert names["34 layers"][1] > names["18 layers"][1]  # the worse one is above


def test_the_net_that_fits_better_is_named_below_even_if_it_does_no_better_on_new_images(curves):
    fits = curves.depth.eq(34) & curves.split.eq("training")
    swapped = curves.assign(error_percent=curves.error_percent.where(~fits, 3.0))
    for axes in fig2.fig2({"": swapped}).axes:
        names = _names(axes)
        assert names["34 layers"][1] < names["18 layers"][1]


def test_nets_are_ranked_by_their_own_last_training_error():
    """The paper's lines of the two splits end at different iterations."""
    for axes in fig2.fig2({"": load_paper_curves()}).axes:
        names = _names(axes)
        worse = "34 layers" if axes.get_title() == "plain" else "18 layers"
        assert max(names, key=lambda name: names[name][1]) == worse


def _told(curves):
    return [
        text.get_text()
        for axes in fig2.fig2({"": curves}).axes
        for text in axes.texts
        if not hasattr(text, "xy")
    ]


def test_what_depth_does_to_the_fit_is_written_in_each_panel(curves):
    assert _told(curves) == ["deeper fits worse"] * 2
    deep = curves.family.eq("residual") & curves.depth.eq(34) & curves.split.eq("training")
    for error, told in {18.4: "alike", 19.6: "alike", 17.0: "better", 21.0: "worse"}.items():
        other = curves.assign(error_percent=curves.error_percent.where(~deep, error))
        assert _told(other) == ["deeper fits worse", f"deeper fits {told}"]
    assert _told(curves[curves.depth == 18]) == []


def _boxes(axes):
    """The letters' boxes in pixels, by name."""
    axes.figure.canvas.draw()
    return {text.get_text(): text.get_window_extent() for text in axes.texts}


def test_names_stand_beside_their_lines_and_across_none():
    figure, axes = plt.subplots(figsize=(3.6, 3.2))
    x = pd.Index(range(11))
    lines = {
        "falls": (pd.Series([100 - 10 * i for i in x], index=x), "red"),
        "rises": (pd.Series([10 * i for i in x], index=x), "blue"),
        "level": (pd.Series(50.0, index=x), "green"),
    }
    for heights, colour in lines.values():
        axes.plot(heights.index, heights, color=colour)
    line_names.name_lines(figure, {axes: {n: (h, {"color": c}) for n, (h, c) in lines.items()}})
    assert {text.get_text(): text.get_color() for text in axes.texts} == {
        name: colour for name, (_, colour) in lines.items()
    }
    boxes = _boxes(axes)
    fine = pd.Index([i / 20 for i in range(201)])
    for name, box in boxes.items():
        for heights, _ in lines.values():
            dense = heights.reindex(fine.union(x)).interpolate("index")
            points = axes.transData.transform(list(dense.items()))
            assert not any(box.contains(*point) for point in points), name
    for one, other in itertools.combinations(boxes.values(), 2):
        assert not one.overlaps(other)


def test_a_name_without_room_is_in_the_legend_and_one_without_line_nowhere():
    figure, axes = plt.subplots(figsize=(3.6, 3.2))
    look = {"color": "red"}
    close = {f"line {i}": (pd.Series([i, i], index=[0, 1]), look) for i in range(100)}
    gone = {"not recorded": (pd.Series([None, None], index=[0, 1]), look)}
    for heights, _ in close.values():
        axes.plot(heights.index, heights)
    axes.set_ylim(-20, 120)
    line_names.name_lines(figure, {axes: close | gone})
    written = [text.get_text() for text in axes.texts]
    assert {"line 0", "line 99"} <= {*written}  # at the edges there is room
    (legend,) = figure.legends
    listed = [text.get_text() for text in legend.get_texts()]
    assert "line 50" in listed and "line 50" not in written
    assert sorted(written + listed) == sorted(close)


def test_a_band_reaches_from_the_lowest_seed_to_the_highest(curves):
    for axes in fig2.fig2({"": curves}).axes:
        reaches = set()
        for band in axes.collections:
            heights = band.get_paths()[0].vertices[:, 1]
            reaches.add((heights.min(), heights.max()))
        assert reaches == {(18, 20), (34, 36), (36, 38), (68, 70)}


def test_curves_without_seeds_have_no_band():
    figure = fig2.fig2({"": load_paper_curves()})
    for axes in figure.axes:
        assert len(_lines(axes)) == 4
        assert not axes.collections


def test_long_iterations_are_written_short():
    axes = fig2.fig2({"": load_paper_curves()}).axes[0]
    assert isinstance(axes.xaxis.get_major_formatter(), EngFormatter)
    assert axes.xaxis.get_major_formatter()(100_000) == "100k"


def test_two_sets_make_two_rows_on_the_same_axes(curves):
    figure = fig2.fig2({"(ours)": curves, "(yours)": curves})
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["plain (ours)", "ResNet (ours)", "plain (yours)", "ResNet (yours)"]
    assert figure.axes[0].get_shared_y_axes().joined(figure.axes[0], figure.axes[3])


def test_the_page_shows_through(curves, tmp_path):
    figure = fig2.fig2({"": curves})
    assert to_rgba(figure.get_facecolor())[3] == 0
    assert all(to_rgba(axes.get_facecolor())[3] == 0 for axes in figure.axes)


def test_the_same_figure_is_the_same_bytes(curves, tmp_path):
    for name in ("first.svg", "second.svg"):
        style.save_svg(fig2.fig2({"": curves}), tmp_path / name)
    first = (tmp_path / "first.svg").read_bytes()
    assert first.startswith(b"<?xml") and b"<svg" in first
    assert (tmp_path / "second.svg").read_bytes() == first


@pytest.mark.slow
def test_the_same_figure_is_the_same_bytes_in_another_process(tmp_path):
    code = (
        "import pathlib, sys; from resnet_study.figures import fig2, style; "
        "from resnet_study.questions import paper; style.use_style();"
        "style.save_svg(fig2.fig2({'': paper.load_paper_curves()}), pathlib.Path(sys.argv[1]))"
    )
    files = [tmp_path / "first.svg", tmp_path / "second.svg"]
    for hash_seed, file in enumerate(files):
        subprocess.run(
            [sys.executable, "-c", code, file],
            env=os.environ | {"PYTHONHASHSEED": str(hash_seed), "MPLBACKEND": "Agg"},
            check=True,
        )
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_single_run_is_drawn_with_a_thin_and_a_bold_line(tiny_run, tmp_path):
    path = perform(replace(tiny_run, depth=18), runs_dir=tmp_path)
    (axes,) = fig2.curve(load_curves([path]), "a title").axes
    thin, bold = sorted(_lines(axes), key=lambda line: line.get_linewidth())
    assert bold.get_linewidth() >= 2 * thin.get_linewidth()
    final = read_record(path)["final"]
    assert thin.get_ydata()[-1] == final["training_error"]
    assert bold.get_ydata()[-1] == final["validation_error"]
    assert axes.get_title() == "a title"


@pytest.mark.parametrize("depth", [8, 18, 34, 110])
def test_a_single_run_of_any_depth_is_drawn(depth):
    points = {"iteration": [23], "training_error": [9.0], "validation_error": [8.0]}
    curves = pd.DataFrame(points).assign(family="plain", depth=depth, seed=0)
    assert len(_lines(fig2.curve(curves, "any").axes[0])) == 2


def test_a_run_that_diverged_at_once_is_drawn_as_an_empty_panel(tiny_record):
    """A divergence is a result, and the train notebook draws every result."""
    record = read_record(tiny_record)
    content = {key: value for key, value in record.items() if key not in ("schema", "sha256")}
    final = dict.fromkeys(record["final"])
    write_record(tiny_record, {**content, "diverged_at": 23, "final": final, "curve": {}})
    (axes,) = fig2.curve(load_curves([tiny_record]), "diverged").axes
    assert not _lines(axes)


def test_panels_side_by_side_are_stacked_for_a_phone_with_names_of_their_own():
    figure, grid = plt.subplots(2, 2, sharex=True, sharey=True, layout="constrained")
    for axes, depth in zip(grid[0], (18, 34), strict=True):
        axes.set_title(f"{depth} layers")
    for axes, split in zip(grid[:, 0], ("training", "validation"), strict=True):
        axes.set_ylabel(f"{split} error")
    for axes in grid[1]:
        axes.set_xlabel("iteration")
    line = grid[0, 0].plot([0, 1], label="a long name of a line")
    figure.legend(handles=line, loc="outside lower center", ncols=4)
    assert style.stack(figure)
    figure.canvas.draw()
    boxes = [axes.get_position() for axes in grid.flat]
    assert all(above.y0 > below.y1 for above, below in itertools.pairwise(boxes))
    assert len({round(box.x0, 2) for box in boxes}) == 1
    assert [axes.get_title() for axes in grid.flat] == ["18 layers", "34 layers"] * 2
    assert [axes.get_ylabel() for axes in grid.flat] == ["training error"] * 2 + [
        "validation error"
    ] * 2
    assert {axes.get_xlabel() for axes in grid.flat} == {"iteration"}
    assert all(axes.yaxis.get_ticklabels()[0].get_visible() for axes in grid.flat)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["a long name of a line"]
    assert figure.get_tightbbox().width <= style.PHONE[0] * 1.05
    plt.close(figure)


@pytest.mark.parametrize("panels", [(1, 1), (3, 1), (2, 3)])
def test_a_figure_without_neighbours_or_of_many_panels_is_left_alone(panels):
    figure, _ = plt.subplots(*panels)
    before = tuple(figure.get_size_inches())
    assert not style.stack(figure)
    assert tuple(figure.get_size_inches()) == before
    plt.close(figure)
