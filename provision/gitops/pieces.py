"""Cutting one big build into several small ones with the same result.

kustomize takes four times as long for twice the objects. Where a kustomization
does nothing that goes from one resource to another, its resources can be built
in groups. What does go across is looked for: names that a generator or a
prefix changes, accounts and services whose namespace is changed where they are
referred to. Resources that may be tied so stay in one group; words are
compared, so that some stay together without need and none is torn apart.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from provision.gitops import layout
from provision.gitops.tree import Tree

FILES_IN_A_PIECE: Final = 250
_INDEPENDENT: Final = frozenset(
    [
        "apiVersion",
        "bases",
        "buildMetadata",
        "commonAnnotations",
        "images",
        "kind",
        "labels",
        "metadata",
        "namespace",
        "patches",
        "resources",
    ]
)
_PURE: Final = frozenset(["apiVersion", "kind", "metadata", "resources"])
# Loose on purpose (flow style, JSON, items of a List): what is found without need
# only keeps resources together.
_NAME: Final = re.compile(r"\bname[\"']?[ \t]*:[ \t]*[\"']?([\w.-]+)")
_WORD: Final = re.compile(r"[\w.-]+")
_KIND: Final = r"\bkind[\"']?[ \t]*:[ \t]*[\"']?"
_BINDING: Final = re.compile(_KIND + r"(?:Cluster)?RoleBinding\b")
_CALLER: Final = re.compile(
    _KIND + r"(?:\w*WebhookConfiguration|APIService|CustomResourceDefinition)\b"
)
_ACCOUNT: Final = re.compile(_KIND + r"ServiceAccount\b")
_SERVICE: Final = re.compile(_KIND + r"Service\b")


@dataclass(kw_only=True)
class _Leaf:
    """A resource entry, not cut further: the files of its build and names it gives away."""

    entry: str
    files: list[str]
    renamed: set[str] = field(default_factory=set[str])
    accounts: set[str] = field(default_factory=set[str])
    services: set[str] = field(default_factory=set[str])


def cut(tree: Tree, folder: str, content: Mapping[str, Any]) -> list[list[str]]:
    """Return the groups of resource entries into which `content` can be cut.

    `content` is the kustomization to be built in `folder`. One group, or none,
    means that it has to be, or can as well be, built as a whole.
    """
    if set(content) - _INDEPENDENT or not _patches_select(content.get("patches")):
        return []
    entries = [*(content.get("resources") or ()), *(content.get("bases") or ())]
    if len(tree.files) <= FILES_IN_A_PIECE or not all(isinstance(e, str) for e in entries):
        return []
    leaves = [leaf for entry in entries for leaf in _leaves(tree, folder, entry, frozenset())]
    if sum(len(leaf.files) for leaf in leaves) <= FILES_IN_A_PIECE:
        return []
    for leaf in leaves:
        _learn(tree, leaf)
    return _grouped([[leaves[i] for i in tied] for tied in _tied(tree, leaves)])


def _patches_select(patches: Any) -> bool:
    """Return whether every patch selects its targets: one that names a single object must meet it.

    A patch in a file is not looked at, so it counts as one that does not.
    """
    return all(
        isinstance(patch, Mapping) and patch.get("target") and patch.get("patch")
        for patch in patches or ()
    )


def _leaves(tree: Tree, folder: str, entry: str, above: frozenset[str]) -> Iterable[_Leaf]:
    target = posixpath.normpath(posixpath.join(folder, entry)).strip("/")
    name = "" if target in tree.files else tree.kustomization(target)
    if name and name not in above:
        content = layout.read(tree, name, [])
        if content and not set(content) - _PURE:
            for inner in content.get("resources") or ():
                deeper = posixpath.normpath(posixpath.join(entry, str(inner)))
                yield from _leaves(tree, folder, deeper, above | {name})
            return
    files = [target] if target in tree.files else layout.walk(tree, target, check=False).files
    yield _Leaf(entry=entry, files=files)


def _learn(tree: Tree, leaf: _Leaf) -> None:
    """Note which names of `leaf` others might mean in a way that the build changes."""
    for path in leaf.files:
        text = tree.files[path]
        if path == tree.kustomization(posixpath.dirname(path)):
            content = layout.read(tree, path, [])
            for key in ("configMapGenerator", "secretGenerator"):
                for item in content.get(key) or ():
                    leaf.renamed.add(str(item.get("name")))
            if {"namePrefix", "nameSuffix"} & set(content):
                leaf.renamed |= {n for p in leaf.files for n in _NAME.findall(tree.files[p])}
        if _ACCOUNT.search(text):
            leaf.accounts |= set(_NAME.findall(text))
        if _SERVICE.search(text):
            leaf.services |= set(_NAME.findall(text))


def _tied(tree: Tree, leaves: list[_Leaf]) -> list[list[int]]:
    """Return the indexes of `leaves` in sets that must be built together."""
    parent = list(range(len(leaves)))

    def top(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    renamed, accounts, services = (_owners(leaves, kind) for kind in _GIVEN)
    for i, leaf in enumerate(leaves):
        for path in leaf.files:
            text = tree.files[path]
            words = set(_WORD.findall(text)) if renamed or accounts or services else set[str]()
            meant = [renamed[w] for w in words & renamed.keys()]
            if _BINDING.search(text):
                meant += [accounts[w] for w in words & accounts.keys()]
            if _CALLER.search(text):
                meant += [services[w] for w in words & services.keys()]
            for owners in meant:
                for owner in owners:
                    parent[top(i)] = top(owner)
    sets: dict[int, list[int]] = {}
    for i in range(len(leaves)):
        sets.setdefault(top(i), []).append(i)
    return list(sets.values())


_GIVEN: Final = ("renamed", "accounts", "services")


def _owners(leaves: list[_Leaf], kind: str) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for i, leaf in enumerate(leaves):
        for name in getattr(leaf, kind):
            found.setdefault(name, []).append(i)
    return found


def _grouped(tied: list[list[_Leaf]]) -> list[list[str]]:
    groups: list[list[str]] = []
    room = 0
    for leaves in tied:
        weight = sum(len(leaf.files) for leaf in leaves)
        if weight > room:
            groups.append([])
            room = FILES_IN_A_PIECE
        groups[-1] += [leaf.entry for leaf in leaves]
        room -= weight
    return groups
