"""Run a notebook with papermill, after checking it and its parameters.

As a program, ``python -m resnet_study.pipeline.notebooks NOTEBOOK OUTPUT PARAMETERS``, it does so
for the queue: ``PARAMETERS`` are JSON, and ``OUTPUT`` is written cell by cell, as a log.
"""

import json
import logging
import os
import signal
import sys
import threading
import time
import warnings
from pathlib import Path

import nbformat
import papermill
from papermill.exceptions import PapermillException, PapermillExecutionError

from resnet_study import paths
from resnet_study.errors import InputError
from resnet_study.files import require_writable, write_atomically
from resnet_study.pipeline.kernels import kernels
from resnet_study.pipeline.parameters import convert, declarations, require_declared

START = 300  # seconds that a kernel may take to start, on a slow disk and a busy machine


def read_notebook(path: Path) -> nbformat.NotebookNode:
    """A notebook of Python.

    Raises:
        InputError: for anything else.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"notebook {path} does not exist")
    if not path.is_file():
        raise InputError(f"{path} is no notebook; accepted: a file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that cells of older notebooks have no names
            content = nbformat.read(path, as_version=4)
            nbformat.validate(content)
        metadata = content.metadata
        named = metadata.get("kernelspec", {}).get("language")
        language = named or metadata.get("language_info", {}).get("name") or "python"
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, LookupError, AttributeError, TypeError, RecursionError) as error:
        said = str(error).strip().split("\n")[0]
        raise InputError(f"{path} is no notebook: {said}") from error
    except nbformat.ValidationError as error:
        raise InputError(f"{path} is no notebook: {error.message}") from error
    if language.lower() not in ("python", "ipython"):
        raise InputError(f"{path} is a notebook of {language}; accepted: python")
    return content


def find_notebook(named: Path) -> Path:
    """A file; or, if there is none, the study's own notebook of that name."""
    ours = paths.NOTEBOOKS / f"{named}.ipynb"
    return ours if not named.exists() and ours.is_file() else named


def declared_parameters(path: Path, content: nbformat.NotebookNode) -> dict[str, str]:
    """Names and types of ``name: type = value`` in the cell tagged ``parameters``.

    Raises:
        InputError: if that cell cannot be read.
    """
    for cell in content.cells:
        if "parameters" in cell.metadata.get("tags", []):
            try:
                return declarations(cell.source)
            except SyntaxError as error:
                raise InputError(f"the parameters of {path} cannot be read: {error}") from error
    return {}


def parse_parameters(notebook: Path, texts: dict[str, str]) -> dict[str, object]:
    """Turn texts into values of the types that the notebook declares.

    Raises:
        InputError: for a notebook that is not there, an unknown name, or an ill-typed text.
    """
    content = read_notebook(notebook)
    declared = declared_parameters(notebook, content) if texts else {}
    for name in texts:
        require_declared(name, declared, f" of {Path(notebook).name}")
    return {name: convert(name, text, declared[name]) for name, text in texts.items()}


def execute(notebook: Path, output: Path, parameters: dict[str, object]) -> None:
    """Run ``notebook`` in a fresh kernel and write ``output``, if all of it ran.

    An interrupt reaches the kernel, so that a training in it saves, and is raised again when the
    kernel has ended.

    Raises:
        InputError: with the notebook's own error in one line; nothing is written then.
    """
    output = Path(output)
    if output.is_dir():
        raise InputError(f"cannot write {output}: it is a folder; accepted: a file")
    require_writable(output.parent)
    try:
        content = run(notebook, None, parameters)
    except InputError as error:
        raise InputError(f"{notebook} failed: {error}") from error
    write_atomically(output, f"{nbformat.writes(content)}\n".encode())


def run(notebook: Path, log: Path | None, parameters: dict[str, object]) -> nbformat.NotebookNode:
    """``notebook``, run in a fresh kernel; written into ``log`` after each cell, if there is one.

    Raises:
        InputError: with the reason why it failed, in one line.
    """
    for name in ("papermill", "asyncio", "traitlets"):  # they tell at length what we tell in a line
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    with kernels() as ours, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return papermill.execute_notebook(
                _literally(notebook),
                log and _literally(log),
                parameters,
                kernel_name="python3",
                language="python",
                kernel_manager_class=ours.manager,
                start_timeout=START,
                progress_bar=False,
            )
        except PapermillExecutionError as error:
            raise InputError(_in_one_line(error)) from error
        except (OSError, PapermillException) as error:
            raise InputError(str(error).split("\n")[0]) from error
        except RuntimeError as error:  # nbclient's, of a kernel that died or did not start
            raise InputError(ours.end()) from error


def _in_one_line(error: PapermillExecutionError) -> str:
    said = error.evalue.strip().split("\n")[0]
    return said if error.ename == InputError.__name__ else f"{error.ename}: {said}"


def _literally(path: Path) -> str:
    """A path in which papermill finds nothing to fill in."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _interrupt_when_alone(parent: int) -> None:
    """Wait until the process that started this one is gone, then interrupt what this one does."""
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)


def main(notebook: str, output: str, parameters: str) -> None:
    """Run a notebook for the queue; one line on standard error if that fails."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup sets it
            signal.signal(number, signal.default_int_handler)
    # A queue that was killed leaves nobody else to end its trainings.
    threading.Thread(target=_interrupt_when_alone, args=[os.getppid()], daemon=True).start()
    try:
        run(Path(notebook), Path(output), json.loads(parameters))
    except InputError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("interrupted")


if __name__ == "__main__":
    main(*sys.argv[1:])
