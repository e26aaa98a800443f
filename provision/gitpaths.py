"""Paths of folders and files in a Git repository, as people and Flux write them."""

from __future__ import annotations

import posixpath
import unicodedata

from provision.fileio import names


def normal(path: str) -> str:
    """Return `path` without ``./``, double slashes, and slashes around; the root is empty.

    ``..`` cannot leave the repository: at the top it is dropped, as Flux' controllers do with
    `spec.path`.
    """
    return posixpath.normpath(f"/{path}").strip("/")


def unusable(path: str) -> str:
    """Return why the setting `path` names no folder or file in Git, or an empty text.

    This is stricter than `names.refusal`. Git can hold a name with a line break or with a space
    at its end, but in a setting such a name is a mistake.
    """
    if "\\" in path:
        return "it has a backslash, which separates no folders in Git"
    if any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in path):
        return "it has a control character"
    parts = path.split("/")
    if ".." in parts:
        return "it has a component '..'"
    if any(part != part.strip() for part in parts):
        return "a component begins or ends with a space"
    wanted = normal(path)
    return (names.refusal(wanted) or names.too_long(wanted)) if wanted else ""
