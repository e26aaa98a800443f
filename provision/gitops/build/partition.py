"""Cutting one big build into several small ones with the same result.

kustomize takes four times as long for twice the objects. Where a kustomization
does nothing that goes from one resource to another, its resources can be built
in groups. What does go across is looked for: names that a generator or a
prefix changes, accounts and services whose namespace is changed where they are
referred to. Resources that may be tied so stay in one group; words are
compared, so that some stay together without need and none is torn apart.

Many resources may give away the same name (an app copied with a prefix of its
own). kustomize looks for the meaning of a name first among what has the same
prefix, so that each copy means its own (`nameref` of sigs.k8s.io/kustomize/api,
`selectReferral`); `leaves.Leaf.copy` says where that is certain.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from provision.gitops.build import partition_units
from provision.gitops.tree import Tree

FILES_IN_A_PIECE: Final = 100
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
_WORD: Final = re.compile(r"[\w.-]+")


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
    met: set[str] = set()
    found = [leaf for entry in entries for leaf in partition_units.of(tree, folder, entry, met)]
    if sum(len(leaf.files) for leaf in found) <= FILES_IN_A_PIECE:
        return []
    for leaf in found:
        partition_units.learn(tree, leaf)
    return _grouped([[found[i] for i in tied] for tied in _tied(tree, found)])


def _patches_select(patches: Any) -> bool:
    """Return whether every patch selects its targets: one that names a single object must meet it.

    A patch in a file is not looked at, so it counts as one that does not.
    """
    return all(
        isinstance(patch, Mapping) and patch.get("target") and patch.get("patch")
        for patch in patches or ()
    )


class _Sets:
    """Indexes in sets that grow together."""

    def __init__(self, size: int) -> None:
        self._parent = list(range(size))

    def top(self, i: int) -> int:
        parent = self._parent
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    def join(self, i: int, j: int) -> None:
        self._parent[self.top(i)] = self.top(j)


def _tied(tree: Tree, all_: list[partition_units.Leaf]) -> list[list[int]]:
    """Return the indexes of `all_` in sets that must be built together."""
    sets = _Sets(len(all_))
    owned = {kind: _owners(all_, kind) for kind in partition_units.GIVEN}
    joined: set[tuple[str, str]] = set()

    def tie(i: int, kind: str, word: str) -> None:
        """Tie `i`, which means `word`, to all that give it away."""
        owners = owned[kind][word]
        if (kind, word) not in joined:
            joined.add((kind, word))
            for owner in owners:
                sets.join(owner, owners[0])
        sets.join(i, owners[0])

    copies = _Copies(all_, owned)
    for i, leaf in enumerate(all_):
        for path in leaf.files:
            text = tree.files[path]
            words = set(_WORD.findall(text)) if any(owned.values()) else set[str]()
            kinds = partition_units.kinds_meant(text)
            calls = "services" in kinds
            for kind in kinds:
                for word in words & owned[kind].keys():
                    own = None if calls else copies.own(i, kind, word)
                    if own is None:
                        tie(i, kind, word)
                    else:
                        sets.join(i, own)
    found: dict[int, list[int]] = {}
    for i in range(len(all_)):
        found.setdefault(sets.top(i), []).append(i)
    return list(found.values())


class _Copies:
    """Names that many copies give away, each of which means its own."""

    def __init__(
        self, all_: list[partition_units.Leaf], owned: Mapping[str, Mapping[str, list[int]]]
    ) -> None:
        self._all = all_
        self._owned = owned
        self._known: dict[tuple[str, str], dict[int, int]] = {}

    def own(self, i: int, kind: str, word: str) -> int | None:
        """Return the leaf that stands for all that `i` can mean by `word`; None when unsure."""
        if (kind, word) not in self._known:
            self._known[kind, word] = self._told_apart(word, self._owned[kind][word])
        return self._known[kind, word].get(i)

    def _told_apart(self, word: str, owners: list[int]) -> dict[int, int]:
        """Return, for each of `owners`, the first one with the same prefix, or suffix."""
        kinds = [self._all[i].defined.get(word) for i in owners]
        if not all(one and one == kinds[0] for one in kinds):
            return {}
        for part in (0, 1):
            affixes = [self._all[i].copy[part] for i in owners]
            if all(affixes):
                first: dict[str, int] = {}
                return {i: first.setdefault(a, i) for i, a in zip(owners, affixes, strict=True)}
        return {}


def _owners(all_: list[partition_units.Leaf], kind: str) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for i, leaf in enumerate(all_):
        for name in getattr(leaf, kind):
            found.setdefault(name, []).append(i)
    return found


def _grouped(tied: list[list[partition_units.Leaf]]) -> list[list[str]]:
    groups: list[list[str]] = []
    room = 0
    for together in tied:
        weight = sum(len(leaf.files) for leaf in together)
        if weight > room:
            groups.append([])
            room = FILES_IN_A_PIECE
        groups[-1] += [leaf.entry for leaf in together]
        room -= weight
    return groups
