"""Widths at which a Highway net costs what the residual net of the same depth costs.

Gates cost parameters and arithmetic, so beside a residual net of the same widths a Highway net
is the larger one. One number for all widths is too coarse: on digits, 14 channels in the first
stage instead of 15 are 13 % of the parameters. Each stage therefore has a width of its own, as
close to doubling from stage to stage as the match allows.
"""

from functools import cache

import torch

from resnet_study.errors import InputError, require_one_of
from resnet_study.models.networks import (
    Network,
    build_model,
    count_multiply_adds,
    count_parameters,
    stage_widths,
)
from resnet_study.models.options import MEASURES, stage_lengths

TOLERANCE = 0.01  # relative


def matched_widths(
    measure: str,
    family: str,
    depth: int,
    *,
    width: int,
    image_shape: tuple[int, int, int],
    **options,
) -> tuple[int, ...]:
    """Channels of each stage at which a net of ``family`` matches a residual net.

    Args:
        measure: what is matched, one of ``MEASURES``.
        family: a family whose blocks cost more than residual ones.
        depth: weighted layers of both nets.
        width: channels of the residual net's first stage.
        image_shape: (C, H, W) of the images.
        **options: of :func:`resnet_study.models.networks.build_model`; the residual net has
            them too, but for the gates.

    Raises:
        InputError: for an unknown measure, or if no widths come within 1 %.
    """
    require_one_of("match", measure, MEASURES)
    stages = len(stage_lengths(depth))
    gates = options.pop("gates", None)

    def size(model: Network) -> int:
        if measure == "parameters":
            return count_parameters(model)
        return count_multiply_adds(model, image_shape)

    def build(family: str, width: int | tuple[int, ...], **gates) -> Network:
        with torch.device("meta"):  # shapes only: no arithmetic, nothing drawn at random
            return build_model(
                family, depth, width=width, channels=image_shape[0], **options, **gates
            )

    target = size(build("residual", width))

    @cache
    def excess(widths: tuple[int, ...]) -> float:
        return size(build(family, widths, gates=gates)) / target - 1

    low, high = 1.0, float(width)  # gates only add, so the width sought lies between
    while high - low > 0.5 / 2 ** (stages - 1):  # half a channel of the last stage
        middle = (low + high) / 2
        low, high = (low, middle) if excess(stage_widths(middle, stages)) > 0 else (middle, high)
    widths = stage_widths(low, stages)
    while abs(excess(widths)) > TOLERANCE:  # then one channel of one stage at a time
        nearby = [
            (*widths[:stage], widths[stage] + change, *widths[stage + 1 :])
            for stage in range(stages)
            for change in (-1, 1)
            if widths[stage] + change > 0
        ]
        best = min(nearby, key=lambda one: abs(excess(one)))
        if abs(excess(best)) >= abs(excess(widths)):
            raise InputError(
                f"no widths bring {measure} of {family}-{depth} within 1 % of a residual net of "
                f"width {width}; accepted: a larger width"
            )
        widths = best
    return widths
