"""Decoded images, kept beside their data set and mapped into memory: a run need not decode them.

A file is named after the names, sizes and times of its images and after their decoder, so what was
kept of others is not found. It ends with the SHA-256 of its pixels; one without is made anew.
"""

import hashlib
import io
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from resnet_study.data.pictures import jpeg_decoder
from resnet_study.errors import InputError
from resnet_study.files import write_atomically

FOLDER = ".decoded"  # below that of the data set


def decoded(paths: list[Path], folder: Path, read: Callable[[list[Path]], Tensor]) -> Tensor:
    """The images of ``paths``, uint8 (N, …), as ``read`` decodes them or from what was kept.

    Kept in ``folder``; where that cannot be written, they are decoded every time.

    Raises:
        InputError: of ``read``, or for an image that is not there.
    """
    kept = folder / FOLDER / f"{_key(paths)}.npy"
    with suppress(OSError, ValueError, EOFError):  # not there, or cut short
        if (images := _map(kept)) is not None:
            return images
    images = read(paths)
    with suppress(InputError):
        write_atomically(kept, _content(images))
        print(f"decoded images are kept in {kept.parent}", file=sys.stderr)
    return images


def _key(paths: list[Path]) -> str:
    """What the decoded images depend on, short."""
    digest = hashlib.sha256(jpeg_decoder().encode())
    for path in paths:
        try:
            found = path.stat()
        except OSError as error:
            raise InputError(f"image {path} cannot be read: {error.strerror}") from error
        digest.update(f"{path.name}\0{found.st_size}\0{found.st_mtime_ns}\n".encode())
    return f"{len(paths)}-{digest.hexdigest()[:16]}"


def _content(images: Tensor) -> bytes:
    array, file = images.numpy(), io.BytesIO()
    np.save(file, array)
    file.write(hashlib.sha256(array.data).digest())
    return file.getvalue()


def _map(path: Path) -> Tensor | None:
    """The images of a file, None if their sum is not the one at its end."""
    array = np.load(path, mmap_mode="c")  # a tensor's memory can be written; the file stays
    with path.open("rb") as file:
        file.seek(-hashlib.sha256().digest_size, io.SEEK_END)
        whole = hashlib.sha256(array).digest() == file.read()
    return torch.from_numpy(array) if whole else None
