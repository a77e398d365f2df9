"""What can be chosen of the data: which, and how they are augmented. Needs no torch."""

from dataclasses import dataclass

from resnet_study.errors import InputError
from resnet_study.settings import check, setting

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
OWN_DATA = "folder-[a-z0-9_]{1,30}-[0-9a-f]{8}"  # what ``data.folders`` calls somebody's pictures


@dataclass(frozen=True)
class Augmentation:
    """What happens to a batch of images: at random in training, in the centre in evaluation.

    Raises:
        InputError: for sizes that cannot be.
    """

    crop_padding: int = setting(
        "pixels of zero padding before a random crop of the image's size", 0, at_least=0
    )
    scales: tuple[int, int] | None = setting(
        "shorter side drawn between these two; then a random crop", None, at_least=1
    )
    crop: int | None = setting("side of the crop; the image's own if not given", None, at_least=1)
    flip: bool = setting("mirror left to right at random", False)
    colour: bool = setting("shift along the principal axes of colour", False)

    def __post_init__(self):
        check(self)
        if (self.scales is None) != (self.crop is None):
            raise InputError("scales and crop go together; accepted: both or neither")
        if self.scales and self.crop and not self.crop <= self.scales[0] <= self.scales[1]:
            raise InputError(
                f"crop {self.crop} of scales {self.scales} is impossible; "
                "accepted: a crop within the lower scale, which is within the upper"
            )

    @property
    def scaled_crop(self) -> tuple[tuple[int, int], int]:
        """``scales`` and ``crop``.

        Raises:
            InputError: where they are not given.
        """
        if self.scales is None or self.crop is None:
            raise InputError("the augmentation has no crop; accepted: one with scales and crop")
        return self.scales, self.crop
