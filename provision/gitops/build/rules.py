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
_VERSION: Final = re.compile(r"v?(\d+)\.(\d+)")


@dataclass(frozen=True, kw_only=True)
class Rules:
    """`release` is major and minor version of Flux. `strict`: an unset variable is an error."""

    release: tuple[int, int] = RELEASE
    strict: bool = True


def of(version: str, tree: Tree) -> Rules:
    """Return the rules of Flux `version` (``v2.9.3``, empty for the pinned one) for `tree`.

    Strict substitution is the default since Flux 2.9 (kustomize-controller 1.9); a patch in the
    repository can turn its feature gate off.
    """
    release = release_of(version)
    strict = release >= _STRICT_SINCE and not _says(tree.files, _LENIENT)
    return Rules(release=release, strict=strict)


def release_of(version: str) -> tuple[int, int]:
    """Return major and minor version of `version`; `RELEASE` for what is none."""
    found = _VERSION.match(version)
    return (int(found.group(1)), int(found.group(2))) if found else RELEASE


def _says(files: Mapping[str, str], words: str) -> bool:
    return any(words in text for path, text in files.items() if path.endswith((".yaml", ".yml")))
