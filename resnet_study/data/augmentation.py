"""Random augmentations of a whole batch at a time, on the batch's device.

Images come as uint8 and may leave as float, in the same units: 0 to 255.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from resnet_study.data.options import Augmentation


def augment(
    images: Tensor, augmentation: Augmentation, colour_axes: Tensor, generator: torch.Generator
) -> Tensor:
    """Augment images (N, C, H, W) at random; H and W become ``crop`` if that is given."""
    if augmentation.scales:
        images = random_scaled_crop(images, *augmentation.scaled_crop, augmentation.flip, generator)
    else:
        if augmentation.crop_padding:
            images = random_crop(images, augmentation.crop_padding, generator)
        if augmentation.flip:
            images = random_flip(images, generator)
    return random_colour(images, colour_axes, generator) if augmentation.colour else images


def centre_crop(images: Tensor, side: int | None) -> Tensor:
    """The centre of images (N, C, H, W), ``side`` pixels wide and high; all of them if None."""
    if side is None:
        return images
    top, left = ((whole - side) // 2 for whole in images.shape[2:])
    return images[:, :, top : top + side, left : left + side]


def ten_crops(images: Tensor, side: int) -> Tensor:
    """Corners and centre of images (N, C, H, W), and their mirror images: (N, 10, C, side, side).

    Krizhevsky, Sutskever & Hinton 2012, section 4.1.
    """
    from torchvision.transforms.functional import ten_crop  # slow to import

    return torch.stack(ten_crop(images, [side]), dim=1)


def random_crop(images: Tensor, padding: int, generator: torch.Generator) -> Tensor:
    """Pad each side with zeros and crop back at a random place, drawn for each image.

    He et al. 2015, section 4.2. Images (N, C, H, W) of any type; same shape out.
    """
    count, _, height, width = images.shape
    padded = F.pad(images, (padding,) * 4)
    offsets = torch.randint(
        2 * padding + 1, (2, count, 1), generator=generator, device=images.device
    )
    rows = offsets[0] + torch.arange(height, device=images.device)  # (N, H)
    columns = offsets[1] + torch.arange(width, device=images.device)  # (N, W)
    index = torch.arange(count, device=images.device)[:, None, None]
    # Indices around a slice put the channels last; they go back to second place.
    return padded[index, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def random_flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror each image left to right with probability one half. (N, C, H, W) in and out."""
    chosen = torch.rand(len(images), generator=generator, device=images.device) < 0.5
    return torch.where(chosen[:, None, None, None], images.flip(3), images)


def random_scaled_crop(
    images: Tensor, scales: tuple[int, int], crop: int, flip: bool, generator: torch.Generator
) -> Tensor:
    """Scale square images so that their side is uniform in ``scales``, then crop at random.

    He et al. 2015, section 3.4; all in one bilinear look-up, mirrored with probability one
    half if ``flip``. Sides and places are drawn from the continuum and not from whole pixels.
    Images (N, C, H, H), float (N, C, crop, crop) out. Meant for enlarging: a side below H
    would want a filter against aliasing.
    """
    count, _, _, side = images.shape
    draws = torch.rand(4, count, 1, generator=generator, device=images.device)
    pixel = side / (scales[0] + (scales[1] - scales[0]) * draws[0])  # of the crop, in ours
    steps = torch.arange(crop, device=images.device) + 0.5
    rows, columns = (draw * (side - crop * pixel) + steps * pixel for draw in draws[1:3])
    if flip:
        columns = torch.where(draws[3] < 0.5, columns.flip(1), columns)
    grid = torch.stack(
        [columns[:, None, :].expand(-1, crop, -1), rows[:, :, None].expand(-1, -1, crop)], dim=3
    )
    grid = 2 * grid / side - 1  # F.grid_sample counts from −1 to 1, edge to edge
    return F.grid_sample(
        images.float(), grid, mode="bilinear", padding_mode="border", align_corners=False
    )


def random_colour(images: Tensor, axes: Tensor, generator: torch.Generator) -> Tensor:
    """Add to each image a random multiple of each principal axis of colour.

    Krizhevsky, Sutskever & Hinton 2012, section 4.1: the sum over axes of α λ p, with α
    from a normal distribution of deviation 0.1. ``axes`` (3, 3) holds λ p in its columns,
    see :func:`colour_axes`. Images (N, 3, H, W) in 0 to 255, float out.
    """
    alpha = 0.1 * torch.randn(len(images), 3, generator=generator, device=images.device)
    return shift_colour(images, axes, alpha)


def shift_colour(images: Tensor, axes: Tensor, alpha: Tensor) -> Tensor:
    """Add to images (N, 3, H, W) in 0 to 255 the multiples alpha (N, 3) of the axes of colour."""
    return images + 255 * (alpha @ axes.T)[:, :, None, None]


BLOCK = 256  # pixels, of which 255² · 256 < 2²⁴


def colour_moments(images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (C) and covariance (C, C) of the colours of images uint8 (N, C, H, W), in float64.

    All sums are of whole numbers, and exact: over ``BLOCK`` pixels in float32, which is fast, as
    they stay below :math:`2^{24}`, and over blocks in float64, below :math:`2^{53}`. So neither the
    order nor the device matters.
    """
    channels = images.shape[1]
    sums = torch.zeros(channels, dtype=torch.float64, device=images.device)
    products = torch.zeros(channels, channels, dtype=torch.float64, device=images.device)
    for part in images.split(50):  # whose float32 copy fits the cache
        pixels = part.transpose(0, 1).flatten(1).float()
        padded = F.pad(pixels, (0, -pixels.shape[1] % BLOCK))
        blocks = padded.unflatten(1, (-1, BLOCK)).transpose(0, 1)
        sums += blocks.sum(dim=2).double().sum(dim=0)
        products += (blocks @ blocks.transpose(1, 2)).double().sum(dim=0)
    count = images.numel() / channels
    mean = sums / count
    return mean, products / count - mean[:, None] * mean


def colour_axes(covariance: Tensor) -> Tensor:
    """Eigenvectors of the ``covariance`` (C, C) of colours in 0 to 255, each times its
    eigenvalue for colours in 0 to 1, as columns (C, C)."""
    values, vectors = torch.linalg.eigh(covariance / 255**2)
    return (vectors * values).float()
