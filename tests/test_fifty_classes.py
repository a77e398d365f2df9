"""Gaps between nets as they train."""

import pandas as pd
import pytest

from resnet_study.figures import pictures as figures
from resnet_study.questions.paper import load_paper_curves
from resnet_study.questions.pictures import crossing, gap_by_iteration, paper_gap

GAPS = [3.0, 1.0, -0.5, 0.5, -1.0, -2.0]


def _curves(gaps=GAPS, seeds=6, family="residual", **labels):
    """Nets of 18 layers at 50 %, and of 34 layers apart from them, a little more with each seed."""
    rows = [
        (family, depth, seed, 10 * place, 50.0 + (depth == 34) * (gap + 0.01 * seed))
        for place, gap in enumerate(gaps, start=1)
        for seed in range(seeds)
        for depth in (18, 34)
    ]
    columns = ["family", "depth", "seed", "iteration", "validation_error"]
    return pd.DataFrame(rows, columns=columns).assign(**labels)


def _gap(curves, family="residual"):
    nets = ({"family": family, "depth": depth} for depth in (34, 18))
    return gap_by_iteration(curves, *nets, "validation_error")


def test_a_gap_is_paired_by_seed_at_each_evaluation():
    gap = _gap(_curves())
    assert gap["mean"].tolist() == pytest.approx([value + 0.025 for value in GAPS])
    assert set(gap.n) == {6} and (gap.low < gap["mean"]).all() and (gap["mean"] < gap.high).all()
    assert gap.share.tolist() == pytest.approx([n / 6 for n in range(1, 7)])


def test_the_crossing_is_where_the_gap_goes_below_zero_for_good():
    assert crossing(_gap(_curves())) == 50
    assert crossing(_gap(_curves([-1.0, -2.0]))) == 10
    assert crossing(_gap(_curves([-1.0, 2.0]))) is None
    assert crossing(_gap(_curves([-1.0, 0.0]))) is None


def test_the_papers_gaps_have_the_signs_of_its_claims_at_the_end():
    curves = load_paper_curves()
    plain, residual = (paper_gap(curves, family, "training") for family in ("plain", "residual"))
    assert plain["mean"].iloc[-1] > 0 > residual["mean"].iloc[-1]
    assert plain.share.max() <= 1


def _both(curves):
    return {
        (family, split): _gap(curves[curves.family == family], family)
        for family in ("plain", "residual")
        for split in ("training", "validation")
    }


def test_each_family_has_a_line_and_a_band_in_each_panel():
    curves = pd.concat([_curves(), _curves([5.0] * 6, family="plain")])
    figure = figures.depth_gaps(_both(curves))
    for axes in figure.axes:
        assert [line.get_label() for line in axes.lines[1:]] == ["plain", "ResNet"]
        assert len(axes.collections) == 2
    assert [text.get_text() for text in figure.axes[1].texts] == ["plain", "ResNet"]


def test_fewer_than_six_seeds_have_no_band():
    curves = pd.concat([_curves(seeds=5), _curves([5.0] * 6, seeds=5, family="plain")])
    figure = figures.depth_gaps(_both(curves))
    assert sum(len(band.get_paths()) for band in figure.axes[0].collections) == 0


def test_ours_and_the_papers_share_an_axis_from_zero_to_all_of_the_training():
    curves = pd.concat([_curves(), _curves([5.0] * 6, family="plain")])
    paper = load_paper_curves()
    theirs = {(f, "training"): paper_gap(paper, f, "training") for f in ("plain", "residual")}
    for axes in figures.beside_paper(_both(curves), theirs).axes:
        labels = [line.get_label() for line in axes.lines[1:]]
        assert labels == ["ours, fifty classes", "the paper, ImageNet"]
        assert max(line.get_xdata().max() for line in axes.lines[1:]) <= 1
