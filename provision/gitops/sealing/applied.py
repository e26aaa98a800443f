"""The identity of a SealedSecret in the cluster, where it is not the one in its file.

kustomize and Flux set namespaces, prefixes and suffixes. A sealed value is bound to the name and
the namespace that they make.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True, kw_only=True)
class Applied:
    """What an object's metadata is when the Kustomizations in `by` apply it."""

    by: str
    metadata: Mapping[str, Any]

    def to(self, obj: Mapping[str, Any]) -> dict[str, Any]:
        """Return `obj` with this metadata."""
        return {**obj, "metadata": self.metadata}


Lookup: TypeAlias = Callable[[str, Mapping[str, Any]], Sequence[Applied]]
"""Return how an object in the file of a path is applied; nothing where none applies it."""


def as_written(_path: str, _obj: Mapping[str, Any]) -> Sequence[Applied]:
    """Return nothing: every object keeps the metadata of its file."""
    return ()
