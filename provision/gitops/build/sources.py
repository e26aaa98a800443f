"""Which files each Flux source stands for.

A source may be this repository under any name, a part of it (`spec.ignore`, an
ArtifactGenerator), a folder that was given for it, or something that cannot be
seen from here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from provision import giturls
from provision.gitops import documents
from provision.gitops.build import artifacts, flux
from provision.gitops.documents import mapping, mappings
from provision.gitops.tree import Tree

GROUP: Final = "source.toolkit.fluxcd.io"
KINDS: Final = frozenset(["GitRepository", "OCIRepository", "Bucket", "ExternalArtifact"])
"""Kinds that a Kustomization can take its files from."""


@dataclass(frozen=True, kw_only=True)
class View:
    """The files of a source, or the reason why they are not seen."""

    tree: Tree | None = None
    unseen: str = ""


class Sources:
    """The sources of one repository. Call `learn` with all objects, then `of` for each source."""

    def __init__(
        self,
        tree: Tree,
        *,
        given: Mapping[str, Tree] | None = None,
        addresses: Collection[str] = (),
    ) -> None:
        """Read `tree`. `given` are other sources by name, `addresses` this repository's URLs."""
        self._tree = tree
        self._given = given or {}
        self._addresses = {giturls.parse(url).repository for url in addresses if url}
        self._found: dict[documents.Place, documents.Document] = {}
        self._generators: list[documents.Document] = []
        self._namespaces: set[str] = set()
        self.own: flux.Source = ("", "", "")
        self._taken: flux.Source | None = None
        self._views: dict[flux.Source, View] = {}

    def learn(self, docs: Iterable[documents.Document], own: flux.Source) -> None:
        """Take `docs` for all objects there are; `own` is the source that bootstrap makes."""
        before = (self._found, self._generators, self.own)
        self._found = {}
        self._generators = []
        self._namespaces = set()
        self.own = self._taken or own
        for doc in docs:
            group = documents.group_of(doc.obj)
            if group == GROUP and doc.obj.get("kind") in KINDS:
                self._found.setdefault(documents.place_of(doc.obj), doc)
            elif group == artifacts.GROUP and doc.obj.get("kind") == artifacts.KIND:
                self._generators.append(doc)
            elif (group, doc.obj.get("kind")) == ("", "Namespace"):
                self._namespaces.add(documents.place_of(doc.obj)[2])
            elif _is_instance(doc.obj):
                self.own = _synced_by(doc.obj) or self.own
        if before != (self._found, self._generators, self.own):
            self._views.clear()

    def follow(self, found: Sequence[flux.Kustomization], root: flux.Kustomization) -> None:
        """Take the source in use for this repository where nothing uses the one assumed.

        A repository that another tool connected has a source of any name. Its Kustomizations
        name it, and their folders are here. No tool made it in a namespace that the repository
        makes itself.
        """
        paths: dict[flux.Source, list[str]] = {}
        for one in found:
            if one.key != root.key:
                paths.setdefault(one.source, []).append(one.path)
        if self.own != root.source or self.own in self._found or root.line or self.own in paths:
            return
        here = [
            source
            for source, folders in paths.items()
            if source[0] in KINDS - {"ExternalArtifact"}
            and (source[1] == root.source[1] or source[1] not in self._namespaces)
            and (not self._addresses or self._address(source) in {"", *self._addresses})
            and any(folders)
            and all(folder in self._tree.folders for folder in folders)
        ]
        if len(here) > 1:
            here = [source for source in here if root.path in paths[source]]
        if len(here) == 1:
            self.own = self._taken = here[0]
            self._views.clear()

    def recurses(self, source: flux.Source) -> bool:
        """Return whether `source` fetches Git submodules, too."""
        doc = self._found.get(source)
        return doc is not None and bool(mapping(doc.obj.get("spec")).get("recurseSubmodules"))

    def of(self, source: flux.Source) -> View:
        """Return the files of `source`."""
        if source not in self._views:
            self._views[source] = self._view(source, frozenset())
        return self._views[source]

    def _view(self, source: flux.Source, above: frozenset[flux.Source]) -> View:
        """Return the files of `source`, which those in `above` take from."""
        kind, namespace, name = source
        if source in above:
            return View(unseen=f"{kind} {name} includes itself")
        doc = self._found.get(source)
        generator = artifacts.generator_of(source, self._generators)
        for given in (name, f"{namespace}/{name}", f"{kind}/{namespace}/{name}"):
            if given in self._given:
                return self._narrowed(self._given[given], doc, above | {source})
        if generator is not None:
            return self._cut(source, generator, above | {source})
        if source == self.own or self._is_here(doc):
            return self._narrowed(self._tree, doc, above | {source})
        return View(unseen=f"{kind} {name} is another source")

    def _is_here(self, doc: documents.Document | None) -> bool:
        """Return whether `doc` fetches the same branch of this repository."""
        if doc is None or doc.obj.get("kind") != "GitRepository":
            return False
        own = self._found.get(self.own)
        addresses = set(self._addresses)
        if own is not None:
            addresses.add(self._address(self.own))
        if not addresses or self._address(documents.place_of(doc.obj)) not in addresses:
            return False
        return own is None or _revision(own) == _revision(doc)

    def _address(self, source: flux.Source) -> str:
        doc = self._found.get(source)
        if doc is None:
            return ""
        return giturls.parse(str(mapping(doc.obj.get("spec")).get("url") or "")).repository

    def _narrowed(
        self, tree: Tree, doc: documents.Document | None, above: frozenset[flux.Source]
    ) -> View:
        """Return `tree` as `spec.ignore` and `spec.include` of the source `doc` make it."""
        spec = mapping(doc.obj.get("spec")) if doc else {}
        if spec.get("ignore"):
            tree = tree.narrowed(str(spec["ignore"]))
        for include in mappings(spec.get("include")):
            other = (
                "GitRepository",
                documents.place_of(doc.obj)[1] if doc else "",
                str(mapping(include.get("repository")).get("name")),
            )
            found = self._view(other, above)
            if found.tree is None:
                return View(unseen=f"it includes {other[2]}, and {found.unseen}")
            to = str(include.get("toPath") or other[2])
            tree = tree.including(found.tree, str(include.get("fromPath") or ""), to)
        return View(tree=tree)

    def _cut(
        self, source: flux.Source, generator: documents.Document, above: frozenset[flux.Source]
    ) -> View:
        trees: dict[str, Tree] = {}
        for alias, other in artifacts.sources(generator).items():
            found = self._view(other, above)
            if found.tree is None:
                return View(unseen=f"{documents.ref(generator.obj)} takes from it, {found.unseen}")
            trees[alias] = found.tree
        made = artifacts.build(generator, source[2], trees)
        return View(tree=made) if isinstance(made, Tree) else View(unseen=made)


def written_in(tree: Tree, source: flux.Source, folder: str) -> documents.Document | None:
    """Return the object of `source` as a file below `folder` has it, before anything is built."""
    kind, namespace, name = source
    for path in tree.below(folder):
        text = tree.files[path]
        if not path.endswith((".yaml", ".yml")) or kind not in text or "ignore" not in text:
            continue
        for doc in documents.read_text(text, path, [], only_objects=False):
            place = documents.place_of(doc.obj)
            if place == (kind, namespace, name) and documents.group_of(doc.obj) == GROUP:
                return doc
    return None


def _revision(doc: documents.Document) -> dict[str, object]:
    """Return what of the repository is fetched; without a reference Flux takes ``master``."""
    return dict(mapping(mapping(doc.obj.get("spec")).get("ref")))


def _is_instance(obj: Mapping[str, object]) -> bool:
    return obj.get("kind") == "FluxInstance" and documents.group_of(obj) == "fluxcd.controlplane.io"


def _synced_by(obj: Mapping[str, object]) -> flux.Source | None:
    """Return the source that Flux Operator makes for the FluxInstance `obj`."""
    sync = mapping(mapping(obj.get("spec")).get("sync"))
    if not sync:
        return None
    namespace = documents.place_of(obj)[1] or flux.NAMESPACE
    return str(sync.get("kind") or ""), namespace, str(sync.get("name") or namespace)
