"""What depends on the release of Flux, beyond the API that its release serves."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from provision.gitops.tree import Tree

RELEASE: Final = (2, 9)
"""The release of Flux that counts when none is said: the one elysium installs."""
_STRICT_SINCE: Final = (2, 9)
_LENIENT: Final = "StrictPostBuildSubstitutions=false"
_FOLDER: Final = "flux-system"
_VERSION: Final = re.compile(r"v?(\d+)\.(\d+)")


@dataclass(frozen=True, kw_only=True)
class Rules:
    """`release` is major and minor version of Flux. `strict`: an unset variable is an error."""

    release: tuple[int, int] = RELEASE
    strict: bool = True


def of(version: str, tree: Tree, path: str = "") -> Rules:
    """Return the rules of Flux `version` (``v2.9.3``, empty for the pinned one) for `tree`.

    `path` is the cluster's folder: a patch in the folder of another cluster does not count.

    Strict substitution is the default since Flux 2.9 (kustomize-controller 1.9); a patch in the
    repository can turn its feature gate off.
    """
    release = release_of(version)
    strict = release >= _STRICT_SINCE and not _says(_near(tree.files, path), _LENIENT)
    return Rules(release=release, strict=strict)


def release_of(version: str) -> tuple[int, int]:
    """Return major and minor version of `version`; `RELEASE` for what is none."""
    found = _VERSION.match(version)
    return (int(found.group(1)), int(found.group(2))) if found else RELEASE


def _near(files: Mapping[str, str], path: str) -> dict[str, str]:
    """Return `files` without those of other clusters: folders beside `path` with Flux' files."""
    parent = path.rpartition("/")[0]
    if not parent:
        return dict(files)
    others = {
        f"{parent}/{name}/"
        for one in files
        if one.startswith(f"{parent}/") and f"/{_FOLDER}/" in one
        for name in [one.removeprefix(f"{parent}/").partition("/")[0]]
        if f"{parent}/{name}" != path
    }
    return {one: text for one, text in files.items() if not one.startswith(tuple(others))}


def _says(files: Mapping[str, str], words: str) -> bool:
    return any(words in text for path, text in files.items() if path.endswith((".yaml", ".yml")))
