"""From built objects back to the file and line they were written at.

kustomize annotates each object with its origin when asked; the line is found
by kind and name in that file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

from provision.gitops import documents
from provision.gitops.build import workspace
from provision.gitops.tree import Tree

_ORIGIN: Final = "config.kubernetes.io/origin"
_PATH: Final = re.compile(r"^(?:path|configuredIn):[ ]*(\S.*)$", re.MULTILINE)
_PROPERTIES: Final = r"[ \t]*(?:[&!][^\s,\[\]{}]+[ \t]+)*"
"""What may come before a scalar: an anchor, a tag."""
_KIND: Final = re.compile(rf"^\ufeff?kind:{_PROPERTIES}[\"']?([^\s\"'#]+)", re.MULTILINE)
_NAME: Final = re.compile(
    rf"(?:^[ \t]+|[{{,][ \t]*)name:{_PROPERTIES}[\"']?([^\s\"'#,}}]+)", re.MULTILINE
)


@dataclass(kw_only=True)
class _Places:
    """Where the objects of one file begin, by kind and name, and by kind alone."""

    named: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    first: dict[str, int] = field(default_factory=dict[str, int])


class Origins:
    """Finds places in the files of one tree, each read once."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._places: dict[str, _Places] = {}

    def located(self, obj: dict[str, Any], built: workspace.Prepared) -> documents.Document:
        """Return `obj`, out of the build `built`, with its place.

        The annotation is taken off again unless the controller would leave it.
        """
        metadata = obj.get("metadata") or {}
        annotations = metadata.get("annotations") or {}
        origin = str(annotations.get(_ORIGIN) or "")
        if origin and not built.keeps_origin:
            del annotations[_ORIGIN]
            if not annotations:
                del metadata["annotations"]
        told = _PATH.search(origin)
        path = built.original(told.group(1)) if told else built.path
        line = self._line(path, str(obj.get("kind")), str(metadata.get("name")))
        return documents.Document(obj=obj, file=path, line=line)

    def _line(self, path: str, kind: str, name: str) -> int:
        if path not in self._tree.files:
            return 1
        if path not in self._places:
            self._places[path] = _read(self._tree.files[path])
        places = self._places[path]
        return places.named.get((kind, name)) or places.first.get(kind) or 1


def _read(text: str) -> _Places:
    found = _Places()
    for line, part in documents.split(text):
        kind, name = _KIND.search(part), _NAME.search(part)
        if kind:
            begins = line + documents.leading(part)
            found.first.setdefault(kind.group(1), begins)
            if name:
                found.named.setdefault((kind.group(1), name.group(1)), begins)
    return found
