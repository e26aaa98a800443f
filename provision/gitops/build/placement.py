"""As which names and namespaces the Kustomizations of a repository apply its SealedSecrets.

Every cluster of the repository is built. An object is known again by its file and its sealed
values, which nothing on the way changes.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias

import yaml

from provision import gitpaths
from provision.gitops import documents
from provision.gitops.build import discovery, flux, kustomize
from provision.gitops.documents import mapping, sequence
from provision.gitops.sealing import keys as sealing_keys
from provision.gitops.sealing import sealed
from provision.gitops.sealing.applied import Applied
from provision.gitops.tree import KUSTOMIZATIONS, Tree

_NEW: Final = "elysium-new-secret.yaml"
_INSTANCE: Final = "FluxInstance"
CLUSTERS: Final = re.compile(r"clusters/[^/]+")
"""Where clusters are by custom."""
_Values: TypeAlias = tuple[tuple[str, str], ...]


class Placement:
    """Finds how a tree's SealedSecrets are applied. Nothing is built before the first question."""

    def __init__(
        self,
        tree: Tree,
        *,
        keys: Sequence[sealing_keys.SealingKey] = (),
        paths: Iterable[str] = (),
    ) -> None:
        """Take the clusters of `tree`, and those in the folders `paths` too.

        `keys` open SealedSecrets that Kustomizations take values from.
        """
        self._tree = tree
        self._keys = keys
        self._paths = [gitpaths.normal(path) for path in paths]
        self._found: dict[tuple[str, _Values], list[Applied]] | None = None
        self.failed: tuple[str, ...] = ()
        """The Kustomizations that do not build, once something was asked."""

    def of(self, path: str, obj: Mapping[str, Any]) -> Sequence[Applied]:
        """Return how the SealedSecret `obj` in the file `path` is applied, each way once."""
        values = _values(obj)
        if not values:
            return ()
        if self._found is None:
            self._found = self._build()
        return self._found.get((path, values), ())

    def _build(self) -> dict[tuple[str, _Values], list[Applied]]:
        if not any(_can_change(path, text) for path, text in self._tree.files.items()):
            return {}
        written = [flux.read(doc) for doc in _kustomizations(self._tree)]
        units = list(self._of_clusters(written))
        self.failed = tuple(dict.fromkeys(str(one.kustomization) for one in units if one.failed))
        found = _ways(units)
        # What no cluster leads to may be of another repository: it counts where nothing else does.
        return {**_ways(self._of_the_rest(written, units)), **found}

    def _of_clusters(self, written: Sequence[flux.Kustomization]) -> Iterator[discovery.Unit]:
        for folder in _roots(self._tree, written, self._paths):
            yield from discovery.discover(self._tree, folder, keys=self._keys).units

    def _of_the_rest(
        self, written: Sequence[flux.Kustomization], units: Sequence[discovery.Unit]
    ) -> Iterator[discovery.Unit]:
        seen = {(one.kustomization.key, one.kustomization.path) for one in units}
        folders = self._tree.folders
        rest = [one for one in written if (one.key, one.path) not in seen and one.path in folders]
        with kustomize.Builder(self._tree) as builder:
            results = builder.build([one.overlay for one in rest])
        for one, built in zip(rest, results, strict=True):
            yield discovery.Unit(kustomization=one, objects=built.objects, parent=None)


def _ways(units: Iterable[discovery.Unit]) -> dict[tuple[str, _Values], list[Applied]]:
    """Return how each SealedSecret is applied, by its file and its values."""
    found: dict[tuple[str, _Values], list[Applied]] = {}
    for unit in units:
        for doc in unit.objects:
            if sealed.is_sealed(doc.obj):
                ways = found.setdefault((doc.file, _values(doc.obj)), [])
                _add(ways, Applied(by=str(unit.kustomization), metadata=_metadata(doc.obj)))
    return found


def clusters(tree: Tree) -> list[str]:
    """Return the folders of `tree` in which clusters begin, sorted.

    A root Kustomization lies in the folder that it applies, and a FluxInstance names it. Where
    the repository holds neither, the cluster is a folder of ``clusters``.
    """
    return sorted(_roots(tree, [flux.read(doc) for doc in _kustomizations(tree)]))


def _roots(
    tree: Tree, written: Sequence[flux.Kustomization], paths: Iterable[str] = ()
) -> list[str]:
    found = {one.path: None for one in written if _is_below(one.file, one.path)}
    found |= dict.fromkeys([*_of_instances(tree), *paths])
    for folder in sorted(tree.folders):
        if CLUSTERS.fullmatch(folder) and not any(_is_below(at, folder) for at in found):
            found[folder] = None
    return [folder for folder in found if folder in tree.folders]


def of_new(tree: Tree, folder: str, obj: Mapping[str, Any]) -> Sequence[Applied]:
    """Return how a SealedSecret `obj` would be applied from a new file in `folder` of `tree`.

    A kustomization in `folder` is taken to list the file.
    """
    folder = gitpaths.normal(folder)
    path = posixpath.join(folder, _NEW)
    files = {**tree.files, path: json.dumps({**obj, "spec": {"encryptedData": {_NEW: _NEW}}})}
    kustomization = tree.kustomization(folder)
    if kustomization:
        listed = _listing(tree.files[kustomization], _NEW)
        if listed is None:
            return ()
        files[kustomization] = listed
    wanted = {"spec": {"encryptedData": {_NEW: _NEW}}}
    return Placement(replace(tree, files=files)).of(path, wanted)


def _listing(text: str, name: str) -> str | None:
    """Return the kustomization `text` with the resource `name`; None where it cannot be read."""
    try:
        (content,) = documents.load_all(text) or [{}]
    except (yaml.YAMLError, ValueError):
        return None
    if not isinstance(content, dict):
        return None
    return documents.dump({**content, "resources": [*sequence(content.get("resources")), name]})


def _can_change(path: str, text: str) -> bool:
    return path.rpartition("/")[2] in KUSTOMIZATIONS or flux.GROUP in text


def _of_instances(tree: Tree) -> Iterator[str]:
    """Yield the folders that Flux Operator is told to follow."""
    for doc in _documents(tree, _INSTANCE):
        sync = mapping(mapping(doc.obj.get("spec")).get("sync"))
        if doc.obj.get("kind") == _INSTANCE and sync.get("path"):
            yield gitpaths.normal(str(sync["path"]))


def _kustomizations(tree: Tree) -> Iterator[documents.Document]:
    return (doc for doc in _documents(tree, flux.GROUP) if flux.is_kustomization(doc.obj))


def _documents(tree: Tree, word: str) -> Iterator[documents.Document]:
    for path, text in tree.files.items():
        if path.endswith((".yaml", ".yml", ".json")) and word in text:
            yield from documents.read_text(text, path, [])


def _is_below(path: str, folder: str) -> bool:
    return not folder or path == folder or path.startswith(f"{folder}/")


def _add(ways: list[Applied], new: Applied) -> None:
    """Add `new`, or its Kustomization to the way that comes to the same."""
    for number, one in enumerate(ways):
        if _identity(one.metadata) == _identity(new.metadata):
            if new.by not in one.by.split(", "):
                ways[number] = Applied(by=f"{one.by}, {new.by}", metadata=one.metadata)
            return
    ways.append(new)


def _identity(metadata: Mapping[str, Any]) -> tuple[Any, ...]:
    scope = sealing_keys.Scope.of(metadata)
    return metadata.get("namespace"), metadata.get("name"), scope


def _metadata(obj: Mapping[str, Any]) -> dict[str, Any]:
    return dict(mapping(obj.get("metadata")))


def _values(obj: Mapping[str, Any]) -> _Values:
    """Return the sealed values as they count: line breaks in them mean nothing."""
    values = mapping(mapping(obj.get("spec")).get("encryptedData"))
    return tuple(sorted((str(key), re.sub(r"\s", "", str(text))) for key, text in values.items()))
