"""What a big build is cut into: resource entries, and what each may mean to others."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from provision import errors
from provision.gitops import documents
from provision.gitops.build import layout, references
from provision.gitops.tree import Tree

_PURE: Final = frozenset(["apiVersion", "kind", "metadata", "resources"])
_COPYING: Final = frozenset(
    [
        "apiVersion",
        "commonAnnotations",
        "configMapGenerator",
        "generatorOptions",
        "images",
        "kind",
        "labels",
        "metadata",
        "namePrefix",
        "nameSuffix",
        "namespace",
        "resources",
        "secretGenerator",
    ]
)
# Loose on purpose (flow style, JSON, items of a List): what is found without need
# only keeps resources together.
_NAME: Final = re.compile(r"\bname[\"']?[ \t]*:[ \t]*[\"']?([\w.-]+)")
KIND: Final = r"\bkind[\"']?[ \t]*:[ \t]*[\"']?"
_BINDING: Final = re.compile(KIND + r"(?:Cluster)?RoleBinding\b")
_CALLER: Final = re.compile(
    KIND + r"(?:\w*WebhookConfiguration|APIService|CustomResourceDefinition)\b"
)
GIVEN: Final = ("renamed", "accounts", "services")
"""The kinds of names that a `Leaf` may give away."""
_ACCOUNT: Final = re.compile(KIND + r"ServiceAccount\b")
_SERVICE: Final = re.compile(KIND + r"Service\b")


@dataclass(kw_only=True)
class Leaf:
    """A resource entry, not cut further: the files of its build and names it gives away.

    `copy` is the prefix and suffix of all its resources, where each name that
    it refers to and defines certainly means its own; `defined` is then the
    kinds it defines by name.
    """

    entry: str
    files: list[str]
    top: str = ""
    copy: tuple[str, str] = ("", "")
    defined: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    renamed: set[str] = field(default_factory=set[str])
    accounts: set[str] = field(default_factory=set[str])
    services: set[str] = field(default_factory=set[str])


def kinds_meant(text: str) -> list[str]:
    """Return which of `GIVEN` the words of the manifest or kustomization `text` may mean."""
    kinds = ["renamed"]
    if _BINDING.search(text):
        kinds.append("accounts")
    if _CALLER.search(text):
        kinds.append("services")
    return kinds


def of(tree: Tree, folder: str, entry: str, met: set[str]) -> Iterable[Leaf]:
    """Yield what the resource `entry` of `folder` amounts to.

    `met` are the kustomizations that were opened; one that is listed again is not.
    """
    target = posixpath.normpath(posixpath.join(folder, entry)).strip("/")
    name = "" if target in tree.files else tree.kustomization(target)
    if name and name not in met:
        content = references.read(tree, name, [])
        met.add(name)
        if content and not set(content) - _PURE:
            for inner in content.get("resources") or ():
                deeper = posixpath.normpath(posixpath.join(entry, str(inner)))
                yield from of(tree, folder, deeper, met)
            return
    files = [target] if target in tree.files else layout.walk(tree, target, check=False).files
    yield Leaf(entry=entry, files=files, top=name)


def learn(tree: Tree, leaf: Leaf) -> None:
    """Note which names of `leaf` others might mean in a way that the build changes."""
    affixes: list[tuple[str, str]] = []
    for path in leaf.files:
        text = tree.files[path]
        if path == tree.kustomization(posixpath.dirname(path)):
            content = references.read(tree, path, [])
            leaf.renamed |= {str(item.get("name")) for item, _ in _generators(content)}
            if {"namePrefix", "nameSuffix"} & set(content):
                affixes.append(_affixes(content))
        if _ACCOUNT.search(text):
            leaf.accounts |= set(_NAME.findall(text))
        if _SERVICE.search(text):
            leaf.services |= set(_NAME.findall(text))
    if not affixes:
        return
    if _learn_copy(tree, leaf):
        names = set(leaf.defined)
        if len(affixes) == 1:
            leaf.accounts = {n for n in names if "ServiceAccount" in leaf.defined[n]}
            leaf.services = {n for n in names if "Service" in leaf.defined[n]}
    else:
        names = {name for path in leaf.files for name in _NAME.findall(tree.files[path])}
    if len(affixes) > 1:  # what it is called in between may be meant, too
        for before, after in [*affixes, *reversed(affixes)]:
            names |= {f"{before}{name}{after}" for name in names}
    leaf.renamed |= names


def _learn_copy(tree: Tree, leaf: Leaf) -> bool:
    """Note whether `leaf` is a copy with a prefix or suffix of its own, in one namespace.

    Return whether `defined` holds all names that it defines.
    """
    top = references.read(tree, leaf.top, []) if leaf.top else {}
    namespaces: set[str] = set()
    problems: list[errors.Problem] = []
    for path in leaf.files:
        if path == tree.kustomization(posixpath.dirname(path)):
            content = references.read(tree, path, problems)
            if set(content) - _COPYING:
                return False
            for item, kind in _generators(content):
                leaf.defined.setdefault(str(item.get("name")), set()).add(kind)
                namespaces.add(str(item.get("namespace") or ""))
        elif path.endswith((".yaml", ".yml", ".json")):
            for doc in documents.read_text(tree.files[path], path, problems):
                metadata = documents.mapping(doc.obj.get("metadata"))
                kind = str(doc.obj.get("kind"))
                leaf.defined.setdefault(str(metadata.get("name")), set()).add(kind)
                namespaces.add(str(metadata.get("namespace") or ""))
                if kind.endswith("List"):
                    return False
    if problems:
        return False
    if len(namespaces) <= 1 or top.get("namespace"):
        leaf.copy = _affixes(top)
    return True


def _generators(content: Mapping[str, Any]) -> Iterable[tuple[Mapping[str, Any], str]]:
    """Yield what the generators of a kustomization make, each with its kind."""
    for key, kind in (("configMapGenerator", "ConfigMap"), ("secretGenerator", "Secret")):
        for item in content.get(key) or ():
            if isinstance(item, Mapping):
                yield item, kind


def _affixes(content: Mapping[str, Any]) -> tuple[str, str]:
    return str(content.get("namePrefix") or ""), str(content.get("nameSuffix") or "")
