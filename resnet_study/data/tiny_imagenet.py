"""Tiny ImageNet: 200 classes of ImageNet, 500 training and 50 validation images of 64×64 each.

Read from the folder ``tiny-imagenet-200`` of the public archive, which is downloaded where it
is missing. Images may also lie as scripts leave them that sort them for other programs, see
``TRAINING_PLACES`` and ``VALIDATION_PLACES``; files of others beside them are not looked at.
"""

import os
import re
import tempfile
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_all_start_methods, get_context
from pathlib import Path

import numpy as np
import torch
from joblib import cpu_count
from torch import Tensor

from resnet_study.data.decoded import decoded
from resnet_study.data.pictures import as_reader, decode, entries, holding_signals, readers_failed
from resnet_study.errors import InputError, reason

NAME = "tiny-imagenet-200"
URL = f"http://cs231n.stanford.edu/{NAME}.zip"
MD5 = "90528d7ca1a48142e341f4ef8d21d0de"
CLASSES = 200
IMAGES_PER_CLASS = 500
VALIDATION_IMAGES = 10_000
SIDE = 64

# Folders that an image of a class is looked for in, below train and val; first the archive's own.
TRAINING_PLACES = ("{label}/images", "{label}")
VALIDATION_PLACES = ("images", "{label}/images", "{label}", "images/{label}")
LAYOUT = (
    "accepted: train/<class>/images or train/<class>; val/images with val/val_annotations.txt, or "
    "val/<class>/images, val/<class> or val/images/<class>"
)


def read_image(path: Path) -> np.ndarray:
    """Decode one image to uint8 (64, 64, 3) as :func:`~resnet_study.data.pictures.decode` does.

    Raises:
        InputError: names the file that is missing, broken or of another size.
    """
    try:
        pixels = np.asarray(decode(path))
    except FileNotFoundError as error:
        raise InputError(f"image {path} is missing") from error
    except PermissionError as error:
        raise InputError(f"image {path} cannot be read: {error.strerror}") from error
    except Exception as error:  # whatever a decoder makes of arbitrary bytes
        raise InputError(f"image {path} is corrupt: {reason(error)}") from error
    if pixels.shape != (SIDE, SIDE, 3):
        raise InputError(f"image {path} is of shape {pixels.shape}; accepted: {SIDE}×{SIDE}")
    return pixels


def _read_some(paths: list[Path]) -> np.ndarray:
    """uint8 (n, 3, 64, 64)."""
    return np.stack([read_image(path).transpose(2, 0, 1) for path in paths])


def _read_images(paths: list[Path]) -> Tensor:
    """uint8 (N, 3, 64, 64), decoded by a process on each core; threads were slower than one.

    Raises:
        InputError: names an image that cannot be used; if a process was killed, or none starts.
    """
    parts = [paths[start : start + 500] for start in range(0, len(paths), 500)]
    # Forked, as others would first import torch; there is no fork on Windows.
    context = get_context("fork" if "fork" in get_all_start_methods() else None)
    try:
        with ProcessPoolExecutor(cpu_count(), context, initializer=as_reader) as pool:
            with holding_signals():
                decoded = pool.map(_read_some, parts)  # starts them
            return torch.from_numpy(np.concatenate(list(decoded)))
    except (OSError, BrokenProcessPool) as error:
        raise readers_failed(error) from error


def _lines(path: Path) -> list[str]:
    """The lines of a text that are not blank, whatever editor last wrote it."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"Tiny ImageNet file {path} cannot be read: {reason(error)}") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def folder_above(name: str, data_dir: Path) -> Path:
    """The folder in which ``name`` lies, or is to: ``data_dir``, unless that is in ``name`` itself.

    So the folder of a data set may be named as well as the one above, and no data set is downloaded
    into itself.
    """
    inner, place = Path(name).parts, data_dir.absolute()
    if os.path.exists(data_dir / name):
        return data_dir
    for depth in range(len(inner), 0, -1):
        if place.parts[-depth:] == inner[:depth]:
            return place.parents[depth - 1]
    return data_dir


def _fetch(data_dir: Path) -> None:
    """Download and unpack the public archive; its checksum is checked."""
    from torchvision.datasets.utils import download_and_extract_archive  # slow to import

    try:
        # Unpacked beside its place, so that what is there is whole.
        data_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=data_dir) as partial:
            download_and_extract_archive(URL, str(data_dir), partial, md5=MD5)
            os.replace(Path(partial) / NAME, data_dir / NAME)
    except Exception as error:  # of the network, the disk or the archive
        raise InputError(
            f"Tiny ImageNet is not in {data_dir}/{NAME}, and cannot be downloaded "
            f"there ({reason(error)}); give that folder, or the one above it, with --data-dir"
        ) from error


def _find_root(data_dir: Path) -> Path:
    """The data set's folder: in ``data_dir``, that itself by any name, or the one it is a part of.

    Downloads it where there is none.
    """
    for root in (data_dir / NAME, data_dir, data_dir.absolute().parent):
        if os.path.isfile(root / "wnids.txt"):
            return root
    above = folder_above(NAME, data_dir)
    if not os.path.exists(above / NAME):
        _fetch(above)
    return above / NAME


def _locate(folder: Path, places: Iterable[str], label: str, name: str) -> Path:
    """The file of the image ``name`` of class ``label`` below ``folder``, in the first such place.

    Raises:
        InputError: if it is in none of them.
    """
    found = [os.path.join(folder, place.format(label=label), name) for place in places]
    for path in found:
        if os.path.isfile(path):
            return Path(path)
    raise InputError(f"image {found[0]} is missing; {LAYOUT}")


def _annotations(val: Path, ids: list[str]) -> list[tuple[str, str]]:
    """Names of the validation images and ids of their classes, in the order of the archive.

    That is the order of their numbers too, for those that sorted the images and dropped the list.
    """
    text = val / "val_annotations.txt"
    if os.path.exists(text):
        lines = [line.split() for line in _lines(text)]
        found = [(fields[0], fields[1]) for fields in lines if len(fields) > 1 and fields[1] in ids]
    elif not (found := _sorted_images(val, ids)):
        raise InputError(f"{text} is missing; {LAYOUT}")
    else:
        text = val
    if not len(found) == len(dict(found)) == VALIDATION_IMAGES:
        raise InputError(
            f"{text} names {len(dict(found))} images and their classes; "
            f"accepted: {VALIDATION_IMAGES}, each once"
        )
    return found


def _sorted_images(val: Path, ids: list[str]) -> list[tuple[str, str]]:
    """Names and classes of ``val_<number>.JPEG`` in folders of their classes, by their numbers."""
    numbered = []
    for label in ids:
        for place in VALIDATION_PLACES[1:]:
            folder = val / place.format(label=label)
            for entry in entries(folder) if os.path.isdir(folder) else ():
                if match := re.fullmatch(r"val_(\d+)\.JPEG", entry.name):
                    numbered.append((int(match[1]), entry.name, label))
    return [(name, label) for _, name, label in sorted(numbered)]


def load_tiny_imagenet(
    data_dir: Path | str, every: int = 1
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Training images and labels, official validation images and labels.

    Images are uint8 (N, 3, 64, 64), labels int64 (N). ``every`` = 10 takes every tenth
    class in the sorted order of their ids, 20 in all, labelled anew from 0. ``data_dir`` holds the
    data set's folder, or is it. All files are found before the first is decoded; what is decoded is
    kept there, see :mod:`resnet_study.data.decoded`.

    Raises:
        InputError: for a folder of another layout, or an image that is missing or corrupt.
    """
    root = _find_root(Path(data_dir))
    ids = sorted(set(_lines(root / "wnids.txt")))
    if len(ids) != CLASSES:
        raise InputError(f"{root}/wnids.txt names {len(ids)} classes; accepted: {CLASSES}")
    labels = {identifier: label for label, identifier in enumerate(ids[::every])}
    training = [
        (_locate(root / "train", TRAINING_PLACES, identifier, f"{identifier}_{number}.JPEG"), label)
        for identifier, label in labels.items()
        for number in range(IMAGES_PER_CLASS)
    ]
    validation = [
        (_locate(root / "val", VALIDATION_PLACES, identifier, name), labels[identifier])
        for name, identifier in _annotations(root / "val", ids)
        if identifier in labels
    ]
    return (*_tensors(training, root), *_tensors(validation, root))


def _tensors(pairs: list[tuple[Path, int]], root: Path) -> tuple[Tensor, Tensor]:
    """Images and labels of files below ``root``, with a label each."""
    images = decoded([path for path, _ in pairs], root, _read_images)
    return images, torch.tensor([label for _, label in pairs])
