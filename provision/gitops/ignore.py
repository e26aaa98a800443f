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


def visible(files: Mapping[str, str], more: str = "") -> dict[str, str]:
    """Return those of `files` (path to content) that Flux sees.

    `more` is the source's `spec.ignore`: lines that come after all files.
    """
    return {path: files[path] for path in visible_paths(files, files, more)}


def visible_paths(paths: Iterable[str], contents: Mapping[str, str], more: str = "") -> list[str]:
    """Return those of `paths` that Flux sees. `contents` holds at least the ignore files."""
    patterns = list(DEFAULTS)
    for path in sorted(contents, key=lambda p: (p.count("/"), p)):
        folder, _, name = path.rpartition("/")
        if name == FILE:
            patterns += parse(contents[path], tuple(folder.split("/")) if folder else ())
    ignored = _Ignored(patterns + parse(more))
    return [path for path in paths if not ignored(path)]


class _Ignored:
    """Whether a path is ignored. Patterns of a bare name are asked once a name, not once a path."""

    def __init__(self, patterns: list[Pattern]) -> None:
        self._all = patterns[::-1]
        self._bare = [p.parts[0] for p in patterns if _is_bare(p)]
        self._others = [p for p in self._all if not _is_bare(p)]
        self._met: dict[str, bool] = {}

    def __call__(self, path: str) -> bool:
        parts = tuple(path.split("/"))
        by_last = self._all if any(map(self._meets, parts)) else self._others
        for pattern in by_last:
            if pattern.matches(parts):
                return not pattern.include
        return False

    def _meets(self, name: str) -> bool:
        met = self._met.get(name)
        if met is None:
            met = self._met[name] = any(_match(bare, name) for bare in self._bare)
        return met


def _is_bare(pattern: Pattern) -> bool:
    return not pattern.domain and len(pattern.parts) == 1
