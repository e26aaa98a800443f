"""A cluster's graph as SVG: columns from left to right, each node right of what leads to it."""

from __future__ import annotations

import html
import statistics
from collections.abc import Iterator
from typing import Final

from provision.cli import visible
from provision.gitops import graph as graphs
from provision.gitops.documents import Place

_WIDTH: Final = 250
_HEIGHT: Final = 58
_GAP: Final = (80, 16)
_MARGIN: Final = 12
_CHARACTERS: Final = 36
"""Characters that fit into a box in small text."""
_STYLE: Final = """\
text{font-family:system-ui,sans-serif;font-size:11px;fill:#57606a}
.name{font-size:13px;font-weight:600;fill:#1f2328}
rect{fill:#f6f8fa;stroke:#57606a}
.Kustomization rect{fill:#ddf4ff}.HelmRelease rect{fill:#dafbe1}
.odd rect{stroke:#cf222e;stroke-dasharray:4 3}.odd .state{fill:#cf222e}
path{fill:none;stroke:#8c959f}.applies{stroke:#1f2328;stroke-width:1.6}.after{stroke-dasharray:4 3}
"""

_Spot = tuple[int, int]
"""Left and top edge of a box."""


def svg(graph: graphs.Graph) -> Iterator[str]:
    """Yield the lines of an SVG picture of `graph`."""
    spots = _spots(graph)
    width = max((left for left, _ in spots.values()), default=0) + _WIDTH + _MARGIN
    height = max((top for _, top in spots.values()), default=0) + _HEIGHT + _MARGIN
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
        f' viewBox="0 0 {width} {height}">'
    )
    yield f"<style>{_STYLE}</style>"
    for one in graph.edges:
        yield _edge(spots[one.start], spots[one.end], one.relation)
    for place, node in graph.nodes.items():
        yield _box(node, spots[place])
    yield "</svg>"


def _columns(graph: graphs.Graph) -> dict[Place, int]:
    """Return the column of each node. An edge that closes a circle does not count."""
    before: dict[Place, list[Place]] = {place: [] for place in graph.nodes}
    for one in graph.edges:
        before[one.end].append(one.start)
    found: dict[Place, int] = {}

    def column(place: Place, above: frozenset[Place]) -> int:
        if place not in found:
            inner = above | {place}
            starts = [column(one, inner) for one in before[place] if one not in inner]
            found[place] = 1 + max(starts, default=-1)
        return found[place]

    for place in graph.nodes:
        column(place, frozenset())
    return found


def _spots(graph: graphs.Graph) -> dict[Place, _Spot]:
    """Return where each node stands: in its column, near the nodes that lead to it."""
    columns = _columns(graph)
    rows: dict[Place, float] = {}
    spots: dict[Place, _Spot] = {}
    for number in range(max(columns.values(), default=-1) + 1):
        here = [place for place in graph.nodes if columns[place] == number]
        led = {place: _led_from(graph, place, rows) for place in here}
        here.sort(key=lambda place: led[place])
        for row, place in enumerate(here):
            rows[place] = row
            spots[place] = (
                _MARGIN + number * (_WIDTH + _GAP[0]),
                _MARGIN + row * (_HEIGHT + _GAP[1]),
            )
    return spots


def _led_from(graph: graphs.Graph, place: Place, rows: dict[Place, float]) -> float:
    starts = [rows[one.start] for one in graph.edges if one.end == place and one.start in rows]
    return statistics.fmean(starts) if starts else 0.0


def _edge(start: _Spot, end: _Spot, relation: str) -> str:
    x1, y1 = start[0] + _WIDTH, start[1] + _HEIGHT // 2
    x2, y2 = end[0], end[1] + _HEIGHT // 2
    middle = (x1 + x2) // 2
    return (
        f'<path class="{relation}" d="M{x1} {y1} C{middle} {y1} {middle} {y2} {x2} {y2}">'
        f"<title>{relation}</title></path>"
    )


def _box(node: graphs.Node, spot: _Spot) -> str:
    left, top = spot
    kind, namespace, name = node.place
    known = kind if kind in ("Kustomization", "HelmRelease") else "source"
    lines = [
        ("name", name),
        ("kind", f"{kind} in {namespace}" if namespace else kind),
        ("state", node.state or node.detail),
    ]
    texts = "".join(
        f'<text class="{part}" x="{left + 10}" y="{top + 18 + 16 * row}">{_text(words)}</text>'
        for row, (part, words) in enumerate(lines)
    )
    title = _escaped(" · ".join(filter(None, (node.ref, node.detail, node.state, node.where))))
    return (
        f'<g class="{known}{" odd" if node.state else ""}"><title>{title}</title>'
        f'<rect x="{left}" y="{top}" width="{_WIDTH}" height="{_HEIGHT}" rx="6"/>{texts}</g>'
    )


def _text(words: str) -> str:
    return _escaped(words if len(words) <= _CHARACTERS else f"{words[: _CHARACTERS - 1]}…")


def _escaped(words: str) -> str:
    """Return `words` as text of XML, which knows no control characters."""
    return html.escape(visible.visible(" ".join(words.split())))
