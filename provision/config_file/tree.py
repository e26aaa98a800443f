"""From a parsed stack file to plain values, each with its line.

``secure:`` values become `Secret`; anchors and merges are resolved; a value
that upstream's command line wrote as one JSON string becomes the structure
it stands for.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from provision import errors
from provision.config_file import document, paths, schema
from provision.secret import Secret

_MAX_VALUES = 50_000
_MAX_DEPTH = 60


class Crypter(Protocol):
    """What opens and makes ``secure:`` values (``provision.crypter``)."""

    def encrypt(self, text: str, /) -> str:
        """Return the ciphertext of `text`."""
        ...

    def decrypt(self, text: str, /) -> str:
        """Return the text of a ciphertext. Raises `errors.ElysiumError`."""
        ...


@dataclass(kw_only=True)
class Tree:
    """The values below ``config:``, without their namespace."""

    document: document.Document
    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[paths.Path, int] = field(default_factory=dict)
    problems: list[errors.Problem] = field(default_factory=list)
    secure: set[paths.Path] = field(default_factory=set)
    """Paths (and all below them) that were encrypted in the file."""

    def line(self, path: paths.Path) -> int | None:
        """Return the line of the value at `path`, else of the nearest parent."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.lines:
                return self.lines[path[:end]]
        return self.lines.get(())

    def problem(self, path: paths.Path, message: str, hint: str = "") -> errors.Problem:
        """Return a problem at `path`, with file and line."""
        return errors.Problem(
            message=message,
            where=self.document.where(self.line(path)),
            key=paths.text(path),
            hint=hint,
        )

    def is_secure(self, path: paths.Path) -> bool:
        """Return whether the value at `path` was encrypted in the file."""
        return any(path[:end] in self.secure for end in range(1, len(path) + 1))


class _Refused(Exception):
    """A value that cannot be read; the message is for the user."""


def build(doc: document.Document, crypter: Callable[[], Crypter] | None) -> Tree:
    """Read everything below ``config:``. What is wrong goes to `Tree.problems`.

    `crypter` is called at the first encrypted value; None leaves each of them
    an empty `Secret`. What `crypter` itself raises is passed on.
    """
    tree = Tree(document=doc)
    _check_outside(tree)
    block = doc.data.get("config")
    line = doc.line(doc.data, "config")
    if line:
        tree.lines[()] = line
    if block is None:
        return tree
    if not hasattr(block, "keys"):
        tree.problems.append(tree.problem((), "keys such as 'elysium:nodes' are expected"))
        return tree
    reader = _Reader(tree, crypter)
    for raw in block:
        name = _name(tree, doc.line(block, raw), raw)
        if name is None:
            continue
        tree.lines[(name,)] = doc.line(block, raw) or line or 1
        if name in tree.values:
            tree.problems.append(tree.problem((name,), "the key is there twice"))
            continue
        try:
            tree.values[name] = reader.structure(reader.value(block[raw], (name,), ()))
        except _Refused as refused:
            tree.problems.append(tree.problem((name,), str(refused)))
    return tree


_OUTSIDE = ("config", "encryptionsalt", "secretsprovider", "encryptedkey", "environment")


def _check_outside(tree: Tree) -> None:
    """Keys beside ``config:`` are upstream's; a near miss is a typing error."""
    doc = tree.document
    for raw in doc.data:
        if raw in _OUTSIDE:
            continue
        where = doc.where(doc.line(doc.data, raw))
        hint = _suggest(str(raw), ["config", "encryptionsalt"])
        if not hint and str(raw).partition(":")[0] == paths.NAMESPACE:
            hint = "indent it under 'config:'"
        tree.problems.append(
            errors.Problem(message="unknown key", where=where, key=str(raw)[:100], hint=hint)
        )


def _name(tree: Tree, line: int | None, raw: Any) -> str | None:
    """Return the key without its namespace, or None if it is not ours or unknown."""
    where = tree.document.where(line)
    known = [f"{paths.NAMESPACE}:{name}" for name in schema.top_level()]
    if not isinstance(raw, str):
        tree.problems.append(
            errors.Problem(
                message="a key is expected to be a text", where=where, key=str(raw)[:100]
            )
        )
        return None
    namespace, colon, name = raw.partition(":")
    if colon and namespace == paths.NAMESPACE and name in schema.top_level():
        return name
    if not colon and raw in schema.top_level():
        hint = f"write {paths.NAMESPACE}:{raw}"
    elif namespace == paths.NAMESPACE or not colon:
        hint = _suggest(raw, known) or "known keys: " + ", ".join(known)
    else:
        hint = _suggest(raw, known)
        if not hint:
            return None  # another program's namespace
    tree.problems.append(
        errors.Problem(message="unknown key", where=where, key=raw[:100], hint=hint)
    )
    return None


def _suggest(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.75)
    return f"did you mean {close[0]!r}?" if close else ""


class _Reader:
    def __init__(self, tree: Tree, crypter: Callable[[], Crypter] | None) -> None:
        self._tree = tree
        self._open = crypter
        self._crypter: Crypter | None = None
        self._count = 0

    def value(self, node: Any, path: paths.Path, above: tuple[int, ...]) -> Any:
        """Return `node` as plain values; encrypted ones as `Secret`."""
        self._count += 1
        if self._count > _MAX_VALUES:
            raise _Refused("it holds too many values")
        if len(above) > _MAX_DEPTH or id(node) in above:
            raise _Refused("it is nested too deeply, or contains itself")
        if isinstance(node, Mapping):
            if list(node) == ["secure"]:
                return self._secure(node["secure"], path)
            return {
                name: self.value(node[raw], self._at(node, raw, (*path, name)), (*above, id(node)))
                for raw, name in ((raw, self._text_key(raw)) for raw in node)
            }
        if isinstance(node, list):
            return [
                self.value(item, self._at(node, i, (*path, i)), (*above, id(node)))
                for i, item in enumerate(node)
            ]
        return _scalar(node)

    def structure(self, value: Any) -> Any:
        """Return the structure behind a top-level text: JSON, as upstream writes it."""
        if value is None:
            return {}  # the key alone: everything below it has its default
        text = value.reveal() if isinstance(value, Secret) else value
        if not isinstance(text, str) or (isinstance(value, Secret) and not text):
            return text if not isinstance(value, Secret) else {}
        try:
            parsed = json.loads(text, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            parsed = None
        if not isinstance(parsed, (dict, list)):
            raise _Refused("keys and values are expected, or the same as a JSON text")
        return self._from_json(parsed, isinstance(value, Secret), 0)

    def _from_json(self, value: Any, secret: bool, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise _Refused("it is nested too deeply")
        if isinstance(value, dict):
            return {k: self._from_json(v, secret, depth + 1) for k, v in value.items()}
        if isinstance(value, list):
            return [self._from_json(v, secret, depth + 1) for v in value]
        return _scalar(value)

    def _at(self, node: Any, key: Any, path: paths.Path) -> paths.Path:
        line = self._tree.document.line(node, key)
        if line:
            self._tree.lines[path] = line
        return path

    def _text_key(self, raw: Any) -> str:
        if isinstance(raw, str):
            return str(raw)
        if isinstance(raw, (int, bool)):
            # A quoted and an unquoted number mean the same name to a reader.
            return str(raw).lower() if isinstance(raw, bool) else str(raw)
        raise _Refused("a key inside it is not a text")

    def _secure(self, cipher: Any, path: paths.Path) -> Secret:
        self._tree.secure.add(path)
        if not isinstance(cipher, str):
            self._tree.problems.append(
                self._tree.problem(path, "an encrypted text is expected after 'secure:'")
            )
            return Secret("")
        if self._open is None:
            return Secret("")
        if self._crypter is None:
            self._crypter = self._open()
        try:
            return Secret(self._crypter.decrypt(str(cipher)))
        except errors.ElysiumError as error:
            self._tree.problems.append(
                self._tree.problem(
                    path,
                    "the encrypted value cannot be opened with this stack's passphrase",
                    error.hint or f"set it again: elysium config set --secret {paths.text(path)}",
                )
            )
            return Secret("")


def _no_constant(_name: str) -> Any:
    raise ValueError("not a number")


def _scalar(node: Any) -> Any:
    """Return a plain Python value for one of ruamel's scalar types."""
    if node is None or isinstance(node, bool):
        return node
    if isinstance(node, str):
        return str(node)
    if isinstance(node, int):
        return int(node)
    if isinstance(node, float):
        if not math.isfinite(node):
            raise _Refused("a number in it is not finite")
        return float(node)
    if hasattr(node, "isoformat"):
        return node.isoformat()
    if type(node).__name__ == "ScalarBoolean":
        return bool(node)
    raise _Refused("it holds a value of an unknown kind; texts, numbers and lists are expected")
