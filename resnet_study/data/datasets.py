"""Data sets as tensors: digits (embedded), Fashion-MNIST, CIFAR-10 and -100, Tiny ImageNet.

A small data set lives whole on the device as unsigned bytes; a batch is cut from it,
augmented and normalised at once. ImageNet does not fit: see :mod:`resnet_study.data.imagenet`. Data
know nothing of models.
"""

import hashlib
import math
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor
from torch.nn import functional as F

from resnet_study import paths
from resnet_study.data.augmentation import (
    augment,
    centre_crop,
    colour_axes,
    colour_moments,
    ten_crops,
)
from resnet_study.data.folders import place_of
from resnet_study.data.imagenet import (
    ImageFiles,
    ImageNet,
    as_imagenet,
    evenly_spread,
    image_files,
    load_imagenet,
    read_alike,
)
from resnet_study.data.options import DATA_SETS, OWN_DATA, Augmentation
from resnet_study.data.tiny_imagenet import folder_above, load_tiny_imagenet
from resnet_study.errors import InputError, reason, require_one_of
from resnet_study.processes import share

# Of torchvision's small sets, where each lies within the folder that one names.
FOLDERS = {
    "FashionMNIST": "FashionMNIST/raw",
    "CIFAR10": "cifar-10-batches-py",
    "CIFAR100": "cifar-100-python",
}


@dataclass(frozen=True)
class Images:
    """``images`` uint8 (N, C, H, W) and their ``labels`` int64 (N)."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device | str) -> "Images":
        """The same images and labels on ``device``."""
        return Images(self.images.to(device), self.labels.to(device))

    def take(self, indices: Tensor) -> "Images":
        """Those at ``indices`` int64 (n), on the images' device; in that order."""
        return Images(self.images[indices], self.labels[indices])

    def split(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Images and labels, ``size`` of them at a time."""
        return zip(self.images.split(size), self.labels.split(size), strict=True)


@dataclass(frozen=True)
class Dataset:
    """A training and a validation set, and how to draw batches of them.

    ``mean`` and ``deviation`` (1, C, 1, 1) are those of the training pixels; they
    normalise both sets. ``colour_axes`` (C, C) are the principal axes of their colours.
    ``epoch_images`` is the length of an epoch: that of the whole training set, also where
    ``train`` is a part of it.
    """

    train: Images
    validation: Images
    mean: Tensor
    deviation: Tensor
    colour_axes: Tensor
    epoch_images: int

    @property
    def classes(self) -> int:
        """How many there are; labels are 0 to one below."""
        return int(self.train.labels.max()) + 1

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width

    @property
    def channels(self) -> int:
        """Of the images: 1 for grey, 3 for colour."""
        return self.image_shape[0]

    @property
    def sample(self) -> Images:
        """Training images that stand for all of them along a curve, see :func:`evenly_spread`."""
        return self.train.take(evenly_spread(len(self.train)).to(self.device))

    @property
    def device(self) -> torch.device:
        """Where the images lie and batches come out."""
        return self.train.images.device

    def to(self, device: torch.device | str) -> "Dataset":
        """The same data set on ``device``."""
        return Dataset(
            self.train.to(device),
            self.validation.to(device),
            self.mean.to(device),
            self.deviation.to(device),
            self.colour_axes.to(device),
            self.epoch_images,
        )

    def fingerprint(self) -> str:
        """SHA-256 over the shapes, pixels and labels of both sets: data and split in one."""
        digest = hashlib.sha256()
        for part in (self.train, self.validation):
            digest.update(str(tuple(part.images.shape)).encode())
            digest.update(part.images.cpu().numpy().tobytes())
            digest.update(part.labels.cpu().numpy().tobytes())
        return digest.hexdigest()

    def _normalise(self, images: Tensor) -> Tensor:
        normal = (images.float() - self.mean) / self.deviation
        return normal.contiguous(memory_format=torch.channels_last)  # faster convolutions

    def draw_order(self, generator: torch.Generator) -> Tensor:
        """A random order of one epoch, (``epoch_images``); ``generator`` lies on their device.

        A part of the training set is gone through in one order after another, the last cut short.
        """
        rounds = math.ceil(self.epoch_images / len(self.train))
        orders = [
            torch.randperm(len(self.train), generator=generator, device=self.device)
            for _ in range(rounds)
        ]
        return torch.cat(orders)[: self.epoch_images]

    def training_batches(
        self, order: Tensor, batch: int, augmentation: Augmentation, generator: torch.Generator
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """The training images of ``order``, augmented by ``generator`` and normalised.

        Yields images float (n, C, H, W) and labels (n): this process's share of each batch,
        which has ``batch`` images but for the last.
        """
        for indices in order.split(batch) if len(order) else ():
            images = augment(self.train.images[indices], augmentation, self.colour_axes, generator)
            yield self._normalise(share(images)), share(self.train.labels[indices])

    def evaluation_batches(
        self, split: str, augmentation: Augmentation, batch: int = 500
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """This process's share of ``"train"``, ``"sample"`` or ``"validation"``, in order."""
        for images, labels in self._share(split).split(batch):
            yield self._normalise(centre_crop(images, augmentation.crop)), labels

    def ten_crop_batches(
        self, augmentation: Augmentation, batch: int = 250
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """This process's share of the validation set: images (n, 10, C, h, w), labels (n)."""
        _, side = augmentation.scaled_crop
        for images, labels in self._share("validation").split(batch):
            crops = ten_crops(images, side)
            yield self._normalise(crops.flatten(0, 1)).unflatten(0, crops.shape[:2]), labels

    def _share(self, split: str) -> Images:
        part: Images = getattr(self, split)
        return Images(share(part.images), share(part.labels))


def make_dataset(train: Images, validation: Images, epoch_images: int | None = None) -> Dataset:
    """A :class:`Dataset` normalised by the training images alone.

    ``epoch_images`` is the number of training images if not given.
    """
    mean, covariance = colour_moments(train.images)
    shape = (1, -1, 1, 1)
    return Dataset(
        train,
        validation,
        mean.float().view(shape),
        covariance.diagonal().sqrt().float().view(shape),
        colour_axes(covariance),
        len(train) if epoch_images is None else epoch_images,
    )


Some = TypeVar("Some", Images, ImageFiles)


def hold_out(images: Some, count: int) -> tuple[Some, Some]:
    """Split off ``count`` images, in each class's share; the same images every time.

    Raises:
        InputError: if there are too few images for that.
    """
    if len(images) < 2 * count:
        raise InputError(f"{len(images)} training images are too few to hold out {count}")
    parts = train_test_split(
        torch.arange(len(images)), test_size=count, stratify=images.labels, random_state=0
    )
    kept, held = map(torch.as_tensor, parts)
    return images.take(kept.sort().values), images.take(held.sort().values)


def take_fraction(images: Images, fraction: float, seed: int = 0) -> Images:
    """A ``fraction`` of each class, drawn by ``seed``, in the order of ``images``.

    Nested: a smaller fraction lies within a larger one.

    Raises:
        InputError: if that leaves a class without an image.
    """
    if fraction == 1:
        return images
    generator = torch.Generator().manual_seed(seed)
    chosen = []
    for label in images.labels.unique():
        members = (images.labels == label).nonzero().flatten()
        count = round(fraction * len(members))
        if count == 0:
            raise InputError(
                f"fraction {fraction} leaves no image of a class of {len(members)}; "
                f"accepted: {1 / len(members):.2g} or more"
            )
        order = torch.randperm(len(members), generator=generator)
        chosen.append(members[order[:count]])
    return images.take(torch.cat(chosen).sort().values)


def _digits(data_dir: Path) -> tuple[Images, None]:
    """scikit-learn's digits: 1,797 handwritten digits, 8×8, values 0 to 16; no test set."""
    pixels, labels = load_digits(return_X_y=True)
    images = torch.tensor(pixels, dtype=torch.uint8).view(-1, 1, 8, 8)
    return Images(images, torch.tensor(labels)), None


def _torchvision(name: str) -> Callable[[Path], tuple[Images, Images]]:
    """A loader for one of torchvision's small sets, which downloads it where it is missing.

    torchvision checks the sum of what it downloads, and of CIFAR's files each time; a record
    names the fingerprint of what was trained on.
    """

    def part(data_dir: Path, train: bool) -> Images:
        from torchvision import datasets  # slow to import, and the digits do without it

        data = getattr(datasets, name)(data_dir, train=train, download=True)
        images = torch.as_tensor(data.data)
        images = images.unsqueeze(1) if images.ndim == 3 else images.permute(0, 3, 1, 2)
        return Images(images.contiguous(), torch.as_tensor(data.targets))

    def load(data_dir: Path) -> tuple[Images, Images]:
        data_dir = folder_above(FOLDERS[name], data_dir)
        try:
            return part(data_dir, train=True), part(data_dir, train=False)
        except Exception as error:  # of the network, the disk, or whatever damaged files hold
            raise InputError(
                f"{name} is neither whole in {data_dir} nor could it be "
                f"downloaded there ({reason(error)}); give the folder with --data-dir"
            ) from error

    return load


def _tiny_imagenet(every: int, halved: bool = False) -> Callable[[Path], tuple[Images, Images]]:
    """A loader for ``every`` so-manieth class of Tiny ImageNet, perhaps at half the side."""

    def load(data_dir: Path) -> tuple[Images, Images]:
        images, labels, test_images, test_labels = load_tiny_imagenet(data_dir, every)
        if halved:
            images, test_images = halve(images), halve(test_images)
        return Images(images, labels), Images(test_images, test_labels)

    return load


def halve(images: Tensor) -> Tensor:
    """uint8 (N, C, H, W) to uint8 (N, C, H/2, W/2): rounded means of 2×2 pixels."""
    means = [F.avg_pool2d(part.float(), 2) for part in images.split(1000)]
    return torch.cat([part.round().to(torch.uint8) for part in means])


# Sets that live whole on the device: what reads each from a folder, the training images and the
# set's own test images, None where it has none.
RESIDENT: dict[str, Callable[[Path], tuple[Images, Images | None]]] = {
    "digits": _digits,
    "fashion-mnist": _torchvision("FashionMNIST"),
    "cifar10": _torchvision("CIFAR10"),
    "cifar100": _torchvision("CIFAR100"),
    "tiny-imagenet": _tiny_imagenet(every=1),
    "tiny-imagenet-20": _tiny_imagenet(every=10),
    "tiny-imagenet-50": _tiny_imagenet(every=4),
    "tiny-imagenet-32": _tiny_imagenet(every=1, halved=True),
}


def _own(name: str, held_out: int, fraction: float, subset: int) -> Dataset | ImageNet:
    """Somebody's own pictures: whole on the device if they are of one size and fit, else as files.

    Raises:
        InputError: as :func:`load_data`.
    """
    folder = place_of(name)
    train, validation = image_files(folder)
    if validation is None:
        if not held_out:
            raise InputError(f"{folder} has no val; accepted: a held_out of 1 or more")
        train, validation = hold_out(train, held_out)
    elif held_out:
        raise InputError(f"held_out {held_out}, but {folder} has val; accepted: 0")
    parts = read_alike(train), read_alike(validation)
    if parts[0] is None or parts[1] is None or parts[0].shape[1:] != parts[1].shape[1:]:
        if fraction != 1:
            raise InputError(f"fraction {fraction} of pictures that are read as files; accepted: 1")
        return as_imagenet(train, validation)
    images = Images(parts[0], train.labels)
    kept = take_fraction(images, fraction, subset)
    return make_dataset(kept, Images(parts[1], validation.labels), len(images))


def load_data(
    name: str,
    held_out: int,
    data_dir: Path | str = paths.DOWNLOADS,
    fraction: float = 1,
    subset: int = 0,
) -> Dataset | ImageNet:
    """Load a data set of ``DATA_SETS`` onto the CPU.

    Args:
        name: one of ``DATA_SETS``, or what :func:`~resnet_study.data.folders.name_folder` returned.
        held_out: training images that serve as validation set (a fixed, class-balanced
            choice); 0 to validate on the set's own test images.
        data_dir: folder for data sets that do not come with a package, or a data set's own folder
            in it; ``~`` is the user's.
        fraction: share of the training images to train on, see :func:`take_fraction`. They alone
            decide the normalisation, as if there were no others; what validates stays the same,
            and so does the length of an epoch.
        subset: seed that draws the fraction.

    Raises:
        InputError: for an unknown name, data that are missing or corrupt, a fraction that is
            too small to hold every class, too few images to hold out so many, a set without test
            images of which none are held out, or ``held_out`` or ``fraction`` on ``imagenet``.
    """
    if re.fullmatch(OWN_DATA, name):
        return _own(name, held_out, fraction, subset)
    require_one_of("data set", name, DATA_SETS)
    data_dir = Path(os.path.expanduser(data_dir))
    if name == "imagenet":
        if held_out:
            raise InputError(f"held_out {held_out} on imagenet; accepted: 0, it validates on val")
        if fraction != 1:
            raise InputError(f"fraction {fraction} on imagenet; accepted: 1")
        return load_imagenet(data_dir)
    train, test = RESIDENT[name](data_dir)
    if held_out:
        train, test = hold_out(train, held_out)
    if test is None:
        raise InputError(f"data set {name!r} has no test images; hold out 1 or more")
    return make_dataset(take_fraction(train, fraction, subset), test, len(train))
