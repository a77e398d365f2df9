"""The three training loops that are compared, each in its own section below.

All train the same network on batches of the same recipe. (a) and (b) take their steps alike,
(b) and (c) their batches: from (a) to (b) the data path changes, from (b) to (c) the loop.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, RandomSampler
from torch.utils.data import Dataset as IndexedDataset
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from resnet_study.data.augmentation import random_colour
from resnet_study.data.datasets import Dataset, Images
from resnet_study.data.options import Augmentation
from resnet_study.training.loop import Training
from resnet_study.training.recipes import Recipe

WORKERS = len(os.sched_getaffinity(0))  # processes that prepare images for (a): one a core
FROM_FILES = ("tiny-imagenet", "tiny-imagenet-20")  # data sets of picture files


Learner = Callable[[Tensor, Tensor], object]
"""One optimiser step, from images (n, C, H, W) and labels (n)."""


class Loop(NamedTuple):
    """A training loop that can be driven for any number of steps."""

    epoch: Callable[[], Iterable[tuple[Tensor, Tensor]]]  # begins one: its images and labels
    learn: Learner

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Epoch after epoch without end, without the batches that are not full."""
        while True:
            for images, labels in self.epoch():
                if len(labels) == size:
                    yield images, labels


# (a) Stock: what a user would take from torchvision's references/classification. Files through
# ImageFolder, transforms of one image at a time, a DataLoader with a worker on each core.


class PictureFiles(ImageFolder):
    """The training files of Tiny ImageNet: ``classes`` of them, evenly spaced in sorted order."""

    def __init__(self, data_dir: Path, classes: int, transform: nn.Module):
        self.count = classes
        super().__init__(data_dir / "tiny-imagenet-200" / "train", transform)

    def find_classes(self, directory: str) -> tuple[list[str], dict[str, int]]:
        found, _ = super().find_classes(directory)
        chosen = found[:: len(found) // self.count]
        return chosen, {name: label for label, name in enumerate(chosen)}


class PicturesInMemory(IndexedDataset):
    """Stands in for the files where a data set has none."""

    def __init__(self, images: Images, transform: nn.Module):
        self.images, self.transform = images.to("cpu"), transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.transform(self.images.images[index]), self.images.labels[index]


class Colour(nn.Module):
    """The recipe's change of colour, which torchvision lacks, of one image (3, H, W)."""

    def __init__(self, axes: Tensor):
        super().__init__()
        self.axes = axes.cpu()

    def forward(self, image: Tensor) -> Tensor:
        return random_colour(image[None], self.axes, torch.default_generator)[0]


def stock_transforms(augmentation: Augmentation, data: Dataset) -> nn.Module:
    """The recipe's augmentation and normalisation in torchvision's terms."""
    steps = []
    if augmentation.scales:
        low, high = augmentation.scales
        steps += [v2.RandomShortestSize(range(low, high + 1)), v2.RandomCrop(augmentation.crop)]
    elif augmentation.crop_padding:
        size = data.train.images.shape[2:]
        steps.append(v2.RandomCrop(size, padding=augmentation.crop_padding))
    if augmentation.flip:
        steps.append(v2.RandomHorizontalFlip())
    steps += [v2.PILToTensor(), v2.ToDtype(torch.float32)]
    if augmentation.colour:
        steps.append(Colour(data.colour_axes))
    steps.append(v2.Normalize(data.mean.flatten().tolist(), data.deviation.flatten().tolist()))
    return v2.Compose(steps)


def stock_learner(model: nn.Module, recipe: Recipe, device: torch.device) -> Learner:
    """The reference's step: eager, under autocast, with its numbers read for a log.

    On a GPU faster than the reference's own: channels last, copies that do not wait.
    """
    layout = torch.channels_last if device.type == "cuda" else torch.preserve_format
    model.to(device, memory_format=layout).train()
    optimiser = torch.optim.SGD(
        model.parameters(), recipe.rate, recipe.momentum, weight_decay=recipe.weight_decay
    )

    def learn(images: Tensor, labels: Tensor) -> tuple[float, int]:
        images = images.to(device, memory_format=layout, non_blocking=True)
        labels = labels.to(device, non_blocking=True)
        half = recipe.precision == "bfloat16"
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            logits = model(images)
            loss = F.cross_entropy(logits, labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        right = (logits.argmax(dim=1) == labels).sum()
        return loss.item(), right.item()

    return learn


def stock(model: nn.Module, data: Dataset, recipe: Recipe, data_dir: Path) -> Loop:
    """Loop (a): files, workers, the stock step."""
    transform = stock_transforms(recipe.augmentation, data)
    if recipe.data in FROM_FILES:
        pictures = PictureFiles(data_dir, data.classes, transform)
    else:
        pictures = PicturesInMemory(data.train, transform)
    loader = DataLoader(
        pictures,
        recipe.batch,
        # One epoch after another: workers are not started anew in the middle of a measurement.
        sampler=RandomSampler(pictures, num_samples=2**40),
        num_workers=WORKERS,
        pin_memory=data.device.type == "cuda",
    )
    return Loop(lambda: loader, stock_learner(model, recipe, data.device))


# (b) Stock with the data resident: the step of (a), but the images lie decoded on the device, and
# our augmentation takes a whole batch at a time.


def resident(model: nn.Module, data: Dataset, recipe: Recipe, data_dir: Path) -> Loop:
    """Loop (b): resident data, the stock step."""
    generator = torch.Generator(data.device).manual_seed(0)

    def epoch() -> Iterator[tuple[Tensor, Tensor]]:
        order = data.draw_order(generator)
        return data.training_batches(order, recipe.batch, recipe.augmentation, generator)

    return Loop(epoch, stock_learner(model, recipe, data.device))


# (c) Ours: the batches of (b), and the step of resnet_study.training.loop.


def ours(model: nn.Module, data: Dataset, recipe: Recipe, data_dir: Path) -> Loop:
    """Loop (c): resident data, our step."""
    training = Training(model, data, recipe, seed=0)

    def epoch() -> Iterator[tuple[Tensor, Tensor]]:
        training.step, training.order = 0, None  # from the beginning, with nothing evaluated
        return training.rest_of_epoch()

    return Loop(epoch, training.learn)


MAKERS = {"stock": stock, "resident": resident, "ours": ours}
