"""What the API server says of the fields of an object: a small language for their types.

A schema is an indented text, a line a field: its name, and its type. ``!`` after the name: it is
required. ``[]``: a list of it. Without a type it is a text; a field with fields below it is an
object. Types are ``text``, ``bool``, ``int``, ``texts`` (a map of texts),
``amounts`` (a map of quantities such as ``500m`` and ``1Gi``), ``any``, ``duration``
(numbers with ms, s, m and h), ``short`` (the same without h), a list of values ``a|b``,
``scheme:a,b`` for an address that begins with one of them, and ``like:`` with the pattern of a
text. ``@name`` inserts the fields of another schema. An object takes no other fields, unless its
line ends in ``…``.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from provision.gitops.documents import mapping

_NAMES: Final = {bool: "a boolean", int: "a number", float: "a number", list: "a list"}
_DURATIONS: Final = {"duration": "ms|s|m|h", "short": "ms|s|m"}
_UNITS: Final = {"duration": "ms, s, m and h, such as 24h", "short": "ms, s and m, such as 60m"}
_QUANTITY: Final = re.compile(
    r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]+)?"
)
_OPEN: Final = "…"


@dataclass(frozen=True, kw_only=True)
class Wrong:
    """What the API server refuses: the `key` of the field, why, and what to write instead."""

    key: str
    message: str
    hint: str = ""


@dataclass(kw_only=True)
class Field:
    """The type of one field, and its fields where it is an object."""

    type: str = "text"
    required: bool = False
    is_list: bool = False
    is_open: bool = False
    fields: dict[str, Field] = field(default_factory=dict[str, "Field"])


def parse(text: str, parts: Mapping[str, Field] | None = None) -> Field:
    """Return the object that the schema `text` describes; `parts` are inserted by ``@name``."""
    root = Field(type="object")
    above: list[tuple[int, Field]] = [(-1, root)]
    for line in text.splitlines():
        if not line.strip():
            continue
        depth = len(line) - len(line.lstrip())
        while above[-1][0] >= depth:
            above.pop()
        parent = above[-1][1]
        parent.type = "object"
        words = line.split()
        if words == [_OPEN]:
            parent.is_open = True
        elif words[0].startswith("@"):
            parent.fields |= (parts or {})[words[0][1:]].fields
            parent.is_open |= (parts or {})[words[0][1:]].is_open
        else:
            name = words[0].rstrip("![]")
            made = Field(
                type=words[1] if len(words) > 1 else "text",
                required="!" in words[0],
                is_list=words[0].endswith("[]"),
            )
            parent.fields[name] = made
            above.append((depth, made))
    return root


def check(
    schema: Field, value: Any, unknown: re.Pattern[str], *, strict: bool, key: str = ""
) -> Iterator[Wrong]:
    """Yield what of the object `value` the API server refuses. A text `unknown` may be anything.

    `strict`: fields and values that the schema does not list are refused, too.
    """
    content = mapping(value)
    for name, one in schema.fields.items():
        found = content.get(name)
        path = f"{key}.{name}".lstrip(".")
        if found is None:
            if one.required:
                yield Wrong(key=path, message="it is required, and is not there")
            continue
        if not one.is_list:
            yield from _check(one, found, path, unknown, strict)
        elif isinstance(found, list):
            for number, item in enumerate(found):
                if item is not None:
                    yield from _check(one, item, f"{path}[{number}]", unknown, strict)
        elif not _is_unknown(found, unknown):
            yield Wrong(key=path, message=f"{_named(found)} where a list is expected")
    if strict and not schema.is_open:
        for name in content:
            if str(name) not in schema.fields:
                near = difflib.get_close_matches(str(name), schema.fields, 1)
                yield Wrong(
                    key=f"{key}.{name}".lstrip("."),
                    message="there is no such field",
                    hint=f"write {near[0]}" if near else "",
                )


def _check(
    one: Field, value: Any, key: str, unknown: re.Pattern[str], strict: bool
) -> Iterator[Wrong]:
    if one.type == "any" or _is_unknown(value, unknown):
        return
    if one.type == "object":
        if isinstance(value, Mapping):
            yield from check(one, value, unknown, strict=strict, key=key)
        else:
            yield Wrong(key=key, message=f"{_named(value)} where a map is expected")
    elif one.type == "texts":
        for name, item in mapping(value).items():
            if item is not None:
                yield from _check(Field(), item, f"{key}.{name}", unknown, strict)
    elif one.type == "amounts":
        yield from _amounts(value, key, unknown)
    elif one.type in ("bool", "int"):
        wanted = (bool,) if one.type == "bool" else (int, float)
        if type(value) not in wanted:
            said = "true or false" if one.type == "bool" else "a number"
            quotes = "write it without quotes" if isinstance(value, str) else ""
            yield Wrong(key=key, message=f"{_named(value)} where {said} is expected", hint=quotes)
    elif not isinstance(value, str):
        name = key.rpartition(".")[2]
        message = f"{_named(value)} where a text is expected"
        yield Wrong(key=key, message=message, hint=f'write it in quotes: {name}: "{_shown(value)}"')
    else:
        yield from _check_text(one.type, value, key, strict)


def _amounts(value: Any, key: str, unknown: re.Pattern[str]) -> Iterator[Wrong]:
    for name, item in mapping(value).items():
        if isinstance(item, str) and (unknown.search(item) or _QUANTITY.fullmatch(item)):
            continue
        if item is not None and type(item) not in (int, float, str):
            yield Wrong(key=f"{key}.{name}", message=f"{_named(item)} where a quantity is expected")
        elif isinstance(item, str):
            hint = "write a number, with a unit such as m, Mi or Gi"
            yield Wrong(key=f"{key}.{name}", message=f"{item!r} is no quantity", hint=hint)


def _check_text(type_: str, value: str, key: str, strict: bool) -> Iterator[Wrong]:
    if type_ in _DURATIONS:
        if not re.fullmatch(rf"([0-9]+(\.[0-9]+)?({_DURATIONS[type_]}))+", value):
            hint = f"write a duration with {_UNITS[type_]}"
            yield Wrong(key=key, message=f"{value!r} is no duration that Flux takes", hint=hint)
    elif type_.startswith("scheme:"):
        schemes = type_.removeprefix("scheme:").split(",")
        if value.partition("://")[0] not in schemes or "://" not in value:
            begins = " or ".join(f"{one}://" for one in schemes)
            yield Wrong(key=key, message=f"it does not begin with {begins}")
    elif type_.startswith("like:"):
        if not re.fullmatch(type_.removeprefix("like:"), value, re.DOTALL):
            message = f"{value!r} does not have the form {type_.removeprefix('like:')}"
            yield Wrong(key=key, message=message)
    elif type_ != "text" and strict and value not in type_.split("|"):
        values = ", ".join(type_.split("|"))
        yield Wrong(key=key, message=f"{value!r} is none of {values}")


def _is_unknown(value: Any, unknown: re.Pattern[str]) -> bool:
    return isinstance(value, str) and unknown.search(value) is not None


def _named(value: Any) -> str:
    if isinstance(value, Mapping):
        return "a map"
    return "a text" if isinstance(value, str) else _NAMES.get(type(value), "no text")


def _shown(value: Any) -> str:
    """Return how `value` is written; no number, which a substitution may take of a Secret."""
    return str(value).lower() if isinstance(value, bool) else "…"
