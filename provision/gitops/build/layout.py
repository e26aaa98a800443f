"""What the kustomization files of a tree refer to, and what is wrong with that.

kustomize stops at its first error; this walk names all of them, with file and
line. It also finds what would have to be fetched from elsewhere.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from provision import errors
from provision.gitops import documents
from provision.gitops.tree import Tree

REMOTE: Final = re.compile(
    r"^(?:git::|gh:|ssh://|https?://|git@|github\.com[:/])|\?(?:.*&)?(?:ref|version)=",
    re.IGNORECASE,
)
_INCLUDES: Final = ("resources", "bases", "components")
_FILES: Final = ("configurations", "crds", "generators", "transformers", "validators")


@dataclass(kw_only=True)
class Walk:
    """What one walk found. `files` are all files that take part."""

    problems: list[errors.Problem] = field(default_factory=list[errors.Problem])
    files: list[str] = field(default_factory=list[str])
    remote: list[str] = field(default_factory=list[str])
    seen: set[str] = field(default_factory=set[str])
    check: bool = True


def walk(tree: Tree, folder: str, *, check: bool = True) -> Walk:
    """Follow everything that a build of `folder` would read.

    Without `check` the objects themselves are not looked at, which is quick.
    """
    found = Walk(check=check)
    if folder not in tree.folders:
        found.problems.append(errors.Problem(where=folder or ".", message="there is no such path"))
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
        if posixpath.basename(path) in ("kustomization.yaml", "kustomization.yml", "Kustomization")
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


def read(tree: Tree, path: str, problems: list[errors.Problem]) -> dict[str, Any]:
    """Return a kustomization file as a mapping; what is wrong goes to `problems`."""
    docs = documents.read_text(tree.files[path], path, problems)
    return docs[0].obj if docs else {}


def _folder(tree: Tree, folder: str, found: Walk) -> None:
    path = tree.kustomization(folder)
    if path in found.seen:
        return
    found.seen.add(path)
    found.files.append(path)
    content = read(tree, path, found.problems)
    text = tree.files[path]
    for entry in _entries(content, *_INCLUDES):
        _include(tree, folder, path, text, entry, found)
    for entry in _referenced(content):
        target = _join(folder, entry)
        if REMOTE.search(entry):
            found.remote.append(f"{path}: {entry}")
        elif target in tree.files:
            found.files.append(target)
        elif target not in tree.folders:
            found.problems.append(_missing(path, text, entry))


def _include(tree: Tree, folder: str, path: str, text: str, entry: str, found: Walk) -> None:
    target = _join(folder, entry)
    if target in tree.files:
        _objects(tree, target, found)
    elif target in tree.folders and not REMOTE.match(entry):
        if tree.kustomization(target):
            _folder(tree, target, found)
        else:
            message = f"{entry}: the folder has no kustomization.yaml"
            where = f"{path}:{documents.line_of(text, entry)}"
            found.problems.append(errors.Problem(where=where, message=message))
    elif REMOTE.search(entry):
        found.remote.append(f"{path}: {entry}")
    else:
        found.problems.append(_missing(path, text, entry))


def _missing(path: str, text: str, entry: str) -> errors.Problem:
    where = f"{path}:{documents.line_of(text, entry)}"
    return errors.Problem(where=where, message=f"{entry}: there is no such file or folder")


def _objects(tree: Tree, path: str, found: Walk) -> None:
    if path in found.seen:
        return
    found.seen.add(path)
    found.files.append(path)
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


def _join(folder: str, entry: str) -> str:
    return posixpath.normpath(posixpath.join(folder, entry)).removeprefix("./").strip("/")


def _entries(content: Mapping[str, Any], *keys: str) -> Iterator[str]:
    for key in keys:
        value = content.get(key)
        for entry in value if isinstance(value, list) else ():
            if isinstance(entry, str):
                yield entry


def _referenced(content: Mapping[str, Any]) -> Iterator[str]:
    """Yield the files, other than resources, that a kustomization reads."""
    for entry in _entries(content, *_FILES, "patchesStrategicMerge"):
        if "\n" not in entry and not entry.lstrip().startswith("{"):
            yield entry
    for key in ("patches", "patchesJson6902", "replacements"):
        for item in content.get(key) or ():
            if isinstance(item, Mapping) and isinstance(item.get("path"), str):
                yield item["path"]
    for key in ("configMapGenerator", "secretGenerator"):
        for item in content.get(key) or ():
            if not isinstance(item, Mapping):
                continue
            for entry in _entries(item, "files"):
                yield entry.rpartition("=")[2]
            yield from _entries(item, "envs")
            if isinstance(item.get("env"), str):
                yield item["env"]
    openapi = content.get("openapi")
    if isinstance(openapi, Mapping) and isinstance(openapi.get("path"), str):
        yield openapi["path"]


def without_remote(text: str) -> str | None:
    """Return a kustomization file without what lies elsewhere, or None if nothing does."""
    if not REMOTE.search(text) and "://" not in text and "github.com" not in text:
        return None
    try:
        content = documents.load_all(text)
    except yaml.YAMLError:
        return None
    if len(content) != 1 or not isinstance(content[0], dict):
        return None
    changed = False
    for key in _INCLUDES:
        entries = content[0].get(key)
        if isinstance(entries, list):
            local = [e for e in entries if not (isinstance(e, str) and REMOTE.search(e))]
            changed = changed or len(local) != len(entries)
            content[0][key] = local
    return documents.dump(content[0]) if changed else None
