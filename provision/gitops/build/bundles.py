"""Several small builds in one run of kustomize.

The start of kustomize takes most of the time of a small build. So small builds share a run: a
kustomization lists them as resources, and each of their objects gets a label that says whose it
is. A build shares a run only with builds that it cannot change:

- every field of its kustomizations works on its own resources alone (`_OWN`),
- its `configurations`, which kustomize applies to the whole run, are those of the others,
- it reads no manifest that another one reads for the same namespace, which would be the same
  object twice,
- nothing in it may mean a name that another one changes. `partition_units` finds such names.

When a shared run fails, each of its builds runs alone, so that an error names the right one.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from provision.gitops.build import partition, partition_units, references, workspace
from provision.gitops.documents import mapping
from provision.gitops.tree import KUSTOMIZATIONS, Tree

MARK: Final = "bundle.elysium.invalid/build"
"""The label that says which build of the run an object belongs to."""
MOST_FILES: Final = 250
"""Files in one run. Beyond, what kustomize takes longer for each object outweighs a start of it."""
_OPEN: Final = 16
"""Runs that may still grow. A build looks at these only, so that the cost stays linear."""
_OWN: Final = frozenset(
    [
        *("apiVersion", "kind", "metadata", "buildMetadata"),
        *("resources", "bases", "components", "configurations"),
        *("namespace", "namePrefix", "nameSuffix", "commonLabels", "commonAnnotations", "labels"),
        *("images", "replicas", "patches", "patchesStrategicMerge", "patchesJson6902"),
        *("configMapGenerator", "secretGenerator", "generatorOptions"),
    ]
)
_FILE: Final = "kustomization.yaml"
_WORD: Final = re.compile(r"[\w.-]+")
_Words = frozenset[str]
_NONE: Final[_Words] = frozenset()


@dataclass(kw_only=True)
class _Traits:
    """What decides whether builds can share a run.

    `weight` is the number of files, `configured` the texts of the configurations, `manifests` the
    files each with the namespace they are built for. `given` are the names whose meaning the build
    changes, `words` are those that it may mean, both by kind (`partition_units.GIVEN`).
    """

    weight: int = 0
    configured: _Words = _NONE
    manifests: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    given: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    words: dict[str, set[str]] = field(default_factory=dict[str, set[str]])

    def may_join(self, other: _Traits) -> bool:
        """Return whether neither changes the other."""
        return (
            self.configured == other.configured
            and self.manifests.isdisjoint(other.manifests)
            and not any(
                not one.given[kind].isdisjoint(two.words[kind])
                for one, two in ((self, other), (other, self))
                for kind in one.given.keys() & two.words.keys()
            )
        )

    def join(self, other: _Traits) -> None:
        """Add what `other` is to this."""
        self.weight += other.weight
        self.manifests |= other.manifests
        for mine, its in ((self.given, other.given), (self.words, other.words)):
            for kind, names in its.items():
                mine.setdefault(kind, set()).update(names)


@dataclass(kw_only=True)
class _Run:
    members: list[workspace.Prepared]
    traits: _Traits


def of(
    tree: Tree, builds: Sequence[workspace.Prepared], jobs: int
) -> list[list[workspace.Prepared]]:
    """Return `builds` in groups that may share a run; at least `jobs` of them, if possible."""
    found = [(one, _leaf(tree, one)) for one in builds]
    alone = [[one] for one, leaf in found if leaf is None]
    small = [(one, leaf) for one, leaf in found if leaf is not None]
    given = {
        kind: {name for _, leaf in small for name in getattr(leaf, kind)}
        for kind in partition_units.GIVEN
    }
    total = sum(len(one.files) for one, _ in small)
    limit = min(MOST_FILES, -(-total // max(jobs, 1)))
    closed: list[_Run] = []
    opened: list[_Run] = []
    for one, leaf in small:
        traits = _traits(tree, one, leaf, given)
        run = next(
            (
                r
                for r in opened
                if r.traits.weight + traits.weight <= limit and r.traits.may_join(traits)
            ),
            None,
        )
        if run is None:
            if len(opened) == _OPEN:
                closed.append(opened.pop(0))
            opened.append(_Run(members=[one], traits=traits))
        else:
            run.members.append(one)
            run.traits.join(traits)
    return [*alone, *(run.members for run in (*closed, *opened))]


def _leaf(tree: Tree, build: workspace.Prepared) -> partition_units.Leaf | None:
    """Return what names `build` changes, or None when it must run alone."""
    if not build.files or build.keeps_origin or len(build.files) > partition.FILES_IN_A_PIECE:
        return None
    contents = [build.content, *(content for _, content in _kustomizations(tree, build))]
    if any(set(one) - _OWN for one in contents):
        return None
    if any(set(one.get("buildMetadata") or ()) - {"originAnnotations"} for one in contents):
        return None
    if any(MARK in tree.files[path] for path in build.files):
        return None
    # An overlay's own prefix or generator is in no file of the tree.
    name = tree.kustomization(build.path)
    written = references.read(tree, name, []) if name else {}
    if any(build.content.get(key) != written.get(key) for key in ("namePrefix", "nameSuffix")):
        return None
    leaf = partition_units.Leaf(entry=build.name, files=list(build.files), top=name)
    partition_units.learn(tree, leaf)
    return leaf


def _kustomizations(tree: Tree, build: workspace.Prepared) -> list[tuple[str, Mapping[str, Any]]]:
    return [
        (path, references.read(tree, path, []))
        for path in build.files
        if posixpath.basename(path) in KUSTOMIZATIONS
    ]


def _traits(
    tree: Tree,
    build: workspace.Prepared,
    leaf: partition_units.Leaf,
    given: Mapping[str, set[str]],
) -> _Traits:
    namespace = str(build.content.get("namespace") or "")
    traits = _Traits(
        weight=len(build.files),
        configured=frozenset(
            tree.files.get(references.joined(posixpath.dirname(path), str(entry)), "")
            for path, content in [(f"{build.path}/x", build.content), *_kustomizations(tree, build)]
            for entry in content.get("configurations") or ()
        ),
        manifests={(path, namespace) for path in build.files},
        given={kind: getattr(leaf, kind) for kind in given if getattr(leaf, kind)},
    )
    if any(given.values()):
        for text in (*(tree.files[path] for path in build.files), references.text(build.content)):
            found = set(_WORD.findall(text))
            for kind in partition_units.kinds_meant(text):
                words = found & given[kind]
                if words:
                    traits.words.setdefault(kind, set()).update(words)
    return traits


def write(members: Sequence[workspace.Prepared], folder: Path) -> None:
    """Write the kustomization of a run of all `members` into the empty `folder`."""
    for i, one in enumerate(members):
        marked = folder / member(i)
        marked.mkdir()
        back = os.path.relpath(one.folder, marked)
        content = {"resources": [back], "labels": [{"pairs": {MARK: member(i)}}]}
        (marked / _FILE).write_text(references.text(content), encoding="utf-8")
    top = {
        "resources": [member(i) for i in range(len(members))],
        "buildMetadata": ["originAnnotations"],
    }
    (folder / _FILE).write_text(references.text(top), encoding="utf-8")


def member(i: int) -> str:
    """Return the folder, and the label, of the build number `i` of a run."""
    return f"b{i}"


def told_apart(objects: Sequence[Any], count: int) -> list[list[dict[str, Any]]] | None:
    """Return the objects of each of the `count` builds of a run, without the label.

    None when it is not clear which build an object belongs to.
    """
    found: dict[str, list[dict[str, Any]]] = {member(i): [] for i in range(count)}
    for obj in objects:
        metadata = obj.get("metadata") if isinstance(obj, dict) else None
        labels = mapping(mapping(metadata).get("labels"))
        mine = found.get(str(labels.get(MARK)))
        if mine is None or not isinstance(metadata, dict) or not isinstance(labels, dict):
            return None
        del labels[MARK]
        if not labels:
            del metadata["labels"]
        mine.append(obj)
    return list(found.values())
