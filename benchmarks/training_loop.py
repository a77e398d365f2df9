"""Our training loop against the stock one, side by side on this machine, one thread.

Stock is what a user would write from the tutorials: a DataLoader over a TensorDataset
with per-sample torchvision transforms. Same model, data, batch, augmentation and optimiser;
the two take turns, and the medians of their images per second are compared.
"""

from statistics import median
from time import perf_counter

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset
from torchvision.transforms import v2

from resnet_study.data import Images, load_data
from resnet_study.models import build_model
from resnet_study.recipes import get_recipe
from resnet_study.training import Training

ROUNDS = 5  # each of one epoch a loop, after one to warm up
RECIPE = get_recipe("digits")
DATA = load_data(RECIPE.data, RECIPE.held_out)


class StockDataset(TensorDataset):
    """Images with torchvision's transforms, one at a time."""

    def __init__(self, images: Images, *augmentation: nn.Module):
        super().__init__(images.images, images.labels)
        mean, deviation = DATA.mean.flatten().tolist(), DATA.deviation.flatten().tolist()
        self.transform = v2.Compose(
            [*augmentation, v2.ToDtype(torch.float32), v2.Normalize(mean, deviation)]
        )

    def __getitem__(self, index: int):
        image, label = super().__getitem__(index)
        return self.transform(image), label


def stock_epoch(model, optimiser, training: DataLoader, validation: DataLoader) -> None:
    """One epoch as in torch's tutorials: train, then validate."""
    model.train()
    wrong = total_loss = 0.0
    for images, labels in training:
        logits = model(images)
        loss = F.cross_entropy(logits, labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        total_loss += loss.item() * len(labels)
        wrong += (logits.argmax(1) != labels).sum().item()
    model.eval()
    with torch.no_grad():
        for images, labels in validation:
            logits = model(images)
            total_loss += F.cross_entropy(logits, labels).item() * len(labels)
            wrong += (logits.argmax(1) != labels).sum().item()


def our_epoch(training: Training) -> None:
    """One epoch of ours."""
    for images, labels in training.rest_of_epoch():
        training.learn(images, labels)
    training.close_epoch()


def make_model(depth: int):
    """A residual net, the same each time."""
    torch.manual_seed(0)
    return build_model(
        "residual",
        depth,
        classes=DATA.classes,
        channels=DATA.image_shape[0],
        stem=RECIPE.stem,
        width=RECIPE.width,
    )


def compare(depth: int) -> tuple[float, float]:
    """Median training images per second (stock, ours)."""
    crop = v2.RandomCrop(DATA.image_shape[1:], padding=RECIPE.augmentation.crop_padding)
    training = DataLoader(StockDataset(DATA.train, crop), RECIPE.batch, shuffle=True)
    validation = DataLoader(StockDataset(DATA.validation), RECIPE.batch)
    theirs = make_model(depth)
    stock_optimiser = torch.optim.SGD(
        theirs.parameters(), RECIPE.rate, RECIPE.momentum, weight_decay=RECIPE.weight_decay
    )
    ours = Training(make_model(depth), DATA, RECIPE, seed=0)
    loops = (
        lambda: stock_epoch(theirs, stock_optimiser, training, validation),
        lambda: our_epoch(ours),
    )
    speeds = ([], [])
    for _ in range(ROUNDS + 1):
        for loop, measured in zip(loops, speeds, strict=True):
            clock = perf_counter()
            loop()
            measured.append(len(DATA.train) / (perf_counter() - clock))
    return tuple(median(measured[1:]) for measured in speeds)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for depth in (18, 34):
        stock, ours = compare(depth)
        print(
            f"ResNet-{depth}, digits, one thread: stock {stock:.0f}, ours {ours:.0f} images/s,"
            f" ratio {ours / stock:.2f}"
        )
