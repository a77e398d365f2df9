"""The network of a run, for the images and classes of its data."""

from resnet_study.data.datasets import Dataset
from resnet_study.models.containment import contain
from resnet_study.models.matching import matched_widths
from resnet_study.models.networks import Network, build_model
from resnet_study.pipeline.run import Run


def make_model(run: Run, data: Dataset) -> Network:
    """The network of ``run`` for the images and classes of ``data``."""
    return network_of(run, data.classes, input_shape(run, data))


def input_shape(run: Run, data: Dataset) -> tuple[int, int, int]:
    """(C, H, W) of the images as the network gets them."""
    crop = run.recipe.augmentation.crop
    return data.image_shape if crop is None else (data.channels, crop, crop)


def network_of(run: Run, classes: int, shape: tuple[int, int, int]) -> Network:
    """The network of ``run`` for images of ``shape`` (C, H, W) in so many classes."""
    options = {
        "classes": classes,
        "stem": run.recipe.stem,
        "shortcut": run.shortcut,
        "gates": run.gates,
    }
    width = run.recipe.width
    if run.match:
        width = matched_widths(
            run.match, run.family, run.depth, width=width, image_shape=shape, **options
        )
    if run.start == "contained":
        options["gates"] = None
        resnet = build_model("residual", run.depth, width=width, channels=shape[0], **options)
        return contain(resnet, run.gates.kernel)
    return build_model(
        run.family,
        run.depth,
        width=width,
        channels=shape[0],
        scales=run.scales,
        normalisation=run.normalisation,
        **options,
    )
