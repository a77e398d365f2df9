"""Picture files: which files of a folder are a data set's pictures, their pixels, their readers.

A data set is rarely alone in its folders: systems, network drives and editors put files of their
own beside it. A picture of a class is a file directly within the class's folder that has one of
``ENDINGS``. What systems keep there (hidden files and folders, ``SYSTEM_NAMES``) and files of other
endings are left out; what may be meant as a picture and is none is refused by name.
"""

import itertools
import os
import re
import signal
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, features
from PIL.TiffImagePlugin import TiffImageFile

from resnet_study.errors import InputError
from resnet_study.processes import end_with_parent

# What torchvision's ImageFolder takes for a picture, whatever the case of its letters.
ENDINGS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
# Pictures that it would leave out without a word.
OTHER_PICTURES = (".gif", ".jfif", ".jpe", ".jp2", ".avif", ".heic", ".heif", ".apng")
# Of a picture that is not there yet, or not all of it.
UNFINISHED = (".part", ".partial", ".filepart", ".crdownload", ".download", ".opdownload", ".aria2")
# What systems and network drives keep in any folder, besides names that begin with a dot; in small
# letters.
SYSTEM_NAMES = frozenset(
    {
        *("@eadir", "@tmp", "@recycle", "@recently-snapshot", "#recycle", "#snapshot", "~snapshot"),
        *("__macosx", "icon\r", "network trash folder", "temporary items"),
        *("thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "recycler"),
        *("system volume information", "found.000", "lost+found", "__pycache__"),
    }
)

HELD = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


def entries(folder: Path) -> list[os.DirEntry]:
    """What lies in ``folder``, in the order of the names, without what systems keep there.

    Raises:
        InputError: for a folder that is missing or may not be listed.
    """
    try:
        with os.scandir(folder) as found:
            kept = [
                entry
                for entry in found
                if not entry.name.startswith(".") and entry.name.lower() not in SYSTEM_NAMES
            ]
    except OSError as error:
        raise InputError(f"folder {folder} cannot be listed: {error.strerror}") from error
    return sorted(kept, key=lambda entry: entry.name)


def class_names(folder: Path, layout: str) -> list[str]:
    """Names of the class folders in ``folder``, sorted; ``layout`` says what is accepted.

    Raises:
        InputError: for a folder without any, one that cannot be listed, a link to nothing, or
            pictures beside the class folders.
    """
    names = []
    for entry in entries(folder):
        if stat.S_ISDIR(_status(entry).st_mode):
            names.append(entry.name)
        elif _ending(entry.name) in ENDINGS:
            raise InputError(f"image {entry.path} lies outside of the class folders; {layout}")
    if not names:
        raise InputError(f"{folder} holds no class folders; {layout}")
    return names


def picture_names(folder: Path, layout: str) -> list[str]:
    """Names of the pictures in the class folder ``folder``, sorted.

    Raises:
        InputError: if there are none, for a folder that cannot be listed, and for what is no
            picture but may be meant as one: a folder, an empty file, a link to nothing, an
            unfinished download, a picture of another format, a second copy.
    """
    names = []
    for entry in entries(folder):
        ending = _ending(entry.name)
        if ending in UNFINISHED:
            raise InputError(f"{entry.path} is a download that was not finished")
        if ending in OTHER_PICTURES:
            raise InputError(f"image {entry.path} is not read; accepted: {', '.join(ENDINGS)}")
        if ending not in ENDINGS and not entry.is_symlink() and entry.is_file():
            continue  # without a look at each of them
        status = _status(entry)
        if stat.S_ISDIR(status.st_mode):
            raise InputError(f"folder {entry.path} lies within a class folder; {layout}")
        if ending not in ENDINGS:
            continue
        if not stat.S_ISREG(status.st_mode):
            raise InputError(f"image {entry.path} is no file")
        if status.st_size == 0:
            raise InputError(f"image {entry.path} is empty")
        names.append(entry.name)
    if not names:
        raise InputError(f"class folder {folder} holds no images; {layout}")
    _refuse_copies(folder, names)
    return names


def _ending(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _status(entry: os.DirEntry) -> os.stat_result:
    """Of what ``entry`` is, or leads to."""
    try:
        return entry.stat()
    except OSError as error:
        raise InputError(f"{entry.path} cannot be reached: {error.strerror}") from error


def _refuse_copies(folder: Path, names: list[str]) -> None:
    """Raise :class:`InputError` for a copy that a file manager or JupyterLab made of a picture.

    That is a file of the same bytes whose name is the other's with something before or after it:
    ``a (1).JPEG``, ``a-Copy1.JPEG``, ``Copy of a.JPEG``. ImageNet itself holds pictures twice,
    under numbers of their own.
    """
    by_stem: dict[str, list[str]] = {}
    for name in names:
        by_stem.setdefault(os.path.splitext(name)[0], []).append(name)
    for stem, same in by_stem.items():
        pairs = list(itertools.combinations(same, 2))
        for mark in re.finditer("[^0-9A-Za-z]", stem):
            for other in (stem[: mark.start()], stem[mark.end() :]):
                pairs += itertools.product(by_stem.get(other, ()), same)
        for first, second in pairs:
            if _same_bytes(folder / first, folder / second):
                raise InputError(f"image {folder / second} is a copy of {first}; delete one")


def _same_bytes(first: Path, second: Path) -> bool:
    try:
        return (
            first.stat().st_size == second.stat().st_size
            and first.read_bytes() == second.read_bytes()
        )
    except OSError:
        return False  # it is named when it is read


def jpeg_decoder() -> str:
    """The library that decodes JPEG files for Pillow, which may differ in a pixel's last bit."""
    turbo = features.version("libjpeg_turbo")
    return f"libjpeg-turbo {turbo}" if turbo else f"libjpeg {features.version('jpg')}"


def decode(path: Path) -> Image.Image:
    """The picture in the file ``path``, its first frame, in red, green and blue of 8 bits.

    Grey becomes three equal channels, of 16 bits the upper 8, as Pillow does with colours of 16
    bits. Of transparent pixels the colour beneath is taken. As in torchvision's ImageFolder, colour
    profiles and the orientation in a photograph's EXIF data are not applied.

    Raises:
        ValueError: for grey that has no white: of 32 bits, of signed or real numbers.
        Exception: whatever the system or Pillow makes of a file that is missing or broken.
    """
    with warnings.catch_warnings():
        # Of a picture that is read all the same, large or with damaged EXIF data.
        warnings.simplefilter("ignore")
        with Image.open(path) as image:
            if image.mode.startswith("I") or image.mode == "F":
                _require_16_bits(image)
                return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
            return image.convert("RGB")


def _require_16_bits(image: Image.Image) -> None:
    """Raise ValueError unless the numbers of a grey ``image`` go from black, 0, to white, 65,535.

    Pillow opens a file of 16 bits in the modes ``I;16``, ``I;16B`` and ``I``.
    """
    if isinstance(image, TiffImageFile):
        bits, zero = image.tag_v2.get(258), image.tag_v2.get(262)
        full = image.mode.startswith("I;16") and bits == (16,) and zero == 1
    else:
        full = image.mode != "F"
    if not full:
        raise ValueError("grey of another kind; accepted: 8 or 16 bits, from black at 0")


def readers_failed(error: Exception) -> InputError:
    """What to raise when processes that read pictures ended with ``error``, or did not start."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return InputError(
        # The last line: torch hands on all of a reader's traceback.
        f"a process that reads images died or failed ({lines[-1].strip()}): is there enough "
        "memory, and shared memory (/dev/shm), for all of them?"
    )


@contextmanager
def holding_signals() -> Iterator[None]:
    """Hold back what interrupts or ends this process while it starts others.

    They begin with these signals held back, until :func:`as_reader` says what is to become of them.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def as_reader(*worker: int) -> None:
    """What a process that reads pictures does first: its end is up to the one that started it.

    An interrupt from the keyboard reaches every process of a terminal, and is the parent's to
    answer. Other signals end a reader without what the parent would do, unless they are ignored, as
    by ``nohup``. It does not outlive its parent, even if that was killed. ``worker`` is the number
    that a ``DataLoader`` gives it.
    """
    for number in HELD:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in ("SIGBUS", "SIGSEGV", "SIGFPE"):
        if hasattr(signal, name):  # of which torch would tell in a line of its own
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD)
    end_with_parent()
