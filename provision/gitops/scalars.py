"""Setting scalars in a YAML text; every other byte stays.

The parser's marks say where a value stands, so that comments, order, quoting
and line ends of everything else are not touched. The result is read back
before it is returned.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from provision.gitops import documents

Path = tuple[str | int, ...]
"""Names and indexes from the top of a document to a value."""

_SAFE = re.compile(r"[A-Za-z0-9./][A-Za-z0-9_./@+:-]*(?<!:)")
_SAFE_IN_FLOW = re.compile(r"[A-Za-z0-9./][A-Za-z0-9_./@+-]*")
_BLOCK_STYLES = ("|", ">")


class CannotSetError(Exception):
    """A value cannot be set without a change of something else.

    `path` says which, `line` (from 1) where.
    """

    def __init__(self, path: Path, line: int) -> None:
        super().__init__(".".join(map(str, path)))
        self.path = path
        self.line = line


@dataclass(kw_only=True)
class _Node:
    """A value in the text: `start` and `end` include its anchor and tag."""

    kind: str
    start: int
    end: int
    line: int
    column: int
    value: str = ""
    style: str = ""
    anchor: str = ""
    pairs: list[tuple[_Node, _Node]] = field(default_factory=list[tuple["_Node", "_Node"]])
    items: list[_Node] = field(default_factory=list["_Node"])

    def get(self, key: str | int) -> _Node | None:
        """Return the value at `key`; of a key that stands twice, the last."""
        if isinstance(key, int):
            return self.items[key] if key < len(self.items) else None
        values = [value for name, value in self.pairs if name.value == key]
        return values[-1] if values else None

    def last_leaf(self) -> _Node:
        """Return the value that ends last in the text."""
        if self.kind == "map" and self.style != "flow" and self.pairs:
            return self.pairs[-1][1].last_leaf()
        if self.kind == "seq" and self.style != "flow" and self.items:
            return self.items[-1].last_leaf()
        return self


def set_values(text: str, number: int, values: Mapping[Path, str]) -> str:
    """Return `text` with each path of `values` in document `number` (from 0) set to a text.

    A key that is missing is added to its mapping, with the mappings above it.

    Raises:
        yaml.YAMLError: `text` is not YAML.
        CannotSetError: a value cannot be set alone, for example because a list stands
            where a mapping is expected.
    """
    for path, value in values.items():
        text = _set(text, number, path, value)
    return text


def line_of(text: str, number: int, path: Path) -> int:
    """Return the line (from 1) of the value at `path`, or of the last part of it that is there."""
    node = _compose(text)[number]
    for part in path:
        below = node.get(part)
        if below is None:
            break
        node = below
    return node.line


def _set(text: str, number: int, path: Path, value: str) -> str:
    before = documents.load_all(text)
    nodes = _compose(text)
    node = nodes[number]
    expected = copy.deepcopy(before)
    try:
        _assign(expected[number], path, value)
    except (TypeError, KeyError, IndexError, AttributeError):
        raise CannotSetError(path, node.line) from None
    depth = 0
    below: _Node | None = node
    while depth < len(path):
        below = node.get(path[depth])
        if below is None:
            break
        node, depth = below, depth + 1
    edited = _edited(text, node, path[depth:], value, _aliases(nodes[number]))
    try:
        after = documents.load_all(edited)
    except yaml.YAMLError:
        after = None
    if after != expected:
        raise CannotSetError(path, node.line)
    return edited


def _assign(obj: Any, path: Path, value: str) -> None:
    for part in path[:-1]:
        if isinstance(part, str) and obj.get(part) is None:
            obj[part] = {}
        # An alias shares its object with the anchor: only this place may change.
        obj[part] = copy.copy(obj[part])
        obj = obj[part]
    if not isinstance(obj, dict):
        raise TypeError
    obj[path[-1]] = value


def _edited(text: str, node: _Node, missing: Path, value: str, aliases: list[_Node]) -> str:
    """Return `text` with `value` at `missing` below `node`, or in place of it."""
    newline = "\r\n" if "\r\n" in text else "\n"
    names = [str(part) for part in missing]
    if names and node.kind == "map":
        return _added(text, node, names, value, newline)
    flow = "".join(f"{{{_key(name)}: " for name in names)
    written = flow + _scalar(value, node.style if not names else "", bool(names)) + "}" * len(names)
    if node.kind not in ("scalar", "alias"):
        return text  # the caller sees that nothing was set
    edits = [(node.start, node.end, written)]
    if node.start == node.end:
        edits = [(node.start, node.end, f" {written}")]
    elif node.style in _BLOCK_STYLES:
        edits = [(node.start, node.end, written + newline)]
    if node.anchor and node.kind == "scalar":
        # The first alias takes the anchor and the old value over.
        using = [alias for alias in aliases if alias.anchor == node.anchor]
        if using:
            edits.append((using[0].start, using[0].end, text[node.start : node.end]))
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _added(text: str, node: _Node, names: list[str], value: str, newline: str) -> str:
    """Return `text` with new keys in the mapping `node`."""
    if node.style == "flow":
        opening = text.index("{", node.start) + 1
        new = "".join(f"{_key(name)}: {{" for name in names[:-1])
        new += f"{_key(names[-1])}: {_scalar(value, '', True)}" + "}" * (len(names) - 1)
        return text[:opening] + new + (", " if node.pairs else "") + text[opening:]
    if not node.pairs:
        return text
    column = node.pairs[0][0].column
    lines = [" " * (column + 2 * depth) + f"{_key(name)}:" for depth, name in enumerate(names)]
    lines[-1] += f" {_scalar(value, '', False)}"
    new = newline.join(lines)
    last = node.last_leaf()
    if last.style in _BLOCK_STYLES and text[: last.end].endswith("\n"):
        return text[: last.end] + new + newline + text[last.end :]
    end = text.find("\n", last.end)
    if end < 0:
        return text + newline + new + newline
    return text[: end + 1] + new + newline + text[end + 1 :]


def _scalar(value: str, style: str, flow: bool) -> str:
    """Return `value` as a scalar in the quotes of `style`, in double quotes where it needs some."""
    if style == "'":
        return "'" + value.replace("'", "''") + "'"
    pattern = _SAFE_IN_FLOW if flow else _SAFE
    if style != '"' and pattern.fullmatch(value) and documents.plain(value) == value:
        return value
    return json.dumps(value, ensure_ascii=False)


def _key(name: str) -> str:
    return _scalar(name, "", True)


def _aliases(node: _Node) -> list[_Node]:
    """Return the aliases below `node` in the order of the text."""
    if node.kind == "alias":
        return [node]
    below = [part for pair in node.pairs for part in pair] + node.items
    return [alias for part in below for alias in _aliases(part)]


def _compose(text: str) -> list[_Node]:
    """Return the top of each document; an alias stays one."""
    tops: list[_Node] = []
    open_nodes: list[tuple[_Node, list[_Node]]] = []

    def put(node: _Node) -> None:
        (open_nodes[-1][1] if open_nodes else tops).append(node)

    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            put(_node("alias", event))
        elif isinstance(event, yaml.ScalarEvent):
            put(_node("scalar", event, value=event.value, style=event.style or ""))
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            kind = "map" if isinstance(event, yaml.MappingStartEvent) else "seq"
            style = "flow" if event.flow_style else ""
            open_nodes.append((_node(kind, event, style=style), []))
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            node, parts = open_nodes.pop()
            node.end = event.end_mark.index
            if node.kind == "seq":
                node.items = parts
            else:
                node.pairs = list(zip(parts[::2], parts[1::2], strict=True))
            put(node)
    return tops


def _node(kind: str, event: Any, *, value: str = "", style: str = "") -> _Node:
    start, end = event.start_mark, event.end_mark
    return _Node(
        kind=kind,
        start=start.index,
        end=end.index,
        line=start.line + 1,
        column=start.column,
        value=value,
        style=style,
        anchor=event.anchor or "",
    )
