"""Somebody's own pictures: a folder of class folders, ``folder:PATH`` where a data set is named.

It holds ``train/<class>/*`` and ``val/<class>/*``, or ``<class>/*`` of which some are held out.
A run is called after what is in the folder, not after where it lies: ``folder-birds-1a2b3c4d`` is
a folder ``birds`` whose files have names and sizes of this sum. So pictures that were added make
another data set, and two folders are never taken for one.
"""

import hashlib
import re
from pathlib import Path

from resnet_study.data.options import OWN_DATA
from resnet_study.data.pictures import class_names, picture_names
from resnet_study.errors import InputError

SOURCE = "folder:"
LAYOUT = "accepted: train/<class>/* and val/<class>/*, or <class>/*"
_PLACES: dict[str, Path] = {}  # of the folders that this process was told of, by their names


def is_split(folder: Path) -> bool:
    """Whether the pictures that validate lie apart, in ``val``."""
    return (folder / "train").is_dir() and (folder / "val").is_dir()


def list_pictures(folder: Path) -> dict[str, list[str]]:
    """Names of pictures by their class folders, such as ``train/ant`` or ``ant``, both sorted.

    Raises:
        InputError: for a folder of another layout, and files that may be meant as pictures and are
            none, see :mod:`resnet_study.data.pictures`; if ``train`` and ``val`` have other
            classes.
    """
    if not folder.is_dir():
        raise InputError(f"data folder {folder} is none; {LAYOUT}")
    if not is_split(folder):
        names = class_names(folder, LAYOUT)
        return {name: picture_names(folder / name, LAYOUT) for name in names}
    train, val = (class_names(folder / part, LAYOUT) for part in ("train", "val"))
    if train != val:
        other = sorted({*train} ^ {*val})[0]
        raise InputError(f"class {other} of {folder} is in one of train and val; accepted: in both")
    places = [f"{part}/{name}" for part in ("train", "val") for name in train]
    return {place: picture_names(folder / place, LAYOUT) for place in places}


def name_folder(source: str) -> str:
    """The name of the data at ``folder:PATH``, by which :func:`place_of` finds them again.

    Raises:
        InputError: as :func:`list_pictures`.
    """
    folder = Path(source.removeprefix(SOURCE)).expanduser().resolve()
    digest = hashlib.sha256()
    for place, names in list_pictures(folder).items():
        for name in names:
            size = (folder / place / name).stat().st_size
            digest.update(f"{place}/{name}\0{size}\n".encode("utf-8", "surrogateescape"))
    title = re.sub("[^a-z0-9]+", "_", folder.name.lower()).strip("_")[:30] or "pictures"
    name = f"folder-{title}-{digest.hexdigest()[:8]}"
    assert re.fullmatch(OWN_DATA, name)
    _PLACES[name] = folder
    return name


def place_of(name: str) -> Path:
    """Where the data of this name lie.

    Raises:
        InputError: if this process was not told.
    """
    if name not in _PLACES:
        raise InputError(f"where the data {name} lie is not known; accepted: --data folder:PATH")
    return _PLACES[name]


def source_of(data: str) -> str:
    """What to tell another process of a data set: its name, or ``folder:PATH``."""
    return f"{SOURCE}{_PLACES[data]}" if data in _PLACES else data
