"""The resources of a state and what depends on what: as text, DOT, SVG and data.

Providers are left out, and so is the stack itself. In the text a resource
stands under its parent; what it depends on is named behind it.
"""

from __future__ import annotations

import html
import json
from dataclasses import dataclass
from typing import Any, Final, Literal

from provision.engine.state import checkpoint, urns

Form = Literal["text", "dot", "svg"]
Raw = dict[str, Any]

_WIDTH: Final = 230
_HEIGHT: Final = 44
_GAP_X: Final = 70
_GAP_Y: Final = 18


def visible(document: checkpoint.Document) -> list[Raw]:
    """Return the living resources that a graph shows, in the state's order."""
    return [
        each
        for each in checkpoint.resources(document)
        if not each.get("delete")
        and each["type"] != urns.ROOT_TYPE
        and not urns.is_provider(each["type"])
    ]


@dataclass(frozen=True, kw_only=True)
class Node:
    """One resource. `parent` is empty at the top; `needs` are URNs, without the parent."""

    urn: str
    type: str
    name: str
    parent: str
    needs: tuple[str, ...]


def nodes(document: checkpoint.Document) -> tuple[Node, ...]:
    """Return what a graph shows, in the state's order."""
    found = visible(document)
    shown = {each["urn"] for each in found}
    return tuple(
        Node(
            urn=each["urn"],
            type=_type(each),
            name=_name(each),
            parent=each.get("parent", "") if each.get("parent") in shown else "",
            needs=tuple(needs(each, shown)),
        )
        for each in found
    )


def draw(document: checkpoint.Document, form: Form) -> str:
    """Return the graph of `document`."""
    found = visible(document)
    return {"text": _text, "dot": _dot, "svg": _svg}[form](found)


def needs(each: Raw, shown: set[str]) -> list[str]:
    """Return the URNs among `shown` that a resource depends on, without its parent."""
    found = {*(each.get("dependencies") or ()), each.get("deletedWith", "")}
    for deps in (each.get("propertyDependencies") or {}).values():
        found.update(deps or ())
    return sorted((found & shown) - {each.get("parent", "")})


def _text(found: list[Raw]) -> str:
    shown = {each["urn"] for each in found}
    children: dict[str, list[Raw]] = {}
    for each in found:
        parent = each.get("parent", "")
        children.setdefault(parent if parent in shown else "", []).append(each)
    lines: list[str] = []

    def add(each: Raw, before: str, last: bool) -> None:
        names = ", ".join(urns.name_of(urn) for urn in needs(each, shown))
        behind = f"  <- {names}" if names else ""
        lines.append(f"{before}{'`- ' if last else '|- '}{_name(each)}  {_type(each)}{behind}")
        below = children.get(each["urn"], [])
        for index, child in enumerate(below):
            add(child, before + ("   " if last else "|  "), index == len(below) - 1)

    top = children.get("", [])
    for index, each in enumerate(top):
        add(each, "", index == len(top) - 1)
    return "\n".join(lines) + "\n"


def _dot(found: list[Raw]) -> str:
    shown = {each["urn"] for each in found}
    lines = ["digraph stack {", "  rankdir=LR;", "  node [shape=box];"]
    for each in found:
        label = json.dumps(f"{_name(each)}\n{_type(each)}", ensure_ascii=False)
        lines.append(f"  {json.dumps(each['urn'])} [label={label}];")
    for each in found:
        for urn in needs(each, shown):
            lines.append(f"  {json.dumps(each['urn'])} -> {json.dumps(urn)};")
        if each.get("parent") in shown:
            lines.append(
                f"  {json.dumps(each['urn'])} -> {json.dumps(each['parent'])} [style=dashed];"
            )
    return "\n".join([*lines, "}"]) + "\n"


def _svg(found: list[Raw]) -> str:
    """Draw columns from left to right: a resource stands right of all that it needs."""
    shown = {each["urn"] for each in found}
    column: dict[str, int] = {}
    for each in found:
        before = [*needs(each, shown), each.get("parent", "")]
        column[each["urn"]] = 1 + max((column.get(urn, -1) for urn in before), default=-1)
    rows: dict[int, int] = {}
    place: dict[str, tuple[int, int]] = {}
    for each in found:
        at = column[each["urn"]]
        row = rows.get(at, 0)
        rows[at] = row + 1
        place[each["urn"]] = (
            10 + at * (_WIDTH + _GAP_X),
            10 + row * (_HEIGHT + _GAP_Y),
        )
    width = 20 + max((x for x, _ in place.values()), default=0) + _WIDTH
    height = 20 + max((y for _, y in place.values()), default=0) + _HEIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="13">',
        "<style>rect{fill:#f6f8fa;stroke:#57606a}path{fill:none;stroke:#57606a}"
        ".child{stroke-dasharray:4 3;stroke:#afb8c1}.type{fill:#57606a;font-size:11px}</style>",
    ]
    for each in found:
        for urn in needs(each, shown):
            parts.append(_edge(place[urn], place[each["urn"]], ""))
        if each.get("parent") in shown:
            parts.append(_edge(place[each["parent"]], place[each["urn"]], ' class="child"'))
    for each in found:
        x, y = place[each["urn"]]
        parts.append(
            f"<g><title>{html.escape(each['urn'])}</title>"
            f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="5"/>'
            f'<text x="{x + 10}" y="{y + 18}">{html.escape(_short(_name(each), 28))}</text>'
            f'<text class="type" x="{x + 10}" y="{y + 35}">'
            f"{html.escape(_short(_type(each), 34))}</text></g>"
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _edge(start: tuple[int, int], end: tuple[int, int], kind: str) -> str:
    x1, y1 = start[0] + _WIDTH, start[1] + _HEIGHT // 2
    x2, y2 = end[0], end[1] + _HEIGHT // 2
    middle = (x1 + x2) // 2
    return f'<path{kind} d="M{x1} {y1} C{middle} {y1} {middle} {y2} {x2} {y2}"/>'


def _name(each: Raw) -> str:
    return urns.name_of(each["urn"])


def _type(each: Raw) -> str:
    return str(each["type"])


def _short(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
