"""ImageNet, or any folder of pictures in its layout, read while it trains.

The pictures are ``train/<class>/*.JPEG`` and ``val/<class>/*.JPEG``, as torchvision wants them;
:mod:`resnet_study.data.pictures` says which files those are, and which are left out or refused.
Processes beside the training decode, scale and crop them; colour and normalisation are done for
a whole batch on the device.
"""

import hashlib
import math
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.pool import ThreadPool
from pathlib import Path

import numpy as np
import torch
from joblib import cpu_count
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from resnet_study.data.augmentation import centre_crop, shift_colour, ten_crops
from resnet_study.data.folders import is_split, list_pictures
from resnet_study.data.options import Augmentation
from resnet_study.data.pictures import (
    as_reader,
    class_names,
    decode,
    holding_signals,
    picture_names,
    readers_failed,
)
from resnet_study.errors import InputError, reason
from resnet_study.processes import processes_here, share

View = Callable[..., tuple[Tensor, ...]]
"""Called with an image uint8 (3, H, W), and its seed where there is one."""

LAYOUT = "accepted: train/<class>/*.JPEG and val/<class>/*.JPEG"

FITS = 2**31  # bytes of own pictures that may lie whole on the device
LOOKS = 16  # files looked at side by side: each look may wait for a network
SAMPLE = 2500  # training images whose clean error is followed along a curve

# Constants of ImageNet's training pixels in 0 to 1, red, green, blue, as widely used.
MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
# Principal components of their colours: eigenvalues, and eigenvectors in the columns. As used
# since AlexNet, though the eigenvalues add up to more than the variances above.
EIGENVALUES = (0.2175, 0.0188, 0.0045)
EIGENVECTORS = (
    (-0.5675, 0.7192, 0.4009),
    (-0.5808, -0.0045, -0.8140),
    (-0.5836, -0.6948, 0.4203),
)


def evenly_spread(images: int) -> Tensor:
    """Indices, int64, of at most ``SAMPLE`` out of so many images, as far apart as can be."""
    return torch.arange(0, images, math.ceil(images / SAMPLE))


@dataclass(frozen=True)
class ImageFiles:
    """Image files ``names`` (N), bytes relative to ``root``, and their ``labels`` int64 (N)."""

    root: Path
    names: np.ndarray  # one block of memory: reading processes would copy a list of strings
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: Tensor) -> "ImageFiles":
        """Those at ``indices`` int64 (n), in that order."""
        return replace(self, names=self.names[indices.numpy()], labels=self.labels[indices])

    def path(self, index: int) -> Path:
        """Where the file of image ``index`` lies."""
        return self.root / os.fsdecode(self.names[index])

    def size(self, index: int) -> int:
        """Of the file of image ``index``, in bytes.

        Raises:
            InputError: names the file that is missing.
        """
        try:
            return self.path(index).stat().st_size
        except OSError as error:
            raise InputError(f"image {self.path(index)} cannot be read: {error}") from error

    def read(self, index: int) -> Tensor:
        """Decode an image to uint8 (3, H, W) as :func:`~resnet_study.data.pictures.decode` does.

        Raises:
            InputError: names the file that is missing or broken.
        """
        from torchvision.transforms.v2.functional import pil_to_tensor  # slow to import

        path = self.path(index)
        try:
            return pil_to_tensor(decode(path))
        except Exception as error:  # whatever a decoder makes of arbitrary bytes
            raise InputError(f"image {path} cannot be read: {reason(error)}") from error


def scaled(image: Tensor, side: int) -> Tensor:
    """``image`` uint8 (3, H, W) with its shorter side at ``side`` pixels."""
    from torchvision.transforms.v2 import functional  # slow to import

    return functional.resize(image, [side], antialias=True)


def random_view(augmentation: Augmentation, image: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """A random crop of ``image``, and the α of its change of colour (3): ``seed`` decides both.

    The shorter side is drawn from the whole numbers of ``scales``, both ends among them: He et al.
    2015, section 3.4.
    """
    generator = torch.Generator().manual_seed(int(seed))

    def draw(count: int) -> int:
        return int(torch.randint(count, (), generator=generator))

    (low, high), crop = augmentation.scaled_crop
    image = scaled(image, low + draw(high - low + 1))
    top, left = (draw(side - crop + 1) for side in image.shape[1:])
    image = image[:, top : top + crop, left : left + crop]
    if augmentation.flip and draw(2):
        image = image.flip(2)
    return image, 0.1 * torch.randn(3, generator=generator)


def clean_view(
    augmentation: Augmentation, crops: Callable[[Tensor, int], Tensor], image: Tensor
) -> tuple[Tensor]:
    """What ``crops`` makes of ``image``, its shorter side at the lowest scale; nothing random."""
    (low, _), crop = augmentation.scaled_crop
    return (crops(scaled(image, low)[None], crop)[0],)


@dataclass(frozen=True)
class Reader(Dataset):
    """What a process beside the training does: makes batches of ``files``, as ``view`` says."""

    files: ImageFiles
    view: View

    def __getitem__(self, rows: np.ndarray) -> list[Tensor] | InputError:
        """What ``view`` returns, and labels (n), in batches.

        ``rows`` (n, 1) or (n, 2) hold the index of each image, and its seed where there is one.
        """
        try:
            return default_collate(
                [
                    (*self.view(self.files.read(index), *seed), self.files.labels[index])
                    for index, *seed in rows
                ]
            )
        except InputError as error:
            return error  # raised, it would arrive with a traceback in its message


@dataclass(frozen=True)
class ImageNet:
    """What :class:`~resnet_study.data.datasets.Dataset` offers, for data that do not fit the
    device.

    ``mean`` and ``deviation`` (1, 3, 1, 1) are of pixels in 0 to 255; ``colour_axes`` (3, 3)
    are as :func:`~resnet_study.data.augmentation.colour_axes` returns them. All batches come
    from a recipe's augmentation with scales and crop; an image that is missing or corrupt ends
    them with an :class:`InputError` that names it.
    """

    train: ImageFiles
    validation: ImageFiles
    mean: Tensor
    deviation: Tensor
    colour_axes: Tensor

    channels = 3

    @property
    def epoch_images(self) -> int:
        """The length of an epoch: all training images."""
        return len(self.train)

    @property
    def classes(self) -> int:
        """How many there are; labels are 0 to one below."""
        return int(self.train.labels.max()) + 1

    @property
    def sample(self) -> ImageFiles:
        """Training images that stand for all of them along a curve, see :func:`evenly_spread`."""
        return self.train.take(evenly_spread(len(self.train)))

    @property
    def device(self) -> torch.device:
        """Where batches come out."""
        return self.mean.device

    def to(self, device: torch.device | str) -> "ImageNet":
        """The same images, with batches that come out on ``device``."""
        names = ("mean", "deviation", "colour_axes")
        return replace(self, **{name: getattr(self, name).to(device) for name in names})

    def fingerprint(self) -> str:
        """SHA-256 over the names and sizes in bytes of all files.

        Not over the pixels: to read 150 GB before each training takes too long, and a file that
        was cut short or encoded anew has another size.
        """
        digest = hashlib.sha256()
        with ThreadPool(LOOKS) as pool:
            for part in (self.train, self.validation):
                order = np.argsort(part.names)
                sizes = pool.imap(part.size, order, chunksize=64)
                for index, size in zip(order, sizes, strict=True):
                    digest.update(bytes(part.names[index]) + f"\0{size}\n".encode())
        return digest.hexdigest()

    def draw_order(self, generator: torch.Generator) -> Tensor:
        """A random order of the training images, and a seed for each: (N, 2).

        The seeds make the augmentation independent of which process reads an image, and
        when. ``generator`` lies on the device.
        """
        count, options = len(self.train), {"generator": generator, "device": self.device}
        order = torch.randperm(count, **options)
        return torch.stack([order, torch.randint(2**32, (count,), **options)], dim=1)

    def training_batches(
        self, order: Tensor, batch: int, augmentation: Augmentation, generator: torch.Generator
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """The training images of ``order`` (n, 2), augmented by its seeds and normalised.

        Yields images float (n, 3, crop, crop) and labels (n): this process's share of each
        batch, which has ``batch`` images but for the last. Draws nothing from ``generator``.
        """
        rows = map(share, order.cpu().split(batch))
        view = partial(random_view, augmentation)
        for images, alpha, labels in self._read(self.train, rows, view):
            if augmentation.colour:
                images = shift_colour(images, self.colour_axes, alpha)
            yield self._normalise(images), labels

    def evaluation_batches(
        self, split: str, augmentation: Augmentation, batch: int = 250
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Centre crops of this process's share of ``"train"``, ``"sample"``, ``"validation"``."""
        view = partial(clean_view, augmentation, centre_crop)
        for images, labels in self._read_share(getattr(self, split), batch, view):
            yield self._normalise(images), labels

    def ten_crop_batches(
        self, augmentation: Augmentation, batch: int = 25
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """This process's share of the validation set: images (n, 10, 3, crop, crop), labels (n)."""
        view = partial(clean_view, augmentation, ten_crops)
        for crops, labels in self._read_share(self.validation, batch, view):
            yield self._normalise(crops.flatten(0, 1)).unflatten(0, crops.shape[:2]), labels

    def _normalise(self, images: Tensor) -> Tensor:
        normal = (images.float() - self.mean) / self.deviation
        return normal.contiguous(memory_format=torch.channels_last)  # faster convolutions

    def _read_share(self, files: ImageFiles, batch: int, view: View) -> Iterator[list[Tensor]]:
        return self._read(files, share(torch.arange(len(files))[:, None]).split(batch), view)

    def _read(
        self, files: ImageFiles, batches: Iterable[Tensor], view: View
    ) -> Iterator[list[Tensor]]:
        """What ``view`` makes of each of the ``batches`` (see :class:`Reader`), on the device."""
        rows = [batch.numpy() for batch in batches if len(batch)]
        readers = max(1, cpu_count() // processes_here())
        loader = DataLoader(
            Reader(files, view),
            sampler=rows,
            batch_size=None,  # an item is a batch
            num_workers=min(readers, len(rows)) if len(rows) > 1 else 0,
            pin_memory=self.device.type == "cuda",
            generator=torch.Generator(),  # else it would draw from the one of the whole process
            worker_init_fn=as_reader,
        )
        for batch in _in_turn(loader):
            if isinstance(batch, InputError):
                raise batch
            yield [part.to(self.device, non_blocking=True) for part in batch]


def _in_turn(loader: DataLoader) -> Iterator[list[Tensor] | InputError]:
    """What ``loader`` reads, batch after batch.

    Raises:
        InputError: if a process that reads has died, once a batch of its is due.
    """
    try:
        yield from _start(loader)
    except (OSError, RuntimeError) as error:
        raise readers_failed(error) from error


def _start(loader: DataLoader) -> Iterator[list[Tensor] | InputError]:
    """Start the processes of ``loader``.

    torch would have a reader's death raise an error wherever the training just is, in the middle of
    a checkpoint too; it is told again to whoever waits for a batch, where it can be caught.
    """
    if not hasattr(signal, "SIGCHLD") or threading.current_thread() is not threading.main_thread():
        return iter(loader)  # torch does no such thing then
    before = signal.getsignal(signal.SIGCHLD)
    try:
        with holding_signals():
            return iter(loader)
    finally:
        signal.signal(signal.SIGCHLD, before)


def _image_files(data_dir: Path, part: str, classes: list[str]) -> ImageFiles:
    """The images of ``part``, ``"train"`` or ``"val"``: class by class, each by its names."""
    names, labels = [], []
    for label, name in enumerate(classes):
        found = picture_names(data_dir / part / name, LAYOUT)
        names += [os.fsencode(os.path.join(part, name, file)) for file in found]
        labels += [label] * len(found)
    return ImageFiles(data_dir, np.array(names), torch.tensor(labels, dtype=torch.int64))


def load_imagenet(data_dir: Path) -> ImageNet:
    """The images of ``data_dir``, on the CPU; classes are numbered in the order of their names.

    Raises:
        InputError: for a folder of another layout, or files that may be meant as images of it and
            are none, see :func:`~resnet_study.data.pictures.picture_names`.
    """
    for part in ("train", "val"):
        if not os.path.isdir(data_dir / part):  # Path.is_dir raises where it may not look
            raise InputError(
                f"ImageNet's folder {data_dir / part} is missing; "
                "give the folder that holds train and val with --data-dir"
            )
    classes, others = (class_names(data_dir / part, LAYOUT) for part in ("train", "val"))
    for name in sorted({*classes} ^ {*others}):
        there, missing = ("train", "val") if name in classes else ("val", "train")
        raise InputError(
            f"class {name} of {data_dir / there} is missing in {data_dir / missing}; "
            "accepted: the same classes in both"
        )
    return as_imagenet(
        _image_files(data_dir, "train", classes), _image_files(data_dir, "val", classes)
    )


def as_imagenet(train: ImageFiles, validation: ImageFiles) -> ImageNet:
    """Files as a data set, on the CPU, with the constants of ImageNet's pixels."""
    shape = (1, 3, 1, 1)
    return ImageNet(
        train,
        validation,
        255 * torch.tensor(MEAN).view(shape),
        255 * torch.tensor(DEVIATION).view(shape),
        torch.tensor(EIGENVECTORS) * torch.tensor(EIGENVALUES),
    )


def image_files(folder: Path) -> tuple[ImageFiles, ImageFiles | None]:
    """Somebody's own pictures: what trains, and what validates, None where that does not lie apart.

    Classes are numbered in the order of their names.

    Raises:
        InputError: as :func:`~resnet_study.data.folders.list_pictures`.
    """
    found: dict[str, ImageFiles] = {}
    listed = list_pictures(folder)
    labels = {name: label for label, name in enumerate(dict.fromkeys(map(_class_of, listed)))}
    for part in ("train/", "val/") if is_split(folder) else ("",):
        pairs = [
            (os.fsencode(f"{place}/{name}"), labels[_class_of(place)])
            for place, names in listed.items()
            if place.startswith(part)
            for name in names
        ]
        names, numbers = zip(*pairs, strict=True)
        found[part] = ImageFiles(folder, np.array(names), torch.tensor(numbers))
    return next(iter(found.values())), found.get("val/")


def _class_of(place: str) -> str:
    return place.rpartition("/")[2]


def read_alike(files: ImageFiles) -> Tensor | None:
    """All pictures, uint8 (N, 3, H, W), if they have one size and less than ``FITS`` bytes.

    Raises:
        InputError: names a picture that cannot be read.
    """
    first = files.read(0)
    if len(files) * first.numel() > FITS:
        return None
    images = torch.empty((len(files), *first.shape), dtype=torch.uint8)
    for index in range(len(files)):
        image = files.read(index)
        if image.shape != first.shape:
            return None
        images[index] = image
    return images
