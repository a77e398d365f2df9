"""What a sealed file of ours can hold, by its kind: a JSON Schema, ``schemas.json``.

It knows every age of them. Texts are short and printable, numbers finite, columns equally long.
"""

import base64
import json
import re
import reprlib
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime
from functools import cache
from pathlib import Path

from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from jsonschema.validators import extend

# What each kind has that the others have not.
KINDS = {
    "config": "run",
    "measurement": "measurement",
    "networks": "benchmark",
    "executions": "executions",
}
FORMATS = FormatChecker(formats=())
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 60


def _format(name: str) -> Callable:
    """Make a function the test of a text for the format ``name``; other types pass."""

    def register(test: Callable[[str], object]) -> Callable:
        return FORMATS.checks(name, raises=ValueError)(
            lambda value: not isinstance(value, str) or bool(test(value))
        )

    return register


_format("printable")(str.isprintable)
_format("name")(re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*").fullmatch)
_format("version")(re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+!-]*").fullmatch)
_format("sha256")(re.compile(r"[0-9a-f]{64}").fullmatch)
_format("commit")(re.compile(r"[0-9a-f]{40}(\+modified)?").fullmatch)


@_format("base64")
def _is_base64(text: str) -> bool:
    base64.b64decode(text, validate=True)
    return True


@_format("day")
def _is_day(text: str) -> bool:
    return date.fromisoformat(text).isoformat() == text


@_format("moment")
def _is_moment(text: str) -> bool:
    moment = datetime.fromisoformat(text)
    return moment.tzinfo is not None and moment.isoformat(timespec="seconds") == text


def _is_integer(checker: object, value: object) -> bool:
    """JSON Schema takes 3.0 for a whole number; a seed of 3.0 is none."""
    return isinstance(value, int) and not isinstance(value, bool)


def _representatives(values: list) -> list:
    """Those of ``values`` that stand for all: whatever range holds a column's ends holds it all."""
    found = []
    for kind in set(map(type, values)):
        same = [value for value in values if type(value) is kind]
        if kind in (int, float):
            found += [min(same), max(same)]
        elif kind in (str, bool, type(None)):
            found += set(same)
        else:
            found += same
    return found


def _items(validator, items, values, schema) -> Iterator[ValidationError]:
    """The usual test of each entry of a list; long columns that are sound take a tenth of it."""
    inner = validator.evolve(schema=items)
    if isinstance(values, list) and not all(map(inner.is_valid, _representatives(values))):
        yield from Draft202012Validator.VALIDATORS["items"](validator, items, values, schema)


def _ref(validator, address, value, schema) -> Iterator[ValidationError]:
    """The usual test of what another part of the file describes, looked up once."""
    yield from _part(address).iter_errors(value)


_Validator = extend(
    Draft202012Validator,
    {"items": _items, "$ref": _ref},
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer),
)


def schema() -> dict:
    """The JSON Schema of a sealed file of any kind."""
    content = json.loads(Path(__file__).with_name("schemas.json").read_text(encoding="utf-8"))
    return content | {"anyOf": [{"$ref": f"#/$defs/{kind}"} for kind in KINDS.values()]}


@cache
def _definitions() -> dict[str, dict]:
    return {f"#/$defs/{name}": part for name, part in schema()["$defs"].items()}


@cache
def _part(address: str) -> Draft202012Validator:
    """The test of what stands at ``address``, such as ``#/$defs/run``."""
    return _Validator(_definitions()[address], format_checker=FORMATS)


def kind_of(content: dict) -> str | None:
    """``run``, ``measurement``, ``benchmark`` or ``executions``; None for what is none of them."""
    return next((kind for key, kind in KINDS.items() if key in content), None)


def faults(content: dict, kind: str, unknown: bool = True) -> Iterator[str]:
    """What is wrong with the content of a sealed file, one line each; nothing if it is sound.

    ``unknown`` is whether fields that no file of today has are a fault, or may be a newer one's.
    """
    found = False
    for error in _part(f"#/$defs/{kind}").iter_errors(content):
        if unknown or error.validator != "additionalProperties":
            found = True
            yield from _told(error)
    if not found:
        for name, columns in _tables(content, kind):
            if not _are_equally_long(columns):
                yield f"{name} is no table; accepted: columns of one length by name"


def _are_equally_long(columns: object) -> bool:
    """Whether ``columns`` are lists by name, all of one length."""
    if not isinstance(columns, dict) or not all(isinstance(c, list) for c in columns.values()):
        return False
    return len(set(map(len, columns.values()))) <= 1


def _tables(content: dict, kind: str) -> Iterator[tuple[str, object]]:
    """What has to be a table in a file whose other fields are sound, with its place in it."""
    if kind == "run":
        yield "curve", content["curve"]
    parts = {"run": "gates", "measurement": "tables"}.get(kind)
    for name, columns in content.get(parts, {}).items():
        yield f"{parts}.{name}", columns


def _told(error: ValidationError) -> Iterator[str]:
    """A fault in words: where it is, what stands there, and what is accepted."""
    where = place(error.absolute_path)
    if error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        yield f"{where} lacks {', '.join(missing)}"
    elif error.validator == "additionalProperties":
        extra = error.instance.keys() - error.schema["properties"].keys()
        yield f"{where} has unknown fields: {', '.join(map(short, sorted(extra)))}"
    elif "propertyNames" in error.absolute_schema_path:
        accepted = error.schema["description"]
        yield f"{where} has a field {short(error.instance)}; accepted: {accepted}"
    elif error.validator is None:  # what ``false`` stands for in the schema
        yield f"{where} has no place here"
    else:
        yield f"{where} is {short(error.instance)}; accepted: {error.schema['description']}"


def place(path: Iterable[str | int]) -> str:
    """``curve.training_loss[3]``: where in a file something stands; "it" is all of it."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            plain = re.fullmatch(r"[\w-]{1,60}", part, re.ASCII)
            text += ("." if text else "") + (part if plain else short(part))
    return text or "it"


def short(value: object) -> str:
    """``value`` as a short printable text, in one line whatever it holds."""
    return _SHORT.repr(value)
