"""All Flux Kustomizations of a cluster, found from its path, with their objects.

The objects are as the controller would apply them once everything is there:
values for substitution come from the ConfigMaps, Secrets and SealedSecrets of
the same repository, wherever in it they are.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from provision import errors
from provision.gitops import documents
from provision.gitops.build import flux, kustomize
from provision.gitops.sealing import keys as sealing_keys
from provision.gitops.sealing import sealed
from provision.gitops.tree import Tree


@dataclass(frozen=True, kw_only=True)
class Unit:
    """One Kustomization and what it applies.

    `parent` is the key of the one that makes it, None for the root.
    `external`: its source is not this repository, so nothing is known of it.
    """

    kustomization: flux.Kustomization
    objects: tuple[documents.Document, ...]
    parent: flux.Key | None
    external: bool = False
    failed: bool = False


@dataclass(kw_only=True)
class Discovered:
    """What was found. `units` begin with the root; `problems` is what does not build."""

    units: list[Unit]
    problems: list[errors.Problem]
    remote: list[str] = field(default_factory=list[str])
    unconfined: str = ""
    """Why the kernel gave the builds no namespaces, so that only checks of the text protected."""
    opened: frozenset[str] = frozenset()
    """Every value that was decrypted for it, in clear."""


class _Values:
    """Values for substitution, from all objects seen so far."""

    def __init__(self, keys: Sequence[sealing_keys.SealingKey]) -> None:
        self._keys = keys
        self._found: dict[tuple[str, str, str], dict[str, str]] = {}
        self.opened: set[str] = set()

    def learn(self, docs: Sequence[documents.Document]) -> bool:
        """Take in `docs`; return whether anything new was learnt."""
        before = len(self._found)
        for doc in docs:
            metadata = doc.obj.get("metadata") or {}
            kind = str(doc.obj.get("kind"))
            place = (str(metadata.get("namespace") or ""), str(metadata.get("name")))
            if kind in ("ConfigMap", "Secret") and doc.obj.get("apiVersion") == "v1":
                self._found.setdefault((kind, *place), _plain(doc.obj))
            elif sealed.is_sealed(doc.obj) and ("Secret", *place) not in self._found:
                self._found["Secret", *place] = self._opened(doc)
        return len(self._found) > before

    def _opened(self, doc: documents.Document) -> dict[str, str]:
        try:
            values = _plain(sealed.unseal(doc.obj, self._keys))
            self.opened |= set(values.values())
            return values
        except errors.GitOpsError:
            # The names are known, the values are not: each stands for itself.
            spec = doc.obj.get("spec") or {}
            names = [*(spec.get("encryptedData") or ())]
            names += (spec.get("template") or {}).get("data") or ()
            return {name: f"${{{name}}}" for name in names}

    def of(self, one: flux.Kustomization) -> dict[str, str]:
        """Return what `substituteFrom` of `one` amounts to, later references winning."""
        values: dict[str, str] = {}
        for ref in one.substitute_from:
            values |= self._found.get((ref.kind, one.namespace, ref.name), {})
        return values


def _plain(obj: Mapping[str, Any]) -> dict[str, str]:
    if obj.get("kind") == "ConfigMap":
        return {key: str(value) for key, value in (obj.get("data") or {}).items()}
    values: dict[str, str] = {}
    for key, value in (obj.get("data") or {}).items():
        try:
            values[key] = base64.b64decode(str(value)).decode(errors="replace")
        except binascii.Error:
            values[key] = ""
    return values | {key: str(text) for key, text in (obj.get("stringData") or {}).items()}


def discover(
    tree: Tree,
    path: str,
    *,
    keys: Sequence[sealing_keys.SealingKey] = (),
    root: flux.Root = flux.BOOTSTRAPPED,
) -> Discovered:
    """Return every Kustomization that follows from the cluster folder `path`.

    The root is what bootstrap would make for `path` with the names `root`; where the repository
    itself holds the root's object, that is taken. Never raises for what is
    wrong in the repository: that is in `problems`.
    """
    with kustomize.Builder(tree) as builder:
        return _Discovery(builder, flux.root(path, root), _Values(keys)).run()


@dataclass(frozen=True, kw_only=True)
class _Substituted:
    docs: list[documents.Document]
    problems: list[errors.Problem]


class _Discovery:
    def __init__(
        self, builder: kustomize.Builder, root: flux.Kustomization, values: _Values
    ) -> None:
        self._builder = builder
        self._values = values
        self._root = root
        self._found: dict[flux.Key, tuple[flux.Kustomization, flux.Key | None]] = {}
        self._built: dict[flux.Key, kustomize.Built] = {}
        self._externals: set[flux.Key] = set()
        self._kept: dict[flux.Key, tuple[object, _Substituted]] = {}

    def run(self) -> Discovered:
        self._found[self._root.key] = (self._root, None)
        while True:
            self._build()
            learnt = self._learn()
            grown = self._follow()
            if not learnt and not grown:
                break
        problems: list[errors.Problem] = []
        units = [self._unit(one, parent, problems) for one, parent in list(self._found.values())]
        problems = [p for b in self._built.values() for p in b.problems] + problems
        remote = [text for built in self._built.values() for text in built.remote]
        return Discovered(
            units=units,
            problems=_unique(problems),
            remote=list(dict.fromkeys(remote)),
            unconfined=next((b.unconfined for b in self._built.values() if b.unconfined), ""),
            opened=frozenset(self._values.opened),
        )

    def _build(self) -> None:
        todo = [
            one
            for key, (one, _) in self._found.items()
            if key not in self._built and key not in self._externals
        ]
        here = [one for one in todo if one.source == self._root.source and not one.remote_cluster]
        self._externals |= {one.key for one in todo if one not in here}
        results = self._builder.build([one.overlay for one in here])
        for one, built in zip(here, results, strict=True):
            problems = tuple(
                replace(p, where=one.where, message=f"spec.path {one.path!r}: {p.message}")
                if p.where == (one.path or ".") and one.line
                else p
                for p in built.problems
            )
            self._built[one.key] = replace(built, problems=problems)

    def _learn(self) -> bool:
        grown = False
        for key in self._built:
            grown = self._values.learn(self._current(key).docs) or grown
        return grown

    def _current(self, key: flux.Key) -> _Substituted:
        """Return the objects of `key` with the values known now, substituted only once."""
        one = self._found[key][0]
        values = self._values.of(one)
        basis = (one, values, id(self._built[key]))
        kept = self._kept.get(key)
        if kept is None or kept[0] != basis:
            problems: list[errors.Problem] = []
            docs = flux.substituted(one, self._built[key].objects, values, problems)
            kept = (basis, _Substituted(docs=docs, problems=problems))
            self._kept[key] = kept
        return kept[1]

    def _follow(self) -> bool:
        grown = False
        for key in list(self._built):
            for doc in self._current(key).docs:
                if not flux.is_kustomization(doc.obj):
                    continue
                child = flux.read(doc)
                if child.key == self._root.key:
                    grown = self._adopt(child) or grown
                elif child.key not in self._found:
                    self._found[child.key] = (child, key)
                    grown = True
        return grown

    def _adopt(self, child: flux.Kustomization) -> bool:
        """Take the root's object from the repository in place of the assumed one."""
        if self._root.line and self._found[child.key][0] == child:
            return False
        changed = child.overlay != self._root.overlay
        if changed and child.path != self._root.path:
            return False  # another cluster's sync file; bootstrap refuses that elsewhere
        if changed:
            del self._built[child.key]
        self._root = child
        self._found[child.key] = (child, None)
        return True

    def _unit(
        self,
        one: flux.Kustomization,
        parent: flux.Key | None,
        problems: list[errors.Problem],
    ) -> Unit:
        if one.key in self._externals:
            return Unit(kustomization=one, objects=(), parent=parent, external=True)
        made = self._current(one.key)
        problems += made.problems
        failed = bool(self._built[one.key].problems or made.problems)
        return Unit(kustomization=one, objects=tuple(made.docs), parent=parent, failed=failed)


def _unique(problems: list[errors.Problem]) -> list[errors.Problem]:
    return list(dict.fromkeys(problems))
