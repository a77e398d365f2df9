"""What can be chosen of the data: which, and how they are augmented. Needs no torch."""

from dataclasses import dataclass

from resnet_study.errors import InputError, require_at_least

DATA_SETS = (
    "digits",
    "fashion-mnist",
    "cifar10",
    "cifar100",
    "tiny-imagenet",
    "tiny-imagenet-20",
    "tiny-imagenet-50",
    "tiny-imagenet-32",
    "imagenet",
)


@dataclass(frozen=True)
class Augmentation:
    """What happens to a batch of images: at random in training, in the centre in evaluation.

    Raises:
        InputError: for sizes that cannot be.
    """

    crop_padding: int = 0  # pixels of zero padding before a random crop of the image's size
    scales: tuple[int, int] | None = None  # shorter side drawn between; then a random crop
    crop: int | None = None  # side of the crop; the image's own if not given
    flip: bool = False  # mirror left to right at random
    colour: bool = False  # shift along the principal axes of colour

    def __post_init__(self):
        require_at_least("crop_padding", self.crop_padding, 0)
        if (self.scales is None) != (self.crop is None):
            raise InputError("scales and crop go together; accepted: both or neither")
        if self.scales and not 0 < self.crop <= self.scales[0] <= self.scales[1]:
            raise InputError(
                f"crop {self.crop} of scales {self.scales} is impossible; "
                "accepted: a crop within the lower scale, which is within the upper"
            )
