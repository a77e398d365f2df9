"""Random augmentations of a whole batch at a time, on the batch's device."""

import torch
from torch import Tensor
from torch.nn import functional as F


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
