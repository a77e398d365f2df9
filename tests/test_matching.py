import pytest
import torch

from resnet_study.errors import InputError
from resnet_study.models.matching import matched_widths
from resnet_study.models.networks import build_model, count_multiply_adds, count_parameters
from resnet_study.models.options import Gates

pytestmark = pytest.mark.slow

DIGITS = {"classes": 10, "stem": "small"}


def _size(measure, model, shape):
    return count_parameters(model) if measure == "parameters" else count_multiply_adds(model, shape)


@pytest.mark.parametrize(
    ("measure", "depth", "gates", "width", "shape", "stem"),
    [
        ("parameters", 18, Gates(kernel=1), 16, (1, 8, 8), "small"),
        ("parameters", 18, Gates(), 16, (1, 8, 8), "small"),
        ("parameters", 34, Gates(), 16, (1, 8, 8), "small"),
        ("parameters", 18, Gates(form="uncoupled"), 16, (1, 8, 8), "small"),
        ("parameters", 34, Gates(), 32, (3, 56, 56), "imagenet"),
        ("multiply_adds", 18, Gates(kernel=1), 16, (1, 8, 8), "small"),
        ("multiply_adds", 18, Gates(), 16, (1, 8, 8), "small"),
        ("multiply_adds", 34, Gates(), 16, (1, 8, 8), "small"),
        ("multiply_adds", 18, Gates(), 32, (3, 56, 56), "imagenet"),
    ],
)
def test_matched_nets_are_as_large_within_one_percent(measure, depth, gates, width, shape, stem):
    options = {"classes": 10, "stem": stem}
    widths = matched_widths(
        measure, "highway", depth, width=width, image_shape=shape, gates=gates, **options
    )
    options["channels"] = shape[0]
    residual = build_model("residual", depth, width=width, **options)
    highway = build_model("highway", depth, width=widths, gates=gates, **options)
    ratio = _size(measure, highway, shape) / _size(measure, residual, shape)
    assert ratio == pytest.approx(1, abs=0.01)
    unmatched = build_model("highway", depth, width=width, gates=gates, **options)
    assert _size(measure, unmatched, shape) > 1.04 * _size(measure, residual, shape)
    for narrow, wide in zip(widths, widths[1:], strict=False):
        assert wide == pytest.approx(2 * narrow, abs=2)


def test_matching_draws_nothing_at_random():
    before = torch.get_rng_state()
    matched_widths("parameters", "highway", 8, width=16, image_shape=(1, 8, 8), **DIGITS)
    assert torch.equal(torch.get_rng_state(), before)


def test_what_cannot_be_matched_is_refused():
    with pytest.raises(InputError, match="no widths bring parameters .*accepted: a larger width"):
        matched_widths("parameters", "highway", 8, width=1, image_shape=(1, 8, 8), **DIGITS)
    with pytest.raises(InputError, match="'size'.*accepted: parameters, multiply_adds"):
        matched_widths("size", "highway", 8, width=16, image_shape=(1, 8, 8), **DIGITS)
