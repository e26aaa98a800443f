"""The files of a repository, as Flux would get them."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from provision import errors
from provision.fileio import names
from provision.gitops import ignore

KUSTOMIZATIONS: Final = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_BIG: Final = 4 * 1024 * 1024
_MOST: Final = 256 * 1024 * 1024
_SHOWN: Final = 200


@dataclass(frozen=True, kw_only=True)
class Tree:
    """Path to content of every file that Flux sees; paths relative, with ``/``.

    `origin` says what the tree is of (a folder, ``owner/repo@sha``). `left_out`
    is the reason for each entry of the repository that is not in `files`.
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
    def from_directory(cls, folder: Path) -> Tree:
        """Read a checkout. Symbolic links, binary and very big files are left out, as is ``.git``.

        Raises `errors.GitOpsError` when `folder` is not a folder, or has more
        than can be read.
        """
        if not folder.is_dir():
            problem = errors.Problem(where=str(folder), message="it is not a folder")
            raise errors.GitOpsError("the repository cannot be read", [problem])
        files: dict[str, str] = {}
        left_out: dict[str, str] = {}
        total = 0
        for top, folders, here in os.walk(folder):
            below = Path(top).relative_to(folder)
            for name in folders:
                if (Path(top) / name).is_symlink():
                    left_out[(below / name).as_posix()] = "a symbolic link"
            folders[:] = sorted(f for f in folders if f.casefold() != ".git")
            for name in sorted(here):
                path = Path(top) / name
                inside = (below / name).as_posix()
                reason = _unreadable(path)
                if reason:
                    left_out[inside] = reason
                    continue
                data = path.read_bytes()
                total += len(data)
                if total > _MOST:
                    message = f"the files up to this one have more than {_MOST >> 20} MiB"
                    problem = errors.Problem(
                        where=inside, message=message, hint="give the folder of one repository"
                    )
                    raise errors.GitOpsError("the repository cannot be read", [problem])
                try:
                    files[inside] = data.decode()
                except UnicodeDecodeError:
                    left_out[inside] = "no UTF-8 text"
        return cls.of(files, origin=str(folder), left_out=left_out)

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


def _unreadable(path: Path) -> str:
    """Return why the content of the file `path` does not count, or an empty text."""
    if path.is_symlink():
        return "a symbolic link"
    if not path.is_file():
        return "no regular file"
    if path.stat().st_size > _BIG:
        return f"larger than {_BIG >> 20} MiB"
    return ""


def normal_path(path: str) -> str:
    """Return a Flux `spec.path` as this module writes folders: no ``./``, no slashes around.

    A path cannot leave the repository: ``..`` at the top is dropped, as the
    controller does.
    """
    return posixpath.normpath("/" + path).strip("/")
