"""Helm's templates of SealedSecrets: texts that only Helm makes objects of."""

from __future__ import annotations

import enum
import posixpath
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

_MARK: Final = "{{"


class Place(enum.Enum):
    """Where a file is: in no chart, in one, or among the files of one that Helm renders."""

    OUTSIDE = enum.auto()
    CHART = enum.auto()
    TEMPLATES = enum.auto()


def place_of(path: str, exists: Callable[[str], bool]) -> Place:
    """Return where the file `path` is; `exists` returns whether there is a file of a path."""
    folder = posixpath.dirname(path)
    below = ""
    found = Place.OUTSIDE
    while True:
        if exists(posixpath.join(folder, "Chart.yaml")):
            found = Place.CHART
            if below == "templates":
                return Place.TEMPLATES
        above, below = posixpath.split(folder)
        if above == folder:
            return found
        folder = above


def is_template(text: str, place: Place, *, readable: bool) -> bool:
    """Return whether `text` becomes objects only through Helm, whatever it holds.

    `readable` says whether it is YAML as it is.
    """
    return _MARK in text and (not readable or place is Place.TEMPLATES)


def may_be_template(text: str, place: Place, sealed: Iterable[Mapping[str, Any]]) -> bool:
    """Return whether a text with SealedSecrets that do not open is a template all the same.

    `sealed` are those SealedSecrets. In a chart the namespace can be that of
    the release. A template outside of one has Helm's syntax where a
    SealedSecret has none: only its own template may have that.
    """
    if place is Place.TEMPLATES or (place is Place.CHART and _MARK in text):
        return True
    return any(
        _MARK in str(obj.get("metadata"))
        or _MARK in str((obj.get("spec") or {}).get("encryptedData"))
        for obj in sealed
    )
