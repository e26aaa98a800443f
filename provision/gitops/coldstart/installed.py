"""Which Flux a repository installs, as its own files say."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from typing import Final

from provision.gitops import documents
from provision.gitops.build import rules
from provision.gitops.coldstart import api, simulation
from provision.gitops.documents import mapping, sequence
from provision.gitops.tree import Tree

_FILE: Final = "gotk-components.yaml"
_VERSION: Final = re.compile(r"^# Flux Version: (\S+)", re.MULTILINE)
_COMPONENTS: Final = re.compile(r"^# Components: (\S+)", re.MULTILINE)
_HEAD: Final = 1000


def find(
    tree: Tree, path: str, *, version: str = "", more: Sequence[str] = ()
) -> tuple[str, simulation.Cluster]:
    """Return the version of Flux for the cluster folder `path`, and the cluster with it.

    From the header of its components file (``flux install --export``) or from a FluxInstance;
    without either, what elysium installs. `version` goes before both, and the components `more`
    are added.
    """
    found, components = _from_header(tree, path) or _from_instance(tree, path) or ("", ())
    version = version or found
    return version, simulation.Cluster(
        release=rules.release_of(version),
        components=tuple(dict.fromkeys([*(components or api.COMPONENTS), *more])),
    )


def _from_header(tree: Tree, path: str) -> tuple[str, tuple[str, ...]] | None:
    for name in tree.below(path):
        if posixpath.basename(name) != _FILE:
            continue
        head = tree.files[name][:_HEAD]
        version, components = _VERSION.search(head), _COMPONENTS.search(head)
        if version and components:
            return version.group(1), tuple(components.group(1).split(","))
    return None


def _from_instance(tree: Tree, path: str) -> tuple[str, tuple[str, ...]] | None:
    for name in tree.below(path):
        text = tree.files[name]
        if "FluxInstance" not in text or not name.endswith((".yaml", ".yml")):
            continue
        for doc in documents.read_text(text, name, [], only_objects=False):
            if doc.obj.get("kind") == "FluxInstance":
                spec = mapping(doc.obj.get("spec"))
                version = str(mapping(spec.get("distribution")).get("version") or "")
                return version, tuple(map(str, sequence(spec.get("components"))))
    return None
