"""YAML as a text with positions: values are changed where they stand, all else stays.

A parser and a writer of YAML give back another text: other quotes, other line
ends, a ``...`` after an empty document. Here the text is cut at the values
that change and nowhere else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import yaml
from yaml.composer import ComposerError

from provision.gitops import documents

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_EOL: Final = re.compile(r"\r\n|\n|\r")
_BLOCK: Final = re.compile(r"([|>])[^\r\n]*(?:\r\n|\n|\r)")
_REST_OF_LINE: Final = re.compile(r"[ \t]*(?:#[^\r\n]*)?(?=\r\n|\n|\r|\Z)")
_BEFORE_KEY: Final = re.compile(r"\ufeff?(?:[ ]*-[ ]+)*[ ]*")
_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_PLAIN_VALUE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+/=]{15,}")
_WORDS: Final = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null"))
_INDENT: Final = 2


class UnsafeError(Exception):
    """The text cannot be changed without changing more. `line` is where, from 1."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


@dataclass(kw_only=True, eq=False)
class Node:
    """One value, and where it is in the text.

    `start` and `end` enclose it, with its anchor and tag; those of a block
    collection are not exact. `content` is where a scalar itself begins. An
    alias has nothing but its `target`.
    """

    start: int
    end: int
    line: int
    column: int
    flow: bool = False
    style: str | None = None
    content: int = 0
    value: str | None = None
    tagged: bool = False
    pairs: list[tuple[Node, Node]] | None = None
    items: list[Node] | None = None
    target: Node | None = None

    @property
    def resolved(self) -> Node:
        """Return the value itself, for an alias its target."""
        return self if self.target is None else self.target

    def entries(self, inside: frozenset[int] = frozenset()) -> dict[str, Node]:
        """Return the values of a mapping by key, those of merge keys (``<<``) included.

        `inside` are the mappings that this one is merged into.
        """
        inside |= {id(self.resolved)}
        found: dict[str, Node] = {}
        merged: list[Node] = []
        for key, value in self.resolved.pairs or ():
            if key.value == "<<" and key.style is None:
                inner = value.resolved
                merged += [inner] if inner.pairs is not None else inner.items or []
            elif key.resolved.value is not None:
                found[key.resolved.value] = value
        for one in merged:
            if id(one.resolved) not in inside:
                for name, value in one.entries(inside).items():
                    found.setdefault(name, value)
        return found


@dataclass(kw_only=True)
class Edit:
    """`text` in place of what is from `start` to `end`."""

    start: int
    end: int
    text: str
    line: int


@dataclass(kw_only=True)
class _Open:
    """A collection whose end was not seen yet."""

    node: Node
    key: Node | None = None


@dataclass(kw_only=True)
class _Part:
    """One part of the text between two separators, while it is read."""

    offset: int
    line: int
    scalars: dict[int, int]
    anchors: dict[str, Node] = field(default_factory=dict[str, Node])

    def node(self, event: Any) -> Node:
        """Return the node that `event` begins."""
        end: int = event.end_mark.index
        made = Node(
            start=self.offset + event.start_mark.index,
            end=self.offset + end,
            line=self.line + event.start_mark.line,
            column=event.start_mark.column,
        )
        if isinstance(event, yaml.AliasEvent):
            made.target = self.anchors.get(event.anchor)
            if made.target is None:
                problem = "found undefined alias"
                raise ComposerError(None, None, problem, event.start_mark)
            return made
        made.tagged = getattr(event, "tag", None) is not None
        if isinstance(event, yaml.ScalarEvent):
            made.value, made.style = event.value, event.style or None
            made.content = self.offset + self.scalars.get(end, int(event.start_mark.index))
        elif isinstance(event, yaml.MappingStartEvent):
            made.pairs, made.flow = [], bool(event.flow_style)
        else:
            made.items, made.flow = [], bool(getattr(event, "flow_style", False))
        if event.anchor is not None:
            self.anchors[event.anchor] = made
        return made


def compose(text: str) -> list[Node]:
    """Return the documents of `text` that are mappings. Raises `yaml.YAMLError`.

    They are those of `documents.read_text`, in its order.
    """
    return [
        root
        for line, offset, part in documents.parts(text)
        for root in _composed(part, offset, line)
        if root.pairs is not None
    ]


def _composed(part: str, offset: int, line: int) -> Iterator[Node]:
    if part.startswith("\ufeff"):  # libyaml does not count it
        part, offset = part[1:], offset + 1
    scalars = {
        token.end_mark.index: token.start_mark.index
        for token in yaml.scan(part, Loader=_LOADER)
        if isinstance(token, yaml.ScalarToken)
    }
    reading = _Part(offset=offset, line=line, scalars=scalars)
    stack: list[_Open] = []
    for event in yaml.parse(part, Loader=_LOADER):
        if isinstance(event, yaml.DocumentStartEvent):
            reading.anchors = {}
        elif isinstance(event, yaml.CollectionEndEvent):
            stack.pop().node.end = offset + event.end_mark.index
        elif isinstance(event, yaml.NodeEvent):
            node = reading.node(event)
            if stack:
                _put(stack[-1], node)
            else:
                yield node
            if isinstance(event, yaml.CollectionStartEvent):
                stack.append(_Open(node=node))


def _put(into: _Open, node: Node) -> None:
    if into.node.items is not None:
        into.node.items.append(node)
    elif into.key is None:
        into.key = node
    elif into.node.pairs is not None:
        into.node.pairs.append((into.key, node))
        into.key = None


def repeated(root: Node) -> list[tuple[str, int]]:
    """Return each key that stands in a mapping twice, and its line: Kubernetes' tools refuse it."""
    found: list[tuple[str, int]] = []
    waiting = [root]
    while waiting:
        node = waiting.pop()
        waiting += node.items or ()
        seen: set[str] = set()
        for key, value in node.pairs or ():
            waiting.append(value)
            if key.value is not None and key.value != "<<":
                if key.value in seen:
                    found.append((key.value, key.line))
                seen.add(key.value)
    return sorted(found, key=lambda one: one[1])


def update(
    text: str, node: Node, old: Mapping[str, Any], new: Mapping[str, Any]
) -> Iterator[tuple[Edit, Node | None]]:
    """Yield the edits that make the mapping `node` say `new` instead of `old`.

    With each comes the alias, if any, that stands for the value to change.
    Texts are replaced and added, mappings of texts added. Raises `UnsafeError`
    for any other difference.
    """
    entries = node.entries()
    for name in old:
        if name not in new:
            raise UnsafeError(f"{name} would have to be removed", node.line)
    for name, value in new.items():
        there = entries.get(name)
        if name in old and old[name] == value:
            continue
        if there is None:
            yield _added(text, node.resolved, name, value), None
        elif isinstance(old[name], Mapping) and isinstance(value, Mapping):
            yield from update(text, there.resolved, old[name], value)
        elif isinstance(old[name], str) and isinstance(value, str):
            yield _replaced(text, there, value), there if there.target is not None else None
        elif old[name] is None and there.target is None:
            yield _filled(text, node.resolved, there, value), None
        else:
            raise UnsafeError(f"{name} is of another type than expected", there.line)


def apply(text: str, edits: Iterable[Edit]) -> str:
    """Return `text` with all `edits`. Raises `UnsafeError` when two contradict each other."""
    made: list[str] = []
    at = 0
    previous: Edit | None = None
    for edit in sorted(edits, key=lambda one: (one.start, one.end)):
        if edit == previous and edit.start != edit.end:
            continue
        if edit.start < at:
            message = "one value stands for several that would have to differ (an anchor)"
            raise UnsafeError(message, edit.line)
        made += [text[at : edit.start], edit.text]
        at, previous = edit.end, edit
    return "".join([*made, text[at:]])


def _replaced(text: str, node: Node, value: str) -> Edit:
    """Return the edit that gives a scalar another value, in the style it has."""
    if node.target is not None:
        return Edit(start=node.start, end=node.end, text=_scalar(value), line=node.line)
    if node.tagged:
        raise UnsafeError("a value with a tag is not changed", node.line)
    token = text[node.content : node.end]
    if node.style in ("|", ">"):
        new = _block(token, value, node)
    elif node.style == "'" and token[:1] == token[-1:] == "'":
        new = "'" + value.replace("'", "''") + "'"
    elif node.style == '"' and token[:1] == token[-1:] == '"':
        new = json.dumps(value, ensure_ascii=False)
    elif node.style is None and token:
        new = _scalar(value)
    else:
        raise UnsafeError("it cannot be told where the value ends", node.line)
    return Edit(start=node.content, end=node.end, text=new, line=node.line)


def _block(token: str, value: str, node: Node) -> str:
    """Return a block scalar with another `value`, as long in its lines as it was."""
    header = _BLOCK.match(token)
    body = token[header.end() :] if header else ""
    content = body.strip(" \t\r\n")
    if header is None or not content or re.search(r"\s", value):
        raise UnsafeError("a block of text cannot be changed to that", node.line)
    begins = body.index(content)
    lead, tail = body[:begins], body[begins + len(content) :]
    indent = re.split(_EOL, lead)[-1]
    lines = re.split(_EOL, content)
    if indent.strip(" ") or any(not one.startswith(indent) for one in lines[1:]):
        raise UnsafeError("the lines of a block of text are not indented alike", node.line)
    width = len(value)
    if header[1] == "|" and len(lines) > 1:
        width = len(lines[0].rstrip())
    end = _EOL.search(token)
    between = (end[0] if end else "\n") + indent
    wrapped = [value[at : at + width] for at in range(0, len(value), max(1, width))]
    return token[: header.end()] + lead + between.join(wrapped) + tail


def _added(text: str, node: Node, name: str, value: Any) -> Edit:
    """Return the edit that adds an entry to a mapping, after its last."""
    pairs = node.pairs
    if pairs is None:
        raise UnsafeError(f"there is no place for {name}", node.line)
    if node.flow:
        return _added_in_flow(text, node, name, value)
    first = pairs[0][0]
    line_start = _line_start(text, first.start)
    if not _BEFORE_KEY.fullmatch(text, line_start, first.start):
        raise UnsafeError("an entry cannot be added to a mapping of this form", first.line)
    return _lines_after(text, _last(pairs[-1][1]), first.column, {name: value})


def _added_in_flow(text: str, node: Node, name: str, value: Any) -> Edit:
    entry = f"{_key(name, quoted=True)}: {_in_flow(value)}"
    pairs = node.pairs or []
    if not pairs:
        at = text.rindex("{", node.start, node.end) + 1
        return Edit(start=at, end=at, text=entry, line=node.line)
    key, last = pairs[-1]
    at = last.end
    line_start = _line_start(text, key.start)
    before = text[line_start : key.start]
    alone = line_start > node.start and not before.strip(" \t")
    between = "," + (_eol(text, at) + before if alone else " ")
    return Edit(start=at, end=at, text=between + entry, line=last.line)


def _filled(text: str, parent: Node, node: Node, value: Any) -> Edit:
    """Return the edit that gives a value to a key that has none."""
    if node.tagged or node.start != node.content:
        raise UnsafeError("a value with a tag or an anchor is not changed", node.line)
    if node.start == node.end and not parent.flow and isinstance(value, Mapping):
        column = (parent.pairs or [(node, node)])[0][0].column + _INDENT
        return _lines_after(text, node, column, value)
    space = " " if node.start == node.end else ""
    new = space + (_scalar(value) if isinstance(value, str) else _in_flow(value))
    return Edit(start=node.start, end=node.end, text=new, line=node.line)


def _lines_after(text: str, leaf: Node, column: int, entries: Mapping[str, Any]) -> Edit:
    """Return the edit that puts `entries` as lines below the value `leaf`."""
    at = leaf.end
    eol = _eol(text, leaf.start)
    lines = _lines(entries, column)
    if not (at and text[at - 1] in "\r\n"):  # else it is a block scalar, which ends with its line
        rest = _REST_OF_LINE.match(text, at)
        if rest is None:
            raise UnsafeError("something else follows on the line", leaf.line)
        end = _EOL.match(text, rest.end())
        at = end.end() if end else rest.end()
        if end is None:
            return Edit(start=at, end=at, text=eol + eol.join(lines), line=leaf.line)
    comments = re.compile(rf"(?:[ ]{{{max(1, column)},}}#[^\r\n]*(?:\r\n|\n|\r))*")
    own = comments.match(text, at)
    at = own.end() if own else at
    return Edit(start=at, end=at, text=eol.join([*lines, ""]), line=leaf.line)


def _lines(entries: Mapping[str, Any], column: int) -> list[str]:
    made: list[str] = []
    for name, value in entries.items():
        key = " " * column + _key(name) + ":"
        if isinstance(value, Mapping) and value:
            made += [key, *_lines(value, column + _INDENT)]
        else:
            made.append(f"{key} {_scalar(value) if isinstance(value, str) else _in_flow(value)}")
    return made


def _in_flow(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _scalar(value: str) -> str:
    """Return `value` as a scalar on one line that every reader takes for a text."""
    return value if _PLAIN_VALUE.fullmatch(value) else json.dumps(value, ensure_ascii=False)


def _key(name: str, *, quoted: bool = False) -> str:
    if quoted or not _PLAIN_KEY.fullmatch(name) or name.lower() in _WORDS:
        return json.dumps(name, ensure_ascii=False)
    return name


def _last(node: Node) -> Node:
    """Return the value that ends `node`."""
    while node.target is None and not node.flow and (node.pairs or node.items):
        node = node.pairs[-1][1] if node.pairs else (node.items or [])[-1]
    return node


def _line_start(text: str, at: int) -> int:
    return max(text.rfind("\n", 0, at), text.rfind("\r", 0, at)) + 1


def _eol(text: str, at: int) -> str:
    """Return how the line at `at` ends; the last line, as the one before."""
    found = _EOL.search(text, at) or _EOL.search(text)
    return found[0] if found else "\n"
