"""Helm's templates of SealedSecrets: texts that only Helm makes objects of."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from typing import Final

_MARK: Final = "{{"


def is_template(text: str, *, readable: bool, in_chart: bool) -> bool:
    """Return whether `text` becomes objects only through Helm.

    `readable` says whether it is YAML as it is, `in_chart` whether its file is
    one that Helm renders.
    """
    return _MARK in text and (not readable or in_chart)


def in_chart(path: str, exists: Callable[[str], bool]) -> bool:
    """Return whether `path` is one of a chart's files that Helm renders.

    `exists` returns whether there is a file of a path.
    """
    folder = posixpath.dirname(path)
    while folder and folder != posixpath.dirname(folder):
        above, name = posixpath.split(folder)
        if name == "templates" and exists(posixpath.join(above, "Chart.yaml")):
            return True
        folder = above
    return False
