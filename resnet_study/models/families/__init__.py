"""Families that are a file each: a block, what tables call it, and its colour.

A file ``NAME.py`` here, or in the folder ``blocks`` of a checkout or a workspace, makes ``NAME`` a
family like the others. It has

- ``Block``: called with channels in and out, stride, shortcut and ``normalisation="batch"``, a
  module from (N, channels_in, H, W) to (N, channels_out, H/stride, W/stride);
- ``LABEL`` and ``COLOUR``: its name in tables and figures, and a hexadecimal colour;
- perhaps ``finish``: called with the whole network when it is built, to change what hangs on where
  a block stands.

Names of families are known without reading the files, which need torch.
"""

import importlib.util
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

from resnet_study import paths
from resnet_study.errors import InputError, one_line

FOLDERS = (Path(__file__).parent, paths.BLOCKS)
NEEDED = ("Block", "LABEL", "COLOUR")


def find_families() -> dict[str, Path]:
    """The files of all such families by their names.

    Raises:
        InputError: for a file whose name can be none, and two of one name.
    """
    found = {}
    for path in sorted(path for folder in FOLDERS for path in folder.glob("[!_.]*.py")):
        if not re.fullmatch("[a-z][a-z0-9]*", path.stem):
            raise InputError(
                f"family file {path}: accepted is a name of small letters and digits, such as "
                "mine.py"
            )
        if path.stem in found:
            raise InputError(f"family {path.stem} is there twice: {found[path.stem]} and {path}")
        found[path.stem] = path
    return found


@cache
def load_family(name: str) -> Any:
    """The module of a family that :func:`find_families` knows.

    Raises:
        InputError: for a file that does not run, or lacks a part.
    """
    path = find_families()[name]
    spec = importlib.util.spec_from_file_location(f"{__name__}.{name}", path)
    assert spec is not None and spec.loader is not None  # of a file that ends in .py
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever somebody's file raises
        raise InputError(one_line(f"family file {path} does not run: {error!r}")) from error
    for part in NEEDED:
        if not hasattr(module, part):
            raise InputError(f"family file {path} has no {part}; needed: {', '.join(NEEDED)}")
    return module
