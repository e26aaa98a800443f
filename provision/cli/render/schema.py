"""The JSON lines, described: JSON Schema (draft 2020-12) made from the events themselves."""

from __future__ import annotations

import collections.abc
import dataclasses
import typing
from typing import Any, Literal

from provision.cli import terminal
from provision.engine import events

_TEXT = {"type": "string"}
_PROBLEM = ("message", "where", "key", "hint", "kind")
_TEXTS = {"type": "array", "items": _TEXT}
_COUNTS = {"type": "object", "additionalProperties": {"type": "integer"}}

_OWN: dict[str, tuple[str, dict[str, Any]]] = {
    "step": (
        "Something is going on outside any resource: preflight, or building a sandbox.",
        {"message": _TEXT},
    ),
    "losses": ("What `destroy` would take away, before it begins.", {"losses": _TEXTS}),
    "result": (
        "How an `up` ended; its last line. Secrets among the outputs are `***`. `seeds` names what "
        "was put into the cluster before Flux, `notReady` what of k3s' components and of the "
        "repository is not ready.",
        {
            "counts": _COUNTS,
            "seconds": {"type": "number"},
            "changed": {"type": "boolean"},
            "steps": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"what": _TEXT, "seconds": {"type": "number"}},
                    "required": ["what", "seconds"],
                    "additionalProperties": False,
                },
            },
            "outputs": {"type": "object"},
            "seeds": _TEXTS,
            "notReady": _TEXTS,
        },
    ),
    "rotation": (
        "How a `rotate` ended; its last line. `before` and `after` name the credential without "
        "showing it.",
        {
            "credential": _TEXT,
            "changed": {"type": "boolean"},
            "before": _TEXT,
            "after": _TEXT,
            "seconds": {"type": "number"},
        },
    ),
    "restored": (
        "How a `restore` ended; its last line. `equal` of `secrets` are as they were; `expected` "
        "says what is not there, as was told before it began.",
        {
            "seconds": {"type": "number"},
            "steps": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"step": _TEXT, "seconds": {"type": "number"}},
                    "required": ["step", "seconds"],
                    "additionalProperties": False,
                },
            },
            "kustomizations": {"type": "integer"},
            "secrets": {"type": "integer"},
            "equal": {"type": "integer"},
            "expected": {"type": "array", "items": _TEXT},
        },
    ),
    "drilled": (
        "How a `drill` ended; its last line. `files` are its report, as JSON and as a page.",
        {
            "passed": {"type": "boolean"},
            "seconds": {"type": "number"},
            "recoverySeconds": {"type": "number"},
            "ageSeconds": {"type": "number"},
            "problems": {"type": "array", "items": _TEXT},
            "files": {"type": "array", "items": _TEXT},
        },
    ),
    "error": (
        "The command failed; the last line. `exitCode` is the exit status of the process.",
        {
            "class": _TEXT,
            "exitCode": {"type": "integer"},
            "summary": _TEXT,
            "detail": _TEXT,
            "hint": _TEXT,
            "problems": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": dict.fromkeys(_PROBLEM, _TEXT),
                    "required": [*_PROBLEM],
                    "additionalProperties": False,
                },
            },
        },
    ),
}


def lines() -> dict[str, tuple[str, dict[str, Any]]]:
    """Return for each kind of line what it means, and the schema of its own fields."""
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    for kind in typing.get_args(events.Event):
        name = _kebab(kind.__name__)
        meaning = " ".join((kind.__doc__ or "").split())
        fields = _fields(kind)
        if name == "prelude":
            fields = {"schema": {"const": terminal.SCHEMA}, **fields}
        found[name] = (meaning, fields)
    return found | _OWN


def schema() -> dict[str, Any]:
    """Return the JSON Schema that every line of ``--json`` satisfies."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "One line of elysium --json",
        "oneOf": [
            {
                "title": name,
                "description": meaning,
                "type": "object",
                "properties": {"event": {"const": name}, "time": _TEXT, **fields},
                "required": ["event", "time", *fields],
                "additionalProperties": False,
            }
            for name, (meaning, fields) in lines().items()
        ],
    }


def _fields(kind: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {field.name: _of(hints[field.name]) for field in dataclasses.fields(kind)}


def _of(hint: Any) -> dict[str, Any]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin is tuple:
        return {"type": "array", "items": _of(arguments[0])}
    if origin is collections.abc.Mapping:
        return {"type": "object", "additionalProperties": _of(arguments[1])}
    if dataclasses.is_dataclass(hint):
        fields = _fields(hint)
        return {
            "type": "object",
            "properties": fields,
            "required": list(fields),
            "additionalProperties": False,
        }
    simple = {str: "string", int: "integer", float: "number", bool: "boolean", Exception: "string"}
    return {"type": simple[hint]} if hint in simple else {}


def _kebab(name: str) -> str:
    return "".join("-" + c.lower() if c.isupper() else c for c in name).lstrip("-")
