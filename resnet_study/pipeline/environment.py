"""What a process that we start inherits of the user's environment variables."""

import os

from resnet_study import paths

# What a user sets for sessions by hand, and a notebook must not depend on.
FOREIGN = {
    "PYTHONSTARTUP",  # a kernel runs that file
    "PYTHONWARNINGS",  # "error" stops Jupyter at the first thing that is out of fashion
    "PYTHONINSPECT",  # waits for somebody to type when all is done
    "PYTHONOPTIMIZE",  # takes out the docstrings that commands and pages show
    "MPLBACKEND",  # may want a screen
}


def environment() -> dict[str, str]:
    """Variables for a process of ours: the user's, but for those that get into its way."""
    kept = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    folders = [folder for folder in kept.get("PYTHONPATH", "").split(os.pathsep) if folder]
    if paths.IN_CHECKOUT:  # which may not be installed
        folders.append(str(paths.PACKAGE.parent))
    return kept | {
        "PYTHONPATH": os.pathsep.join(folders),
        # Else the current folder comes first, and a file in it may have the name of a library.
        "PYTHONSAFEPATH": "1",
        "PYTHONUTF8": "1",  # our files are UTF-8, whatever the terminal is
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # a debugger's advice, which nobody asked for
    }
