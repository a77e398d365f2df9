"""The one exception for a user's mistake; the command line prints it as a single line."""

from collections.abc import Iterable


class OutOfTime(Exception):
    """The time budget is spent; the training is saved and can go on later."""


class InputError(ValueError):
    """A value, file or folder given by the user that cannot be used; says what is accepted."""

    def _render_traceback_(self) -> list[str]:
        """What IPython shows below a cell instead of a traceback, and papermill with it."""
        return [f"{type(self).__name__}: {self}"]


def reason(error: BaseException) -> str:
    """What ``error`` says, in one line: its first, or its type where it says nothing."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def one_line(text: str) -> str:
    """``text`` with escapes for what is not printable, such as line ends in the name of a file."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def require_one_of(name: str, value: object, accepted: Iterable[object]) -> None:
    """Raise :class:`InputError` unless ``value`` is among ``accepted``."""
    choices = list(accepted)
    if value not in choices:
        listed = ", ".join(map(str, choices))
        raise InputError(f"{name} {value!r} is unknown; accepted: {listed}")


def require_integers(**values: object) -> None:
    """Raise :class:`InputError` unless all are of type int.

    A notebook may hand in 18.0, which is refused, as are true and false.
    """
    for name, value in values.items():
        if not isinstance(value, int) or isinstance(value, bool):
            raise InputError(f"{name} {value!r} is no whole number")


def require_at_least(name: str, value: float, least: float) -> None:
    """Raise :class:`InputError` unless ``value`` is ``least`` or more."""
    if not value >= least:  # so that NaN is refused too
        raise InputError(f"{name} {value} is impossible; accepted: {least} or more")
