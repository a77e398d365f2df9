"""Settings: fields of a dataclass that say what they are and what they accept.

A field is spelt once, where the dataclass declares it. The check of its values, its option on the
command line, its place in a record and its row in the book's table are made from that.
"""

import re
from collections.abc import Iterable
from dataclasses import MISSING, Field, dataclass, field, fields
from functools import cache
from math import isfinite
from types import NoneType
from typing import Any, get_args, get_type_hints

from resnet_study.errors import InputError, require_one_of


@dataclass(frozen=True)
class Meaning:
    """What a setting is, in words, and which values it accepts besides those of its type."""

    help: str
    one_of: tuple[object, ...] | None = None
    at_least: float | None = None
    above: float | None = None
    up_to: float | None = None
    pattern: str | None = None  # of texts that are accepted besides ``one_of``

    @property
    def range(self) -> str:
        """Which numbers are accepted, such as ``above 0, up to 1``; empty if all are."""
        if self.at_least is not None:
            return f"{self.at_least:g} or more"
        if self.above is None:
            return ""
        return f"above {self.above:g}" + ("" if self.up_to is None else f", up to {self.up_to:g}")

    def require(self, name: str, value: Any) -> None:
        """Raise :class:`InputError` unless a value of the right type is accepted."""
        fits = self.pattern is not None and re.fullmatch(self.pattern, str(value))
        if self.one_of is not None and not fits:
            require_one_of(name, value, self.one_of)
        least, above, most = self.at_least, self.above, self.up_to
        if (
            (least is not None and value < least)
            or (above is not None and value <= above)
            or (most is not None and value > most)
        ):
            raise InputError(f"{name} {value} is impossible; accepted: {self.range}")


def setting(
    help: str,
    default: Any = MISSING,
    *,
    one_of: Iterable[object] | None = None,
    at_least: float | None = None,
    above: float | None = None,
    up_to: float | None = None,
    pattern: str | None = None,
) -> Any:
    """A field of a dataclass with its :class:`Meaning`; without a default it must be given."""
    choices = None if one_of is None else tuple(one_of)
    meaning = Meaning(help, choices, at_least, above, up_to, pattern)
    return field(default=default, metadata={"meaning": meaning})


@dataclass(frozen=True)
class Setting:
    """A setting as it is declared: name, types that it accepts, default, and meaning.

    ``types`` are one or two, of which the second is None's; ``default`` is ``MISSING`` for none.
    """

    name: str
    kind: type  # int, float, bool, str or tuple
    items: tuple[type, ...]  # of a tuple; the last may be ``...``
    optional: bool  # whether None is accepted
    default: Any
    meaning: Meaning

    def require(self, name: str, value: Any) -> None:
        """Raise :class:`InputError`, about ``name``, unless ``value`` is accepted."""
        if value is None and self.optional:
            return
        if self.kind is tuple:
            self._require_items(name, value)
            return
        if self.kind is int and self.meaning.one_of is None:
            if not isinstance(value, int) or isinstance(value, bool):
                raise InputError(f"{name} {value!r} is no whole number")
        elif self.kind is float and not _is_number(value):
            accepted = f"a finite number {self.meaning.range}".rstrip()
            raise InputError(f"{name} {value!r} is impossible; accepted: {accepted}")
        elif self.kind is bool and not isinstance(value, bool):  # 1 equals True
            raise InputError(f"{name} {value!r} is impossible; accepted: False, True")
        self.meaning.require(name, value)

    def _require_items(self, name: str, value: Any) -> None:
        """Raise :class:`InputError` unless ``value`` is a tuple of as many accepted numbers."""
        count = "" if self.items[-1] is Ellipsis else f"{len(self.items)} "
        if (
            not isinstance(value, tuple)
            or not all(map(_is_number, value))
            or (count and len(value) != len(self.items))
        ):
            raise InputError(f"{name} {value!r} is impossible; accepted: {count}numbers")
        for item in value:
            self.meaning.require(name, item)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value)


@cache  # each of thousands of runs asks for them
def settings(owner: type) -> tuple[Setting, ...]:
    """The settings of a dataclass, in the order in which it declares them."""
    hints = get_type_hints(owner)
    return tuple(
        _declared(each, hints[each.name]) for each in fields(owner) if "meaning" in each.metadata
    )


def _declared(each: Field, hint: Any) -> Setting:
    kinds = [kind for kind in get_args(hint) if kind is not NoneType]
    optional = NoneType in get_args(hint)
    if optional:
        (hint,) = kinds
    items = get_args(hint)
    kind = tuple if items else hint
    return Setting(each.name, kind, items, optional, each.default, each.metadata["meaning"])


def check(owner: Any, called: str = "{}") -> None:
    """Check all settings of an instance; a message calls them as ``called`` says.

    Raises:
        InputError: for the first value that is not accepted.
    """
    for each in settings(type(owner)):
        each.require(called.format(each.name), getattr(owner, each.name))


TYPES = {int: "integer", float: "number", bool: "boolean", str: "string"}  # in JSON


def json_schema(each: Setting) -> dict:
    """What JSON Schema says of the values of a setting, as a file of TOML or JSON has them."""
    if each.kind is tuple:
        count = (
            {}
            if each.items[-1] is Ellipsis
            else {"minItems": len(each.items), "maxItems": len(each.items)}
        )
        value = {"type": "array", "items": {"type": "number"} | _bounds(each.meaning), **count}
    elif each.meaning.one_of is None:
        value = {"type": TYPES[each.kind]} | _bounds(each.meaning)
    else:
        value = {"enum": list(each.meaning.one_of)}
        if each.meaning.pattern is not None:
            value = {"anyOf": [value, {"type": "string", "pattern": f"^({each.meaning.pattern})$"}]}
    return {"description": each.meaning.help, **value}


def _bounds(meaning: Meaning) -> dict:
    bounds = {
        "minimum": meaning.at_least,
        "exclusiveMinimum": meaning.above,
        "maximum": meaning.up_to,
    }
    return {name: bound for name, bound in bounds.items() if bound is not None}
