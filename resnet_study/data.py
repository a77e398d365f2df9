"""Data sets as tensors: digits (embedded), Fashion-MNIST, CIFAR-10 and CIFAR-100.

A small data set lives whole on the device as unsigned bytes; a batch is cut from it,
augmented and normalised at once. Data know nothing of models.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor

from resnet_study import paths
from resnet_study.augmentation import random_crop, random_flip
from resnet_study.errors import InputError, require_one_of


@dataclass(frozen=True)
class Images:
    """``images`` uint8 (N, C, H, W) and their ``labels`` int64 (N)."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device | str) -> "Images":
        return Images(self.images.to(device), self.labels.to(device))

    def take(self, indices: Tensor) -> "Images":
        return Images(self.images[indices], self.labels[indices])


@dataclass(frozen=True)
class Dataset:
    """A training and a validation set, and how to draw batches of them.

    ``mean`` and ``deviation`` (1, C, 1, 1) are those of the training pixels; they
    normalise both sets.
    """

    train: Images
    validation: Images
    mean: Tensor
    deviation: Tensor

    @property
    def classes(self) -> int:
        return int(self.train.labels.max()) + 1

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return tuple(self.train.images.shape[1:])

    @property
    def device(self) -> torch.device:
        return self.train.images.device

    def to(self, device: torch.device | str) -> "Dataset":
        return Dataset(
            self.train.to(device),
            self.validation.to(device),
            self.mean.to(device),
            self.deviation.to(device),
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
        return (images.float() - self.mean) / self.deviation

    def training_batches(
        self, batch: int, generator: torch.Generator, crop_padding: int = 0, flip: bool = False
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch: every training image once, in random order, augmented and normalised.

        Yields images float (n, C, H, W) and labels (n), n = ``batch`` but for the last.
        ``generator`` decides order and augmentation, and lies on the data's device.
        """
        order = torch.randperm(len(self.train), generator=generator, device=self.device)
        for indices in order.split(batch):
            images, labels = self.train.images[indices], self.train.labels[indices]
            if crop_padding:
                images = random_crop(images, crop_padding, generator)
            if flip:
                images = random_flip(images, generator)
            yield self._normalise(images), labels

    def evaluation_batches(self, split: str, batch: int = 1000) -> Iterator[tuple[Tensor, Tensor]]:
        """The ``"train"`` or ``"validation"`` set once, in order, without augmentation."""
        part: Images = getattr(self, split)
        for images, labels in zip(part.images.split(batch), part.labels.split(batch), strict=True):
            yield self._normalise(images), labels


def make_dataset(train: Images, validation: Images) -> Dataset:
    """A :class:`Dataset` normalised by the training images alone."""
    pixels = train.images.double()
    mean = pixels.mean(dim=(0, 2, 3), keepdim=True)
    deviation = pixels.std(dim=(0, 2, 3), keepdim=True, correction=0)
    return Dataset(train, validation, mean.float(), deviation.float())


def hold_out(images: Images, count: int) -> tuple[Images, Images]:
    """Split off ``count`` images, in each class's share; the same images every time."""
    kept, held = train_test_split(
        torch.arange(len(images)), test_size=count, stratify=images.labels, random_state=0
    )
    return images.take(kept.sort().values), images.take(held.sort().values)


def _digits(data_dir: Path) -> tuple[Images, None]:
    """scikit-learn's digits: 1,797 handwritten digits, 8×8, values 0 to 16; no test set."""
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.uint8).unsqueeze(1)
    return Images(images, torch.tensor(digits.target)), None


def _torchvision(name: str) -> Callable[[Path], tuple[Images, Images]]:
    """A loader for one of torchvision's small sets; downloads and checks sums as needed."""

    def part(data_dir: Path, train: bool) -> Images:
        from torchvision import datasets  # slow to import, and the digits do without it

        data = getattr(datasets, name)(data_dir, train=train, download=True)
        images = torch.as_tensor(data.data)
        images = images.unsqueeze(1) if images.ndim == 3 else images.permute(0, 3, 1, 2)
        return Images(images.contiguous(), torch.as_tensor(data.targets))

    def load(data_dir: Path) -> tuple[Images, Images]:
        try:
            return part(data_dir, train=True), part(data_dir, train=False)
        except (OSError, RuntimeError) as error:  # no network, no space, wrong checksum
            reason = str(error).splitlines()[0]
            raise InputError(
                f"{name} is neither whole in {data_dir} nor could it be "
                f"downloaded there ({reason}); give the folder with --data-dir"
            ) from error

    return load


LOADERS: dict[str, Callable[[Path], tuple[Images, Images | None]]] = {
    "digits": _digits,
    "fashion-mnist": _torchvision("FashionMNIST"),
    "cifar10": _torchvision("CIFAR10"),
    "cifar100": _torchvision("CIFAR100"),
}


def load_data(name: str, held_out: int, data_dir: Path = paths.DOWNLOADS) -> Dataset:
    """Load a data set of ``LOADERS`` onto the CPU.

    Args:
        name: a key of ``LOADERS``.
        held_out: training images that serve as validation set (a fixed, class-balanced
            choice); 0 to validate on the set's own test images.
        data_dir: folder for data sets that do not come with a package.

    Raises:
        InputError: for an unknown name, or data that are missing or corrupt.
    """
    require_one_of("data set", name, LOADERS)
    train, test = LOADERS[name](Path(data_dir))
    if held_out:
        return make_dataset(*hold_out(train, held_out))
    if test is None:
        raise InputError(f"data set {name!r} has no test images; hold out 1 or more")
    return make_dataset(train, test)
