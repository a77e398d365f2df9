"""Run a notebook with papermill, after checking its parameters.

papermill itself only warns of a misspelt parameter, and trains with the default instead.
"""

import os
import tempfile
from pathlib import Path

import papermill
from papermill.exceptions import PapermillException, PapermillExecutionError

from resnet_study.errors import InputError, require_one_of


def _truth(text: str) -> bool:
    return {"true": True, "false": False}[text.lower()]


TYPES = {"str": str, "int": int, "float": float, "bool": _truth}


def parse_parameters(notebook: Path, texts: dict[str, str]) -> dict[str, object]:
    """Turn texts into values of the types that the notebook declares.

    A parameter is declared in the cell tagged ``parameters``, as ``name: type = value``;
    ``Optional[type]`` also takes ``None``.

    Raises:
        InputError: for a notebook that is not there, an unknown name, or an ill-typed text.
    """
    if not Path(notebook).is_file():
        raise InputError(f"notebook {notebook} does not exist")
    try:
        declared = papermill.inspect_notebook(str(notebook))
    except (ValueError, KeyError, AttributeError) as error:
        raise InputError(f"{notebook} is no notebook: {str(error).splitlines()[0]}") from error
    values = {}
    for name, text in texts.items():
        require_one_of(f"parameter of {Path(notebook).name}", name, declared)
        kind = declared[name]["inferred_type_name"]
        optional = kind.startswith("Optional[")
        kind = kind.removeprefix("Optional[").removesuffix("]")
        try:
            values[name] = None if optional and text == "None" else TYPES[kind](text)
        except (ValueError, KeyError):
            raise InputError(
                f"parameter {name} is {text!r}; accepted: a value of type {kind}"
            ) from None
    return values


def execute(notebook: Path, output: Path, parameters: dict[str, object]) -> None:
    """Run ``notebook`` in a fresh kernel and write ``output``, if all of it ran.

    Raises:
        InputError: with the notebook's own error in one line; nothing is written then.
    """
    output = Path(output)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=output.parent) as folder:
            partial = Path(folder) / output.name
            papermill.execute_notebook(str(notebook), str(partial), parameters, progress_bar=False)
            os.replace(partial, output)
    except PapermillExecutionError as error:
        raise InputError(f"{notebook} failed: {error.ename}: {error.evalue}") from error
    except (OSError, PapermillException) as error:
        raise InputError(f"{notebook} could not be run into {output}: {error}") from error
