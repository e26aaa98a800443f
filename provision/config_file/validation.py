"""What pydantic found, in words a person can act on.

The offending value is quoted only where it cannot be a secret.
"""

from __future__ import annotations

import difflib
from typing import Any

import pydantic

from provision import errors
from provision.config_file import paths, schema
from provision.config_file.tree import Tree
from provision.secret import Secret

_QUOTABLE = ("text", "number", "switch", "choice")


def problems(error: pydantic.ValidationError, tree: Tree) -> list[errors.Problem]:
    """Return one problem for each place that `error` names, in its order."""
    found: dict[paths.Path, errors.Problem] = {}
    short: list[paths.Path] = []
    for entry in error.errors(include_url=False, include_input=True):
        path = _path(entry["loc"], entry["type"], tree.values)
        if path in found:
            continue  # a union complains once for each of its kinds
        found[path] = _problem(dict(entry), path, tree)
        if entry["type"] == "too_short":
            short.append(path)
    for path in short:
        # pydantic counts only items that are right: a list with one wrong item is "too short".
        if any(other[: len(path)] == path and other != path for other in found):
            del found[path]
    return list(found.values())


def _path(loc: tuple[int | str, ...], kind: str, values: Any) -> paths.Path:
    """Return the place in the file. pydantic appends the names of union members."""
    path: list[str | int] = []
    value: Any = values
    for index, element in enumerate(loc):
        part = schema.shown(element) if index == 0 and isinstance(element, str) else element
        inside = isinstance(value, dict) and part in value
        if inside or (isinstance(value, list) and isinstance(part, int) and part < len(value)):
            value = value[part]  # type: ignore[index]
        elif kind == "missing":
            value = None
        else:
            break
        path.append(part)
    return tuple(path)


def _problem(entry: dict[str, Any], path: paths.Path, tree: Tree) -> errors.Problem:
    kind, context, given = entry["type"], entry.get("ctx") or {}, entry.get("input")
    key = schema.find(path)
    if entry["loc"] == ("cluster",):
        return errors.Problem(
            message=f"{given!r} is no name for a cluster: "
            "lower-case letters, digits and hyphens are expected",
            where=tree.document.path.name,
            hint="the file's name holds it: Pulumi.<cluster>.yaml",
        )
    if kind == "missing":
        meaning = key.meaning if key is not None else ""
        return tree.problem(path, "it is missing", meaning.rstrip("."))
    if kind == "extra_forbidden":
        return tree.problem(path, "unknown key", _known(path))
    if kind == "value_error":
        return tree.problem(path, str(context.get("error", entry["msg"])))
    if isinstance(given, Secret):
        return tree.problem(
            path,
            "this key does not hold a secret, and would be printed",
            "write it as plain text, without 'secure:'",
        )
    message = f"{_expected(kind, context, key)} expected"
    if _quotable(path, key, given, tree):
        message += f", not {_words(given)}"
    return tree.problem(path, message, _closest(given, key))


def _expected(kind: str, context: dict[str, Any], key: schema.Key | None) -> str:
    match kind:
        case "greater_than_equal":
            return f"at least {context['ge']} is"
        case "less_than_equal":
            return f"at most {context['le']} is"
        case "too_short":
            return "at least one is"
        case "string_too_short":
            return "a text that is not empty is"
        case "string_pattern_mismatch":
            return _pattern(str(context.get("pattern", "")), key)
        case _:
            pass
    if key is None:
        return "another kind of value is"
    match key.kind:
        case "text" | "secret":
            return "a text is"
        case "number":
            return "a whole number is"
        case "switch":
            return "true or false is"
        case "choice":
            return "one of " + ", ".join(key.choices) + " is"
        case "list":
            return "a list is"
        case "mapping":
            return "keys and values are"
        case _:
            return "a text, a number, true or false is"


def _pattern(pattern: str, key: schema.Key | None) -> str:
    if pattern.startswith("^[a-z0-9]("):
        return "lower-case letters, digits and hyphens are"
    if key is not None and isinstance(key.default, str) and key.default:
        return f"something like {key.default!r} is"
    return f"a text of the form {pattern} is"


def _quotable(path: paths.Path, key: schema.Key | None, given: Any, tree: Tree) -> bool:
    if key is None or key.kind not in _QUOTABLE or tree.is_secure(path):
        return False
    return isinstance(given, (str, int, float, bool)) or given is None


def _words(given: Any) -> str:
    if given is None:
        return "nothing"
    if isinstance(given, bool):
        return str(given).lower()
    text = repr(given)
    return text if len(text) <= 60 else text[:57] + "…'"


def _closest(given: Any, key: schema.Key | None) -> str:
    if key is None or key.kind != "choice" or not isinstance(given, str):
        return ""
    close = difflib.get_close_matches(given, key.choices, n=1)
    return f"did you mean {close[0]!r}?" if close else ""


def _known(path: paths.Path) -> str:
    """Say which key was probably meant, else which there are."""
    name = str(path[-1])
    parent = schema.find(path[:-1])
    siblings = parent.children if parent is not None else schema.top_level()
    folded = {s.lower(): s for s in siblings}
    bare = name.lower().replace("_", "").replace("-", "")
    if bare in folded:
        return f"did you mean {folded[bare]!r}?"
    close = difflib.get_close_matches(name, siblings, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    elsewhere = [k.name for k in schema.every() if k.path[-1] == name]
    if elsewhere:
        return f"it belongs at {elsewhere[0]}"
    return "known keys: " + ", ".join(siblings)
