"""Which files of a repository Flux does not see.

source-controller leaves files out of its artifact by built-in patterns, by
every ``.sourceignore`` of the tree (each for its own folder) and by the
source's `spec.ignore`. The rules are gitignore's of old: the last pattern that
matches decides (fluxcd/pkg, sourceignore).
"""

from __future__ import annotations

import fnmatch
import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

FILE: Final = ".sourceignore"
_DEFAULT: Final = (
    ".git/",
    ".gitignore",
    ".gitmodules",
    ".gitattributes",
    *(f"*.{end}" for end in ("jpg", "jpeg", "gif", "png", "wmv", "flv", "tar.gz", "zip")),
    ".github/",
    ".circleci/",
    ".travis.yml",
    ".gitlab-ci.yml",
    "appveyor.yml",
    ".drone.yml",
    "cloudbuild.yaml",
    "codeship-services.yml",
    "codeship-steps.yml",
    "**/.goreleaser.yml",
    "**/.sops.yaml",
    "**/.flux.yaml",
)


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """One line of an ignore file, in force below the folder `domain`."""

    domain: tuple[str, ...]
    parts: tuple[str, ...]
    include: bool
    folder_only: bool

    def matches(self, path: tuple[str, ...]) -> bool:
        """Return whether the file `path` (its parts) is meant."""
        depth = len(self.domain)
        if len(path) <= depth or path[:depth] != self.domain:
            return False
        rest = path[depth:]
        if len(self.parts) == 1:
            # The file itself, or any folder above it; a folder pattern is not the file.
            names = rest[:-1] if self.folder_only else rest
            return any(_match(self.parts[0], name) for name in names)
        return self._glob(rest)

    def _glob(self, path: tuple[str, ...]) -> bool:
        matched = traverse = False
        for index, part in enumerate(self.parts):
            if not part:
                traverse = False
            elif part == "**":
                if index == len(self.parts) - 1:
                    break
                traverse = True
            elif "**" in part or not path:
                return False
            elif traverse:
                traverse = False
                matched = False
                while path and not matched:
                    matched, path = _match(part, path[0]), path[1:]
                if not matched:
                    return False
            else:
                if not _match(part, path[0]):
                    return False
                matched, path = True, path[1:]
        # What is left of the path lies below the folder that matched.
        return matched and not (self.folder_only and not path)


def _match(pattern: str, name: str) -> bool:
    return _compiled(pattern).match(name) is not None


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    # Go's [^a] is fnmatch's [!a].
    return re.compile(fnmatch.translate(pattern.replace("[^", "[!")))


def parse(text: str, domain: tuple[str, ...] = ()) -> list[Pattern]:
    """Return the patterns of an ignore file that lies in the folder `domain`."""
    found: list[Pattern] = []
    for line in text.splitlines():
        if line.startswith("#") or not line.strip():
            continue
        include = line.startswith("!")
        line = line.removeprefix("!")
        if not line.endswith("\\ "):
            line = line.rstrip(" ")
        folder_only = line.endswith("/")
        parts = tuple(line.removesuffix("/").split("/"))
        found.append(Pattern(domain=domain, parts=parts, include=include, folder_only=folder_only))
    return found


DEFAULTS: Final = tuple(parse("\n".join(_DEFAULT)))


def visible(files: Mapping[str, str], more: Iterable[str] = ()) -> dict[str, str]:
    """Return those of `files` (path to content) that Flux sees.

    `more` are lines of the source's own `spec.ignore`.
    """
    patterns = list(DEFAULTS)
    for path in sorted(files, key=lambda p: (p.count("/"), p)):
        folder, _, name = path.rpartition("/")
        if name == FILE:
            patterns += parse(files[path], tuple(folder.split("/")) if folder else ())
    patterns += parse("\n".join(more))
    by_last = patterns[::-1]
    return {path: content for path, content in files.items() if not _ignored(path, by_last)}


def _ignored(path: str, by_last: list[Pattern]) -> bool:
    parts = tuple(path.split("/"))
    for pattern in by_last:
        if pattern.matches(parts):
            return not pattern.include
    return False
