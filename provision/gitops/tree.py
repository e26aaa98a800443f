"""The files of a repository, as Flux would get them."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from provision import errors
from provision.gitops import ignore

_KUSTOMIZATIONS: Final = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_BIG: Final = 4 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Tree:
    """Path to content of every file that Flux sees; paths relative, with ``/``.

    `origin` says what the tree is of (a folder, ``owner/repo@sha``).
    """

    files: Mapping[str, str]
    origin: str = ""

    @classmethod
    def of(cls, files: Mapping[str, str], *, origin: str = "") -> Tree:
        """Return the tree of `files`, ignored ones left out."""
        return cls(files=ignore.visible(files), origin=origin)

    @classmethod
    def from_directory(cls, folder: Path) -> Tree:
        """Read a checkout. Symbolic links, binary and very big files are left out, as is ``.git``.

        Raises `errors.GitOpsError` when `folder` is not a folder.
        """
        if not folder.is_dir():
            problem = errors.Problem(where=str(folder), message="it is not a folder")
            raise errors.GitOpsError("the repository cannot be read", [problem])
        files: dict[str, str] = {}
        for top, folders, names in os.walk(folder):
            folders[:] = sorted(f for f in folders if f != ".git")
            for name in sorted(names):
                path = Path(top) / name
                if path.is_symlink() or not path.is_file() or path.stat().st_size > _BIG:
                    continue
                try:
                    content = path.read_bytes().decode()
                except UnicodeDecodeError:
                    continue
                files[path.relative_to(folder).as_posix()] = content
        return cls.of(files, origin=str(folder))

    @cached_property
    def folders(self) -> frozenset[str]:
        """Return every folder that holds a file, at any depth; the root is ``""``."""
        found = {""}
        for path in self.files:
            folder = posixpath.dirname(path)
            while folder not in found:
                found.add(folder)
                folder = posixpath.dirname(folder)
        return frozenset(found)

    def below(self, folder: str) -> list[str]:
        """Return the paths of all files in `folder` and below, sorted."""
        prefix = f"{folder}/" if folder else ""
        return sorted(path for path in self.files if path.startswith(prefix))

    def kustomization(self, folder: str) -> str:
        """Return the path of the kustomization file in `folder`, or an empty text."""
        for name in _KUSTOMIZATIONS:
            path = posixpath.join(folder, name)
            if path in self.files:
                return path
        return ""


def normal_path(path: str) -> str:
    """Return a Flux `spec.path` as this module writes folders: no ``./``, no slashes around.

    A path cannot leave the repository: ``..`` at the top is dropped, as the
    controller does.
    """
    return posixpath.normpath("/" + path).strip("/")
