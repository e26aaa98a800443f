"""What an ArtifactGenerator cuts out of its sources.

The rules are source-watcher's (fluxcd/source-watcher, the ArtifactGenerator page and the builder):
a path without wildcards is copied as ``cp -r`` does; ``**`` matches one folder level, as ``*``
does, and what matches is copied whole; only a pattern that ends in ``/**`` loses its folder.
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from provision.gitops import documents
from provision.gitops.documents import mapping, mappings, sequence
from provision.gitops.tree import Tree

GROUP: Final = "source.extensions.fluxcd.io"
KIND: Final = "ArtifactGenerator"
_ROOT: Final = "@artifact/"
_WILD: Final = re.compile(r"[*?\[\]]")


def generator_of(
    source: documents.Place, generators: Sequence[documents.Document]
) -> documents.Document | None:
    """Return the generator that makes the ExternalArtifact `source`, if one does."""
    kind, namespace, name = source
    if kind != "ExternalArtifact":
        return None
    for doc in generators:
        if documents.place_of(doc.obj)[1] == namespace and _artifact(doc, name):
            return doc
    return None


def sources(doc: documents.Document) -> dict[str, documents.Place]:
    """Return the sources of the generator `doc` by alias."""
    namespace = documents.place_of(doc.obj)[1]
    return {
        str(one.get("alias")): (
            str(one.get("kind")),
            str(one.get("namespace") or namespace),
            str(one.get("name")),
        )
        for one in mappings(mapping(doc.obj.get("spec")).get("sources"))
    }


def build(doc: documents.Document, name: str, trees: Mapping[str, Tree]) -> Tree | str:
    """Return the artifact `name` of the generator `doc`, or why there is none.

    `trees` are its sources by alias.
    """
    files: dict[str, str] = {}
    for operation in mappings(_artifact(doc, name).get("copy")):
        problem = _copy(operation, trees, files)
        if problem:
            return f"{documents.ref(doc.obj)} ({doc.where}) cannot make it: {problem}"
    origin = f"ExternalArtifact {name}"
    left_out = {path: why for tree in trees.values() for path, why in tree.left_out.items()}
    return Tree.of(files, origin=origin, left_out=left_out)


def _artifact(doc: documents.Document, name: str) -> Mapping[str, Any]:
    artifacts = mappings(mapping(doc.obj.get("spec")).get("artifacts"))
    return next((one for one in artifacts if one.get("name") == name), {})


def _copy(operation: Mapping[str, Any], trees: Mapping[str, Tree], files: dict[str, str]) -> str:
    """Copy into `files`; return why that is not possible, or an empty text."""
    given, to = str(operation.get("from") or ""), str(operation.get("to") or "")
    alias, _, pattern = given.removeprefix("@").partition("/")
    tree = trees.get(alias)
    if tree is None or not to.startswith(_ROOT) or ".." in to.split("/"):
        return f"it copies from {given!r} to {to!r}"
    if operation.get("strategy") == "Extract":
        return f"it unpacks {given}, which is not looked into"
    target = to.removeprefix(_ROOT)
    excluded = [str(one) for one in sequence(operation.get("exclude"))]
    matches = _matches(tree, pattern, target, excluded)
    if not matches and not operation.get("optional"):
        return f"nothing matches {given}"
    for path, place in matches.items():
        if operation.get("strategy") == "Merge" and place in files:
            return f"it merges {place}, which is not done here"
        files[place] = tree.files[path]
    return ""


def _matches(tree: Tree, pattern: str, target: str, excluded: Sequence[str]) -> dict[str, str]:
    """Return the files that are copied, each with its place in the artifact."""
    if not _WILD.search(pattern):
        path = posixpath.normpath(pattern)
        if path in tree.files:
            is_folder = target.endswith("/") or not target
            place = posixpath.join(target, posixpath.basename(path)) if is_folder else target
            pairs = {path: place}
        else:
            folder = "" if path == "." else path
            pairs = {
                one: posixpath.join(target, posixpath.basename(path), posixpath.relpath(one, path))
                for one in tree.below(folder)
            }
        base = path
    else:
        base = _fixed(pattern)
        stripped = pattern.removesuffix("/**") if pattern.endswith("/**") else ""
        pairs = {
            one: posixpath.join(target, posixpath.relpath(one, stripped) if stripped else one)
            for one in tree.files
            if _matched(pattern, one)
        }
    return {
        path: posixpath.normpath(place)
        for path, place in pairs.items()
        if not _is_excluded(path, base, excluded)
    }


def _matched(pattern: str, path: str) -> bool:
    """Return whether `path`, or a folder above it, matches `pattern` part by part."""
    wanted, parts = pattern.split("/"), path.split("/")
    if len(parts) < len(wanted):
        return False
    return all(
        fnmatch.fnmatchcase(part, one.replace("**", "*"))
        for one, part in zip(wanted, parts, strict=False)
    )


def _fixed(pattern: str) -> str:
    """Return the part of `pattern` before the first wildcard."""
    parts: list[str] = []
    for part in posixpath.normpath(pattern).split("/"):
        if _WILD.search(part):
            break
        parts.append(part)
    return "/".join(parts)


def _is_excluded(path: str, base: str, patterns: Sequence[str]) -> bool:
    """Return whether a glob of `exclude` matches `path`, from the root or from `base`."""
    below = posixpath.relpath(path, base or ".")
    return any(_glob(one).fullmatch(path) or _glob(one).fullmatch(below) for one in patterns)


def _glob(pattern: str) -> re.Pattern[str]:
    """Return the regular expression of a glob in which ``**`` crosses folders."""
    out = ""
    for part in re.split(r"(\*\*/|\*\*|\*|\?)", pattern):
        out += {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}.get(part, re.escape(part))
    return re.compile(out)
