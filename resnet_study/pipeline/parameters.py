"""Parameters of notebooks: what a notebook declares, and values of just those types.

papermill sets parameters with a cell of plain assignments after the one that declares them. It
knows nothing of types: its ``-p false`` is a text, and so is ``1e-3`` in YAML, where ``no`` is a
truth value; and of a misspelt name it only warns. So each notebook checks what it was given.
"""

import ast
import math
import re
import reprlib
from collections.abc import Callable
from typing import Any

from resnet_study.errors import InputError

INJECTED = "# Parameters"  # first line of the cell that papermill adds


def _text(value: object) -> str:
    # No number: papermill's -p has made 202401 of the folder 2024_01 by then.
    if not isinstance(value, str):
        raise TypeError
    return value


def _whole(value: Any) -> int:
    if isinstance(value, str):
        value = int(value) if re.fullmatch(r"\s*[+-]?\d+\s*", value) else float(value)
    if isinstance(value, bool) or value != int(value):
        raise TypeError
    return int(value)


def _number(value: Any) -> float:
    number = float(value)
    if isinstance(value, bool) or not math.isfinite(number):
        raise TypeError
    return number


def _truth(value: object) -> bool:
    return value if isinstance(value, bool) else {"true": True, "false": False}[value.lower()]


# Declared type: how a value is made one of it, and what is accepted, in words.
KINDS: dict[str, tuple[Callable[[Any], object], str]] = {
    "str": (_text, "a text (str; papermill keeps it one with -r, YAML within quotes)"),
    "int": (_whole, "a whole number (int)"),
    "float": (_number, "a finite number (float)"),
    "bool": (_truth, "true or false (bool)"),
}


def convert(name: str, value: object, declared: str) -> object:
    """``value`` as what the notebook declares: ``int``, ``Optional[float]``, ….

    What can be meant in one way only is taken: ``"1e-3"`` for a float, ``18.0`` for an int.

    Raises:
        InputError: for anything else.
    """
    kind = declared.removeprefix("Optional[").removesuffix("]")
    if kind not in KINDS:
        raise InputError(
            f"parameter {name} is declared as {declared}; accepted: Optional or not, "
            + ", ".join(KINDS)
        )
    optional = kind != declared
    if optional and (value is None or value == "None"):
        return None
    make, accepted = KINDS[kind]
    try:
        return make(value)
    except (TypeError, ValueError, OverflowError, LookupError, AttributeError):
        accepted += ", or None" if optional else ""
        raise InputError(
            f"parameter {name} is {reprlib.repr(value)}; accepted: {accepted}"
        ) from None


def declarations(code: str) -> dict[str, str]:
    """Names and types of ``name: type = value`` in the code of a cell.

    Raises:
        SyntaxError: if it is no Python.
    """
    return {
        statement.target.id: ast.unparse(statement.annotation)
        for statement in ast.parse(code).body
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
    }


def assigned(code: str) -> set[str]:
    """Names of ``name = value`` in the code of a cell."""
    return {
        target.id
        for statement in ast.parse(code).body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }


def require_declared(name: str, declared: dict[str, str], where: str = "") -> None:
    """Raise :class:`InputError` unless a parameter is among those declared."""
    if name not in declared:
        accepted = ", ".join(declared) or "none, there are no parameters"
        raise InputError(f"parameter {name!r}{where} is unknown; accepted: {accepted}")


def check_parameters() -> None:
    """Check, in a notebook, what papermill set; goes right after the cell of the parameters.

    Each has the type that it was declared with afterwards.

    Raises:
        InputError: for a name that was not declared, or a value of another type.
    """
    # The cells tell, and not ``__annotations__``: from Python 3.14 on those are of one line alone.
    shell = _shell()
    declared, given = {}, set()
    for cell in shell.history_manager.input_hist_parsed if shell else ():
        try:
            if cell.startswith(INJECTED):
                given = assigned(cell)
            else:
                declared = declarations(cell) or declared
        except SyntaxError:  # tried out by hand
            continue
    for name in given:
        # papermill's --inject-paths tells a notebook where it comes from and goes to.
        if not name.startswith("PAPERMILL_"):
            require_declared(name, declared)
    for name, kind in declared.items():
        shell.user_ns[name] = convert(name, shell.user_ns[name], kind)


def _shell() -> Any:
    """The running kernel's shell; None outside of a notebook."""
    from IPython import get_ipython  # slow to import, and there already in a notebook

    return get_ipython()
