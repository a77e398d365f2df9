"""The one exception for a user's mistake; the command line prints it as a single line."""

from collections.abc import Iterable


class InputError(ValueError):
    """A value, file or folder given by the user that cannot be used; says what is accepted."""


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
