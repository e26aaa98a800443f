"""What a cluster is made of: sources, Kustomizations, HelmReleases, and what leads to what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from provision.gitops import documents
from provision.gitops.build import discovery, flux
from provision.gitops.documents import mapping, mappings

HELM = "helm.toolkit.fluxcd.io"
Relation = Literal["files", "applies", "after", "chart"]
"""`files`: a Kustomization takes them from a source. `applies`: a Kustomization applies an object.
`after`: one waits for the other (``dependsOn``). `chart`: a HelmRelease takes its chart from it."""


@dataclass(frozen=True, kw_only=True)
class Node:
    """A source, a Kustomization or a HelmRelease.

    `detail` is what people look for: a folder, an address, a chart and its version. `state` is
    why nothing or not all of it is known or applied, empty where nothing is odd. `where` is empty
    for what the repository only names.
    """

    place: documents.Place
    detail: str = ""
    state: str = ""
    where: str = ""

    @property
    def ref(self) -> str:
        """Return ``Kind namespace/name``."""
        return documents.ref_of(self.place)


@dataclass(frozen=True, kw_only=True)
class Edge:
    """From what comes first to what needs it; of `applies`, from who applies to what is applied."""

    start: documents.Place
    end: documents.Place
    relation: Relation


@dataclass(frozen=True, kw_only=True)
class Graph:
    """All nodes, the root's source first, and all edges, each once."""

    nodes: Mapping[documents.Place, Node]
    edges: Sequence[Edge]

    def starts(self, end: documents.Place, relation: Relation) -> list[documents.Place]:
        """Return from where an edge of `relation` leads to `end`."""
        return [one.start for one in self.edges if one.end == end and one.relation == relation]

    def ends(self, start: documents.Place, relation: Relation) -> list[documents.Place]:
        """Return where an edge of `relation` leads from `start`."""
        return [one.end for one in self.edges if one.start == start and one.relation == relation]

    def to_json(self) -> dict[str, Any]:
        """Return all of it."""
        numbers = {place: number for number, place in enumerate(self.nodes)}
        return {
            "nodes": [
                {
                    "id": numbers[place],
                    "kind": place[0],
                    "namespace": place[1],
                    "name": place[2],
                    "detail": one.detail,
                    "state": one.state,
                    "where": one.where,
                }
                for place, one in self.nodes.items()
            ],
            "edges": [
                {
                    "from": numbers[one.start],
                    "to": numbers[one.end],
                    "relation": one.relation,
                }
                for one in self.edges
            ],
        }


def of(found: discovery.Discovered) -> Graph:
    """Return the graph of a cluster whose Kustomizations are `found`."""
    return _Drawing(found).draw()


class _Drawing:
    def __init__(self, found: discovery.Discovered) -> None:
        self._found = found
        self._docs = {
            documents.place_of(doc.obj): doc for unit in found.units for doc in unit.objects
        }
        self._nodes: dict[documents.Place, Node] = {}
        self._edges: dict[Edge, None] = {}

    def draw(self) -> Graph:
        by_key = {unit.kustomization.key: unit for unit in self._found.units}
        units = [
            by_key[one.key] for one in flux.ordered([u.kustomization for u in by_key.values()])
        ]
        for unit in units:
            self._source(unit.kustomization.source)
        for unit in units:
            self._kustomization(unit)
        for unit in units:
            for doc in unit.objects:
                if doc.obj.get("kind") == "HelmRelease" and documents.group_of(doc.obj) == HELM:
                    self._release(unit, doc)
        return Graph(nodes=self._nodes, edges=list(self._edges))

    def _kustomization(self, unit: discovery.Unit) -> None:
        one = unit.kustomization
        place = _place(one.key)
        states = [
            "does not build" if unit.failed else "",
            f"not built: {unit.unseen}" if unit.unseen else "",
            "suspended" if one.suspended else "",
        ]
        self._nodes[place] = Node(
            place=place,
            detail=one.path or "./",
            state=", ".join(filter(None, states)),
            where=one.where,
        )
        self._edge(one.source, place, "files")
        if unit.parent is not None:
            self._edge(_place(unit.parent), place, "applies")
        for key in one.depends_on:
            self._named(_place(key))
            self._edge(_place(key), place, "after")

    def _release(self, unit: discovery.Unit, doc: documents.Document) -> None:
        place = documents.place_of(doc.obj)
        spec = mapping(doc.obj.get("spec"))
        namespace = place[1]
        chart = mapping(mapping(spec.get("chart")).get("spec"))
        source = mapping(chart.get("sourceRef")) or mapping(spec.get("chartRef"))
        words = (str(chart.get(key) or "") for key in ("chart", "version"))
        self._nodes[place] = Node(
            place=place,
            detail=" ".join(filter(None, words)),
            state="suspended" if spec.get("suspend") else "",
            where=doc.where,
        )
        self._edge(_place(unit.kustomization.key), place, "applies")
        if source:
            origin = _target(source, namespace)
            self._source(origin)
            self._edge(origin, place, "chart")
        for one in mappings(spec.get("dependsOn")):
            after = _target({"kind": "HelmRelease", **one}, namespace)
            self._named(after)
            self._edge(after, place, "after")

    def _source(self, place: documents.Place) -> None:
        doc = self._docs.get(place)
        spec = mapping(doc.obj.get("spec")) if doc else {}
        if place not in self._nodes:
            self._nodes[place] = Node(
                place=place,
                detail=str(spec.get("url") or ""),
                state="suspended" if spec.get("suspend") else self._absence(place),
                where=doc.where if doc else "",
            )

    def _named(self, place: documents.Place) -> None:
        """Add what is only named; where it is found later, that takes its place."""
        if place not in self._nodes:
            self._nodes[place] = Node(place=place, state=self._absence(place))

    def _absence(self, place: documents.Place) -> str:
        """Return why nothing is known of `place`. Bootstrap makes the repository's own source."""
        if place in self._docs or place in (self._found.own, self._found.expected):
            return ""
        if any(unit.failed or unit.unseen or unit.remote for unit in self._found.units):
            return "not seen"
        return "not in the repository"

    def _edge(self, start: documents.Place, end: documents.Place, relation: Relation) -> None:
        self._edges[Edge(start=start, end=end, relation=relation)] = None


def _place(key: flux.Key) -> documents.Place:
    return "Kustomization", *key


def _target(ref: Mapping[str, Any], namespace: str) -> documents.Place:
    """Return what a reference of an object in `namespace` means."""
    return str(ref.get("kind")), str(ref.get("namespace") or namespace), str(ref.get("name"))
