"""A cluster's graph as a tree in text, and as Mermaid."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from provision.gitops import graph as graphs
from provision.gitops.documents import Place

_APPLYING: Final = "Kustomization"
_SHAPES: Final = {"Kustomization": ("[", "]"), "HelmRelease": ("([", "])")}
_SOURCE: Final = ("[(", ")]")
_ARROWS: Final = {"files": "-->", "applies": "==>", "after": "-.->", "chart": "-->"}
_WORDS: Final = {"files": "", "applies": "", "after": "|after|", "chart": "|chart|"}


def text(graph: graphs.Graph) -> Iterator[str]:
    """Yield the lines of a tree: who applies what. What it waits for is named behind it."""
    applied = {one.end for one in graph.edges if one.relation == "applies"}
    tops = [
        place
        for place in graph.nodes
        if place[0] in (_APPLYING, "HelmRelease") and place not in applied
    ]
    shown: set[Place] = set()
    for top in tops:
        yield from _branch(graph, top, "", "", shown)
    sources = [place for place in graph.nodes if place[0] not in (_APPLYING, "HelmRelease")]
    if sources:
        yield "sources:"
    for place in sources:
        yield f"  {_line(graph, place)}"


def _branch(
    graph: graphs.Graph, place: Place, head: str, before: str, shown: set[Place]
) -> Iterator[str]:
    yield f"{head}{_line(graph, place)}"
    if place in shown:
        return
    shown.add(place)
    below = [one for one in graph.ends(place, "applies") if one != place]
    for number, child in enumerate(below):
        last = number == len(below) - 1
        yield from _branch(
            graph,
            child,
            f"{before}{'`- ' if last else '|- '}",
            f"{before}{'   ' if last else '|  '}",
            shown,
        )


def _line(graph: graphs.Graph, place: Place) -> str:
    node = graph.nodes[place]
    said = [node.ref, node.detail]
    charts = graph.starts(place, "chart")
    if charts:
        said.append(f"from {', '.join(graph.nodes[one].ref for one in charts)}")
    files = [one for one in graph.starts(place, "files") if one[2] != "flux-system"]
    if files:
        said.append(f"from {', '.join(graph.nodes[one].ref for one in files)}")
    after = graph.starts(place, "after")
    if after:
        said.append(f"<- {', '.join(one[2] for one in after)}")
    if node.state:
        said.append(f"({node.state})")
    return "  ".join(filter(None, said))


def mermaid(graph: graphs.Graph) -> Iterator[str]:
    """Yield the lines of a Mermaid flowchart, which GitHub draws in a code block ``mermaid``."""
    numbers = {place: f"n{number}" for number, place in enumerate(graph.nodes)}
    yield "flowchart LR"
    for place, node in graph.nodes.items():
        opens, closes = _SHAPES.get(place[0], _SOURCE)
        lines = [node.ref, node.detail, node.state and f"({node.state})"]
        label = "<br>".join(_label(line) for line in lines if line)
        yield f'  {numbers[place]}{opens}"{label}"{closes}'
    for one in graph.edges:
        arrow = f"{_ARROWS[one.relation]}{_WORDS[one.relation]}"
        yield f"  {numbers[one.start]} {arrow} {numbers[one.end]}"
    odd = [numbers[place] for place, node in graph.nodes.items() if node.state]
    if odd:
        yield "  classDef odd stroke-dasharray:4 3,stroke:#cf222e"
        yield f"  class {','.join(odd)} odd"


def _label(words: str) -> str:
    """Return `words` so that Mermaid takes no character of it for its own."""
    return re.sub(r"[^\w /.:@+-]", lambda found: f"#{ord(found.group())};", " ".join(words.split()))
