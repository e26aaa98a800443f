"""The files of a repository, as Flux would get them."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from provision import errors, gitpaths
from provision.fileio import contents, names
from provision.gitops import ignore

KUSTOMIZATIONS: Final = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_UNREADABLE: Final = "the repository cannot be read"
_SHOWN: Final = 200
_LINK: Final = "a symbolic link"
_MODULES: Final = ".gitmodules"
_MODULE_PATH: Final = re.compile(
    r"^[ \t]*path[ \t]*=[ \t]*\"?([^\"\r\n]+?)\"?[ \t]*$", re.MULTILINE
)
SUBMODULE: Final = "a Git submodule"
"""The reason why a folder that another repository fills has no files."""


@dataclass(frozen=True, kw_only=True)
class Tree:
    """Path to content of every file that Flux sees; paths relative, with ``/``.

    A content that is not UTF-8 is as `contents.text` returns it. `origin` says
    what the tree is of (a folder, ``owner/repo@sha``). `left_out` is the reason
    for each entry of the repository that is not in `files`.
    """

    files: Mapping[str, str]
    origin: str = ""
    left_out: Mapping[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def of(
        cls,
        files: Mapping[str, str],
        *,
        origin: str = "",
        left_out: Mapping[str, str] | None = None,
    ) -> Tree:
        """Return the tree of `files`, ignored ones left out."""
        return cls(files=ignore.visible(files), origin=origin, left_out=left_out or {})

    @classmethod
    def from_directory(cls, folder: Path, *, only: Collection[str] | None = None) -> Tree:
        """Read what Flux sees of a checkout. Symbolic links and too large files are left out.

        `only` are the paths that count; None for all. Raises `errors.GitOpsError` when `folder`
        is not a folder, or has more than can be read.
        """
        if not folder.is_dir():
            problem = errors.Problem(where=str(folder), message="it is not a folder")
            raise errors.GitOpsError(_UNREADABLE, [problem])
        found, left_out = _listed(folder)
        if only is not None:
            found = {path: file for path, file in found.items() if path in only}
            left_out = {path: reason for path, reason in left_out.items() if path in only}
        if _MODULES in found:
            modules = _MODULE_PATH.findall(_read(found[_MODULES]))
            left_out |= {gitpaths.normal(path): SUBMODULE for path in modules}
            inside = tuple(f"{gitpaths.normal(path)}/" for path in modules)
            found = {path: file for path, file in found.items() if not path.startswith(inside)}
        sizes = {path: file.stat().st_size for path, file in found.items()}
        return cls.collected(
            sizes, lambda path: _read(found[path]), left_out=left_out, origin=str(folder)
        )

    @classmethod
    def collected(
        cls,
        sizes: Mapping[str, int],
        read: Callable[[str], str],
        *,
        left_out: Mapping[str, str],
        origin: str,
    ) -> Tree:
        """Return the tree of the files `sizes` (bytes by path), as far as Flux sees them.

        `read` returns the content of a path. Raises `errors.GitOpsError` for more than can be
        read.
        """
        ignored = {
            path: read(path)
            for path, size in sizes.items()
            if path.endswith(ignore.FILE) and size <= contents.LARGEST
        }
        files: dict[str, str] = {}
        too_large: dict[str, str] = {}
        total = 0
        for path in ignore.visible_paths(sizes, ignored):
            if sizes[path] > contents.LARGEST:
                too_large[path] = contents.TOO_LARGE
                continue
            total += sizes[path]
            if total > contents.MOST:
                message = f"the files up to this one have more than {contents.MOST >> 20} MiB"
                problem = errors.Problem(
                    where=path, message=message, hint="give the folder of one repository"
                )
                raise errors.GitOpsError(_UNREADABLE, [problem])
            files[path] = ignored[path] if path in ignored else read(path)
        return cls(files=files, origin=origin, left_out={**left_out, **too_large})

    def narrowed(self, lines: str) -> Tree:
        """Return the tree without what `lines`, a source's `spec.ignore`, leave out."""
        key = ("narrowed", lines)
        if key not in self.memo:
            files = ignore.visible(self.files, lines)
            self.memo[key] = replace(self, files=files)
        return self.memo[key]

    def including(self, other: Tree, folder: str, to: str) -> Tree:
        """Return the tree with `folder` of `other` in place of the folder `to`."""
        place, prefix = gitpaths.normal(to), gitpaths.normal(folder)
        files = {p: text for p, text in self.files.items() if not p.startswith(f"{place}/")}
        for path in other.below(prefix):
            files[posixpath.join(place, posixpath.relpath(path, prefix or "."))] = other.files[path]
        return replace(self, files=files)

    @cached_property
    def memo(self) -> dict[Any, Any]:
        """Return what was derived from the files, for those who derive it."""
        return {}

    @cached_property
    def problems(self) -> tuple[errors.Problem, ...]:
        """Return the files that no checkout can hold, so that nothing of the tree is built."""
        found: list[errors.Problem] = []
        for path in self.files:
            reason = names.refusal(path) or names.too_long(path)
            if reason:
                message = f"{reason}; Git cannot check it out, so Flux cannot fetch the repository"
                shown = path if len(path) < _SHOWN else f"{path[:_SHOWN]}…"
                found.append(errors.Problem(where=repr(shown)[1:-1], message=message))
            elif path in self.folders:
                message = "it is a file and a folder at once; no checkout can hold both"
                found.append(errors.Problem(where=path, message=message))
        return tuple(found)

    @cached_property
    def folders(self) -> frozenset[str]:
        """Return every folder that holds a file, at any depth; the root is ``""``."""
        found = {""}
        for path in self.files:
            folder = posixpath.dirname(path)
            while folder not in found:  # "/" is its own parent
                found.add(folder)
                folder = posixpath.dirname(folder)
        return frozenset(found)

    def submodule(self, path: str) -> str:
        """Return the Git submodule that `path` is or lies in, or an empty text."""
        while path:
            if self.left_out.get(path) == SUBMODULE:
                return path
            path = posixpath.dirname(path)
        return ""

    def below(self, folder: str) -> list[str]:
        """Return the paths of all files in `folder` and below, sorted."""
        prefix = f"{folder}/" if folder else ""
        return sorted(path for path in self.files if path.startswith(prefix))

    def kustomization(self, folder: str) -> str:
        """Return the path of the kustomization file in `folder`, or an empty text."""
        for name in KUSTOMIZATIONS:
            path = posixpath.join(folder, name)
            if path in self.files:
                return path
        return ""


def _listed(folder: Path) -> tuple[dict[str, Path], dict[str, str]]:
    """Return the files of a checkout by path, and the reason for each entry that is none.

    What is in ``.git`` is in neither.
    """
    found: dict[str, Path] = {}
    left_out: dict[str, str] = {}
    for top, folders, here in os.walk(folder):
        below = Path(top).relative_to(folder)
        for name in folders:
            if (Path(top) / name).is_symlink():
                left_out[(below / name).as_posix()] = _LINK
        folders[:] = sorted(f for f in folders if f.casefold() != ".git")
        for name in sorted(here):
            path = Path(top) / name
            if path.is_symlink():
                left_out[(below / name).as_posix()] = _LINK
            elif path.is_file():
                found[(below / name).as_posix()] = path
            else:
                left_out[(below / name).as_posix()] = "no regular file"
    return found, left_out


def _read(path: Path) -> str:
    """Return the content of `path`. Raises `errors.GitOpsError` when it cannot be read."""
    try:
        with path.open("rb") as file:
            return contents.text(file.read(contents.LARGEST + 1))
    except OSError as error:
        problem = errors.Problem(where=str(path), message=error.strerror or str(error))
        raise errors.GitOpsError(_UNREADABLE, [problem]) from error
