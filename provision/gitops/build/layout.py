"""What the kustomization files of a tree refer to, and what is wrong with that.

kustomize stops at its first error; this walk names all of them, with file and
line. It also finds what would have to be fetched from elsewhere.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from provision import errors, safeyaml
from provision.gitops import documents
from provision.gitops.build import references
from provision.gitops.tree import KUSTOMIZATIONS, Tree

DEEPEST: Final = 100
"""Folders that include each other: kustomize itself would go on until memory ends."""
MOST: Final = 100_000
"""Files and folders that one folder includes, each as often as it is included."""


@dataclass(kw_only=True)
class Walk:
    """What one walk found. `files` are all files that take part.

    With `refusals`, which are among the problems, nothing may be built.
    """

    problems: list[errors.Problem] = field(default_factory=list[errors.Problem])
    refusals: list[errors.Problem] = field(default_factory=list[errors.Problem])
    files: list[str] = field(default_factory=list[str])
    remote: list[str] = field(default_factory=list[str])
    seen: set[str] = field(default_factory=set[str])
    sizes: dict[str, int] = field(default_factory=dict[str, int])
    check: bool = True


def walk(tree: Tree, folder: str, *, check: bool = True) -> Walk:
    """Follow everything that a build of `folder` would read.

    Without `check` the objects themselves are not looked at, which is quick.
    """
    known = tree.memo.get(("walk", folder, check))
    if known is None:
        known = tree.memo["walk", folder, check] = _walk(tree, folder, check=check)
    return known


def _walk(tree: Tree, folder: str, *, check: bool) -> Walk:
    found = Walk(check=check)
    if folder not in tree.folders:
        message = "there is no such path"
        if folder in tree.files:
            message = "it is a file; Flux wants the folder that it is in"
        elif tree.submodule(folder):
            message = (
                f"{tree.submodule(folder)} is a Git submodule, and the source does not set"
                " recurseSubmodules"
            )
        found.problems.append(errors.Problem(where=folder or ".", message=message))
    elif tree.kustomization(folder):
        _folder(tree, folder, found)
    else:
        for path in scan(tree, folder):
            if path in tree.files:
                _objects(tree, path, found)
            else:
                _folder(tree, path, found)
    return found


def scan(tree: Tree, folder: str) -> list[str]:
    """Return what a generated kustomization lists for `folder`, in its order.

    Every YAML file below, except that a folder with a kustomization file of
    its own stands for all that is in it (kustomize-controller's rule).
    """
    found: list[str] = []
    own = {
        posixpath.dirname(path)
        for path in tree.below(folder)
        if posixpath.basename(path) in KUSTOMIZATIONS
    }
    for path in sorted(tree.below(folder), key=lambda p: p.split("/")):
        above = _topmost(path, folder, own)
        if above:
            if above not in found:
                found.append(above)
        elif path.endswith((".yaml", ".yml")):
            found.append(path)
    return found


def _topmost(path: str, folder: str, own: set[str]) -> str:
    """Return the highest folder below `folder` and above `path` that is one of `own`."""
    best = ""
    above = posixpath.dirname(path)
    while above not in (folder, ""):
        if above in own:
            best = above
        above = posixpath.dirname(above)
    return best


def _folder(tree: Tree, folder: str, found: Walk, depth: int = 0) -> int:
    """Follow the kustomization of `folder`; return how many files and folders it includes.

    One that is included twice counts twice, because kustomize builds it twice.
    """
    path = tree.kustomization(folder)
    if path in found.sizes:
        return found.sizes[path]
    if depth > DEEPEST:
        message = f"kustomizations that include each other are more than {DEEPEST} levels deep"
        _refuse(found, [errors.Problem(where=f"{path}:1", message=message)])
        return 1
    found.sizes[path] = 1  # in a circle
    _file(tree, path, found)
    checked = references.checked(tree, path)
    _refuse(found, checked.problems)
    found.remote += checked.remote
    size = 1 + sum(_include(tree, folder, path, entry, found, depth) for entry in checked.includes)
    found.sizes[path] = size
    if size > MOST:
        message = (
            f"the folders that it includes include others again and again: {size:,} in all,"
            f" at most {MOST:,} are built; kustomize-controller would run out of memory"
        )
        _refuse(found, [errors.Problem(where=f"{path}:1", message=message)])
    for entry in checked.files:
        target = references.joined(folder, entry)
        if target in tree.files:
            _file(tree, target, found)
        elif target not in tree.folders:
            found.problems.append(_missing(tree, path, target, entry))
    return size


def _include(tree: Tree, folder: str, path: str, entry: str, found: Walk, depth: int) -> int:
    target = references.joined(folder, entry)
    if target in tree.files:
        _objects(tree, target, found)
    elif target not in tree.folders:
        found.problems.append(_missing(tree, path, target, entry))
    elif tree.kustomization(target):
        return _folder(tree, target, found, depth + 1)
    else:
        message = f"{entry.removeprefix('./')}: the folder has no kustomization.yaml"
        where = f"{path}:{_line(tree, path, entry)}"
        found.problems.append(errors.Problem(where=where, message=message))
    return 1


def _file(tree: Tree, path: str, found: Walk) -> None:
    """Note a file that takes part; what is beyond the limits of YAML is refused."""
    found.files.append(path)
    key = ("bounds", path)
    if key not in tree.memo:
        tree.memo[key] = safeyaml.problem(tree.files[path], path)
    if tree.memo[key]:
        _refuse(found, [tree.memo[key]])


def _refuse(found: Walk, problems: Iterable[errors.Problem]) -> None:
    for problem in problems:
        if problem not in found.refusals:
            found.refusals.append(problem)
            found.problems.append(problem)


def _line(tree: Tree, path: str, entry: str) -> int:
    """Return the line of the file `path` on which the checked reference `entry` is written."""
    text = tree.files[path]
    bare = entry.removeprefix("./")
    return documents.line_of_value(text, bare if bare in text else entry)


def _missing(tree: Tree, path: str, target: str, entry: str) -> errors.Problem:
    where = f"{path}:{_line(tree, path, entry)}"
    message = f"{entry.removeprefix('./')}: there is no such file or folder"
    above = target
    while above and above not in tree.left_out:
        above = posixpath.dirname(above)
    if above:
        message = f"{target}: {above} is {tree.left_out[above]}"
        if "link" in tree.left_out[above]:
            message += ", and Flux leaves links out of what it fetches"
    return errors.Problem(where=where, message=message)


def _objects(tree: Tree, path: str, found: Walk) -> None:
    if path in found.seen:
        return
    found.seen.add(path)
    _file(tree, path, found)
    if not found.check:
        return
    for doc in documents.read_text(tree.files[path], path, found.problems):
        found.problems += lacking(doc)


def lacking(doc: documents.Document) -> list[errors.Problem]:
    """Return what `doc` lacks to be a Kubernetes object."""
    metadata = doc.obj.get("metadata")
    missing = [key for key in ("apiVersion", "kind") if not doc.obj.get(key)]
    if not str(doc.obj.get("kind") or "").endswith("List") and not (
        isinstance(metadata, Mapping) and (metadata.get("name") or metadata.get("generateName"))
    ):
        missing.append("metadata.name")
    if not missing:
        return []
    message = f"not a Kubernetes object: {', '.join(missing)} missing"
    return [errors.Problem(where=doc.where, message=message)]
