"""Tiny ImageNet: 200 classes of ImageNet, 500 training and 50 validation images of 64×64 each.

Read from the folder ``tiny-imagenet-200`` of the public archive, which is downloaded where it
is missing.
"""

import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from resnet_study.errors import InputError

URL = "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
MD5 = "90528d7ca1a48142e341f4ef8d21d0de"
CLASSES = 200
IMAGES_PER_CLASS = 500
VALIDATION_IMAGES = 10_000
SIDE = 64


def read_image(path: Path) -> np.ndarray:
    """Decode one image to uint8 (64, 64, 3); a greyscale file gets three equal channels.

    Raises:
        InputError: names the file that is missing, broken or of another size.
    """
    try:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
    except FileNotFoundError as error:
        raise InputError(f"image {path} is missing") from error
    except (OSError, SyntaxError) as error:  # what Pillow raises on a broken file
        raise InputError(f"image {path} is corrupt: {error}") from error
    if pixels.shape != (SIDE, SIDE, 3):
        raise InputError(f"image {path} is of shape {pixels.shape}; accepted: {SIDE}×{SIDE}")
    return pixels


def _read_some(paths: list[Path]) -> np.ndarray:
    """uint8 (n, 3, 64, 64)."""
    return np.stack([read_image(path).transpose(2, 0, 1) for path in paths])


def _read_images(paths: list[Path]) -> Tensor:
    """uint8 (N, 3, 64, 64), decoded by a process on each core; threads were slower than one."""
    parts = [paths[start : start + 500] for start in range(0, len(paths), 500)]
    cores = len(os.sched_getaffinity(0))
    with ProcessPoolExecutor(cores, mp_context=get_context("fork")) as pool:
        return torch.from_numpy(np.concatenate(list(pool.map(_read_some, parts))))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"Tiny ImageNet file {path} cannot be read: {error}") from error


def _fetch(data_dir: Path) -> None:
    """Download and unpack the public archive; its checksum is checked."""
    from torchvision.datasets.utils import download_and_extract_archive  # slow to import

    try:
        # Unpacked beside its place, so that what is there is whole.
        Path(data_dir).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=data_dir) as partial:
            download_and_extract_archive(URL, str(data_dir), partial, md5=MD5)
            os.replace(Path(partial) / "tiny-imagenet-200", Path(data_dir) / "tiny-imagenet-200")
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"Tiny ImageNet is not in {data_dir}/tiny-imagenet-200, and cannot be downloaded "
            f"there ({error}); give the folder above tiny-imagenet-200 with --data-dir"
        ) from error


def load_tiny_imagenet(
    data_dir: Path | str, every: int = 1
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Training images and labels, official validation images and labels.

    Images are uint8 (N, 3, 64, 64), labels int64 (N). ``every`` = 10 takes every tenth
    class in the sorted order of their ids, 20 in all, labelled anew from 0.

    Raises:
        InputError: for a folder of another layout, or an image that is missing or corrupt.
    """
    root = Path(data_dir) / "tiny-imagenet-200"
    if not root.exists():
        _fetch(Path(data_dir))
    ids = sorted(_lines(root / "wnids.txt"))
    if len(ids) != CLASSES:
        raise InputError(f"{root}/wnids.txt names {len(ids)} classes; accepted: {CLASSES}")
    labels = {identifier: label for label, identifier in enumerate(ids[::every])}
    training = [
        (root / "train" / identifier / "images" / f"{identifier}_{number}.JPEG", label)
        for identifier, label in labels.items()
        for number in range(IMAGES_PER_CLASS)
    ]
    lines = [line.split("\t") for line in _lines(root / "val" / "val_annotations.txt")]
    annotations = [fields for fields in lines if len(fields) > 1 and fields[1] in ids]
    if len(annotations) != VALIDATION_IMAGES:
        raise InputError(
            f"{root}/val/val_annotations.txt names {len(annotations)} images and their classes; "
            f"accepted: {VALIDATION_IMAGES}"
        )
    validation = [
        (root / "val" / "images" / name, labels[identifier])
        for name, identifier, *_ in annotations
        if identifier in labels
    ]
    return tuple(
        part
        for pairs in (training, validation)
        for part in (
            _read_images([path for path, _ in pairs]),
            torch.tensor([label for _, label in pairs]),
        )
    )
