"""Draws ``docs/architecture.svg``: the packages, and which imports which.

``python -m tests.support.architecture`` writes the file. Rows are layers: a
package stands below all that import it. An arrow that a longer path implies is
left out. The vocabulary, which everything may import, is one box without
arrows.
"""

from __future__ import annotations

import functools
import html
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.support import import_graph

PICTURE = import_graph.ROOT / "docs" / "architecture.svg"
VOCABULARY = ("errors", "secret", "change", "progress", "crypter", "cancellation")
LEFT_OUT = {"", *VOCABULARY}

BOX, GAP, MARGIN = 186, 22, 24
"""Width of a box, space between two, and around the picture, in pixels."""
LINE, PADDING, BETWEEN = 15, 12, 44
"""Height of a line of text, space around text in a box, and between two rows."""
COLUMN = 30
"""Characters in a line of small text."""
STYLE = """
  text { font-family: system-ui, sans-serif; fill: #1f2933; }
  .name { font-size: 14px; font-weight: 600; }
  .part { font-size: 11px; fill: #52606d; }
  .box { fill: #ffffff; stroke: #9aa5b1; rx: 6; }
  .vocabulary { fill: #f5f7fa; stroke: #cbd2d9; rx: 6; }
  .arrow { fill: none; stroke: #7b8794; stroke-width: 1.2; }
"""


@dataclass(frozen=True)
class Spot:
    """Where a package, or an arrow that passes a row, stands: its left edge and its width."""

    left: float
    width: float

    @property
    def middle(self) -> float:
        return self.left + self.width / 2


Row = list[str]


def packages() -> import_graph.Graph:
    """Return the packages that are drawn, with the arrows between them."""
    graph = import_graph.grouped(import_graph.graph(), import_graph.package_of)
    return import_graph.reduced(
        {name: targets - LEFT_OUT for name, targets in graph.items() if name not in LEFT_OUT}
    )


def parts(package: str) -> list[str]:
    """Return the folders and modules of `package`, those first that import the others."""
    below = package if package == "stacks" else f"provision.{package}"
    unit = functools.partial(import_graph.unit_of, below=below)
    units = import_graph.grouped(import_graph.graph(), unit)
    depth = layers(units)
    names = [name for name in units if not name.startswith("__")]
    return sorted(names, key=lambda name: (depth[name], name))


def layers(graph: Mapping[str, set[str]]) -> dict[str, int]:
    """Return the row of each node: one below the lowest node with an arrow to it."""
    above = {name: {one for one in graph if name in graph[one]} for name in graph}

    @functools.cache
    def row(name: str) -> int:
        return max((row(one) + 1 for one in above[name]), default=0)

    return {name: row(name) for name in graph}


def rows_of(graph: Mapping[str, set[str]]) -> tuple[list[Row], list[list[str]]]:
    """Return the rows, and every arrow as the nodes that it passes.

    An arrow over several rows passes a point of its own in each row between,
    so that it runs beside the boxes and not behind them.
    """
    depth = layers(graph)
    rows: list[Row] = [[] for _ in range(max(depth.values()) + 1)]
    for name in sorted(graph):
        rows[depth[name]].append(name)
    arrows: list[list[str]] = []
    for name in sorted(graph):
        for target in sorted(graph[name]):
            points = [f"{name}>{target}@{at}" for at in range(depth[name] + 1, depth[target])]
            for at, point in enumerate(points, depth[name] + 1):
                rows[at].append(point)
            arrows.append([name, *points, target])
    return rows, arrows


def ordered(rows: list[Row], arrows: list[list[str]]) -> list[Row]:
    """Return the rows with few crossings: each node near the middle of its neighbours."""
    near: dict[str, list[str]] = {}
    for arrow in arrows:
        for one, other in itertools.pairwise(arrow):
            near.setdefault(one, []).append(other)
            near.setdefault(other, []).append(one)
    for _ in range(24):
        for row in rows:
            spots = placed(rows)
            middle = {
                name: sum(spots[other].middle for other in near.get(name, [name]))
                / len(near.get(name, [name]))
                for name in row
            }
            row.sort(key=lambda name: (round(middle[name], 3), name))
    return rows


def placed(rows: Sequence[Row]) -> dict[str, Spot]:
    """Return where each node of the rows stands; every row is centred."""
    sizes = [[4 if "@" in name else BOX for name in row] for row in rows]
    widths = [sum(row) + GAP * (len(row) - 1) for row in sizes]
    found: dict[str, Spot] = {}
    for row, size, width in zip(rows, sizes, widths, strict=True):
        left = MARGIN + (max(widths) - width) / 2
        for name, own in zip(row, size, strict=True):
            found[name] = Spot(left, own)
            left += own + GAP
    return found


def wrapped(names: Sequence[str]) -> list[str]:
    """Return the names in lines of at most `COLUMN` characters."""
    lines: list[str] = []
    for name in names:
        if lines and len(lines[-1]) + 3 + len(name) <= COLUMN:
            lines[-1] += f" · {name}"
        else:
            lines.append(name)
    return lines


def draw() -> str:
    """Return the picture as SVG."""
    rows, arrows = rows_of(packages())
    rows = ordered(rows, arrows)
    spots = placed(rows)
    text = {name: wrapped(parts(name)) for row in rows for name in row if "@" not in name}
    heights = [
        max((LINE * (len(text[name]) + 1) + 2 * PADDING for name in row if name in text), default=0)
        for row in rows
    ]
    tops = [MARGIN + sum(heights[:at]) + BETWEEN * at for at in range(len(rows))]
    row_of = {name: at for at, row in enumerate(rows) for name in row}
    width = max(spot.left + spot.width for spot in spots.values()) + MARGIN
    foot = tops[-1] + heights[-1] + BETWEEN / 2
    body = [_arrow(arrow, spots, row_of, tops, heights) for arrow in arrows]
    for at, row in enumerate(rows):
        for name in row:
            if name in text:
                body.append(_box(name, text[name], spots[name], tops[at], heights[at], "box"))
    vocabulary = Spot(MARGIN, width - 2 * MARGIN)
    used = ["used by any package: " + " · ".join(VOCABULARY)]
    body.append(_box("", used, vocabulary, foot, LINE + 2 * PADDING, "vocabulary"))
    height = foot + LINE + 2 * PADDING + MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
            f'width="{width:.0f}" height="{height:.0f}" role="img" '
            'aria-label="The packages of elysium and their imports">',
            f"<style>{STYLE}</style>",
            '<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
            'markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="#7b8794"/></marker>',
            f'<rect width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>',
            *body,
            "</svg>\n",
        ]
    )


def _arrow(
    arrow: Sequence[str],
    spots: Mapping[str, Spot],
    row_of: Mapping[str, int],
    tops: Sequence[float],
    heights: Sequence[float],
) -> str:
    """Return one arrow: from the bottom of its first node to the top of its last."""
    first = arrow[0]
    x, y = spots[first].middle, tops[row_of[first]] + heights[row_of[first]]
    path = f"M{x:.0f} {y:.0f}"
    for name in arrow[1:]:
        to, top = spots[name].middle, tops[row_of[name]]
        bend = (top - y) / 2
        path += f"C{x:.0f} {y + bend:.0f} {to:.0f} {top - bend:.0f} {to:.0f} {top:.0f}"
        x, y = to, top
        if name is not arrow[-1]:
            y = top + heights[row_of[name]]
            path += f"L{x:.0f} {y:.0f}"
    return f'<path class="arrow" d="{path}" marker-end="url(#head)"/>'


def _box(name: str, lines: Sequence[str], spot: Spot, top: float, height: float, kind: str) -> str:
    """Return one box with its name and the names of its parts."""
    x, y = spot.middle, top + PADDING + LINE - 4
    text: list[str] = []
    if name:
        text.append(f'<text class="name" x="{x:.0f}" y="{y:.0f}">{html.escape(name)}</text>')
        y += LINE + 2
    for line in lines:
        text.append(f'<text class="part" x="{x:.0f}" y="{y:.0f}">{html.escape(line)}</text>')
        y += LINE
    return (
        f'<rect class="{kind}" x="{spot.left:.0f}" y="{top:.0f}" '
        f'width="{spot.width:.0f}" height="{height:.0f}"/>\n'
        f'<g text-anchor="middle">{"".join(text)}</g>'
    )


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
