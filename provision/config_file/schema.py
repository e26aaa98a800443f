"""Every key the models know: path, type in words, default, meaning.

One walk over the pydantic models serves suggestions for mistyped keys, the
typing of values given on the command line, and ``docs/configuration.md``.
"""

from __future__ import annotations

import functools
import types
import typing
from dataclasses import dataclass
from typing import Any, Literal

import pydantic
from pydantic.fields import FieldInfo

from provision import config
from provision.config_file import descriptions
from provision.secret import Secret

ITEM = "[]"
"""Stands in a `Key.path` for any index of a list."""
ANY = "*"
"""Stands in a `Key.path` for any name of a free-form mapping."""

ANYTHING = "anything"
"""The type of a value that is passed on as it is."""

Kind = Literal["text", "number", "switch", "choice", "secret", "list", "mapping", "any"]


@dataclass(frozen=True, kw_only=True)
class Key:
    """One configuration key. `path` is camelCase, without the cluster's name."""

    path: tuple[str, ...]
    kind: Kind
    type: str
    required: bool
    default: Any
    meaning: str
    choices: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    """Names that may follow (empty for a free-form mapping or a plain value)."""

    @property
    def name(self) -> str:
        """Return the path as people write it: ``nodes[].jump.host``."""
        return ".".join(self.path).replace("." + ITEM, ITEM)


@functools.cache
def every() -> tuple[Key, ...]:
    """Return every key in the order of the models, parents before children."""
    return tuple(_walk_model(config.Config, ()))


@functools.cache
def _index() -> dict[tuple[str, ...], Key]:
    return {key.path: key for key in every()}


def find(path: tuple[str | int, ...]) -> Key | None:
    """Return the key that `path` (names and indexes) means, or None."""
    generic: list[str] = []
    for part in path:
        for candidate in (ITEM,) if isinstance(part, int) else (part, ANY):
            if (*generic, candidate) in _index():
                generic.append(candidate)
                break
        else:
            # Below a free-form value anything goes.
            parent = _index().get(tuple(generic))
            return parent if parent is not None and parent.kind == "any" else None
    return _index().get(tuple(generic))


def top_level() -> tuple[str, ...]:
    """Return the names that follow ``elysium:`` in the file."""
    return tuple(key.path[0] for key in every() if len(key.path) == 1)


def aliased(values: dict[str, Any]) -> dict[str, Any]:
    """Return `values` of the file's top-level names under the names the model reads."""
    fields = config.Config.model_fields
    return {fields[k].alias or k if k in fields else k: v for k, v in values.items()}


def shown(alias: str) -> str:
    """Return the file's name of a top-level name of the model."""
    fields = config.Config.model_fields
    return next((name for name, field in fields.items() if field.alias == alias), alias)


def _walk_model(model: type[pydantic.BaseModel], prefix: tuple[str, ...]) -> typing.Iterator[Key]:
    for name, field in model.model_fields.items():
        if not prefix and name == "cluster":
            continue  # the file's name says it
        # Top-level names are single words: `alias` would write "k3s" as "k3S".
        shown = name if not prefix else field.alias or name
        yield from _walk(field.annotation, (*prefix, shown), field)


def _walk(annotation: Any, path: tuple[str, ...], field: FieldInfo | None) -> typing.Iterator[Key]:
    annotation, optional = _strip(annotation)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    children: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    nested: list[Key] = []
    kind: Kind = "any"
    words = ANYTHING
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        kind, words = "mapping", "keys below"
        nested = list(_walk_model(annotation, path))
        children = tuple(f.alias or n for n, f in annotation.model_fields.items())
    elif annotation is Secret:
        kind, words = "secret", "secret text"
    elif origin is Literal:
        kind, choices = "choice", tuple(str(a) for a in arguments)
        words = " or ".join(f"`{c}`" for c in choices)
    elif origin is tuple:
        item = list(_walk(arguments[0], (*path, ITEM), None))
        kind, words, nested = "list", f"list of {_plural(item[0])}", item
    elif origin is dict:
        item = list(_walk(arguments[1], (*path, ANY), None))
        kind, words, nested = "mapping", f"names with {_plural(item[0])}", item
    elif origin in (typing.Union, types.UnionType):
        words = "text, number, `true`, `false` or secret text"
        if Secret not in arguments:
            words = "text, number, `true` or `false`"
    elif annotation is str:
        kind, words = "text", "text"
    elif annotation is int:
        kind, words = "number", "whole number"
    elif annotation is bool:
        kind, words = "switch", "`true` or `false`"
    required = field.is_required() if field is not None else False
    default = None if field is None or required else field.get_default(call_default_factory=True)
    del optional  # shown as an empty default
    yield Key(
        path=path,
        kind=kind,
        type=words,
        required=required,
        default=default,
        meaning=descriptions.of(path, field.description if field is not None else None),
        choices=choices,
        children=children,
    )
    yield from nested


def _plural(key: Key) -> str:
    if key.kind == "mapping":
        return "keys below"
    return "texts" if key.kind == "text" else key.type


def _strip(annotation: Any) -> tuple[Any, bool]:
    """Take ``Annotated`` and ``| None`` away."""
    if typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        rest = [a for a in typing.get_args(annotation) if a is not type(None)]
        if len(rest) == 1:
            return _strip(rest[0])[0], True
    return annotation, False
