"""Operators that copy a Secret or ConfigMap to other namespaces, as its annotations say.

From the documentation of reflector, replicator and kubed. An object that makes a Secret may give
it such annotations, too: the template of a SealedSecret, an ExternalSecret or a Certificate.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from provision.gitops.documents import mapping, sequence

_REFLECTOR: Final = "reflector.v1.k8s.emberstack.com"
_AUTO: Final = f"{_REFLECTOR}/reflection-auto-enabled"
_ALLOWED: Final = f"{_REFLECTOR}/reflection-allowed"
_LISTS: Final = (
    f"{_REFLECTOR}/reflection-auto-namespaces",
    f"{_REFLECTOR}/reflection-allowed-namespaces",
)
_REPLICATOR: Final = "replicator.v1.mittwald.de/replicate-to"
_SELECTED: Final = ("replicator.v1.mittwald.de/replicate-to-matching", "kubed.appscode.com/sync")
"""Annotations that select namespaces by labels, which are not looked at."""


def reach(obj: Mapping[str, Any], namespace: str) -> bool:
    """Return whether what `obj` is, or makes, is copied to `namespace`."""
    return any(_goes_to(annotations, namespace) for annotations in _of_secret(obj))


def has(obj: Mapping[str, Any]) -> bool:
    """Return whether what `obj` is, or makes, may be copied to some namespace."""
    names = (_AUTO, _REPLICATOR, *_SELECTED)
    return any(name in annotations for annotations in _of_secret(obj) for name in names)


def _of_secret(obj: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the annotations of the Secret or ConfigMap `obj`, or of what is made of `obj`."""
    if obj.get("apiVersion") == "v1":
        yield mapping(mapping(obj.get("metadata")).get("annotations"))
    yield from _annotations(obj.get("spec"))


def _annotations(value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield every map `annotations` in `value`."""
    if isinstance(value, Mapping):
        for key, item in mapping(value).items():
            if key == "annotations":
                yield mapping(item)
            else:
                yield from _annotations(item)
    else:
        for item in sequence(value):
            yield from _annotations(item)


def _goes_to(annotations: Mapping[str, Any], namespace: str) -> bool:
    if any(annotations.get(name) not in (None, "false") for name in _SELECTED):
        return True
    to = annotations.get(_REPLICATOR)
    if to and _listed(str(to), namespace):
        return True
    if str(annotations.get(_AUTO)).lower() != "true":
        return False
    if str(annotations.get(_ALLOWED)).lower() == "false":
        return False
    lists = [str(annotations[name]) for name in _LISTS if annotations.get(name)]
    return all(_listed(text, namespace) for text in lists)


def _listed(text: str, namespace: str) -> bool:
    """Return whether `namespace` is in a list of names and regular expressions."""
    for one in (part.strip() for part in text.split(",")):
        if one == namespace:
            return True
        try:
            if re.fullmatch(one, namespace):
                return True
        except re.error:
            return True  # in the notation of another language: it may be any
    return False
