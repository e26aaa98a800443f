"""The checkout that a file lies in, and how its Kustomizations apply what is sealed there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from provision.gitops import tree
    from provision.gitops.build import placement
    from provision.gitops.sealing import keys as sealing_keys
    from provision.gitops.sealing.applied import Applied

_GIT: Final = ".git"
_MARKS: Final = (_GIT, "clusters", "cluster", "kubernetes", "k8s", ".sourceignore")
"""What is at the top of a GitOps repository, by custom."""


class Checkouts:
    """The repositories around files of this computer, each read and built once, when asked for."""

    def __init__(
        self, keys: Sequence[sealing_keys.SealingKey] = (), folders: Iterable[Path] = ()
    ) -> None:
        """Begin with none. Each of `folders` may be one, too.

        `keys` open SealedSecrets that Kustomizations take values from.
        """
        self._keys = keys
        self._folders = {_absolute(folder) for folder in folders}
        self._built: dict[Path, placement.Placement | None] = {}
        self._trees: dict[Path, tree.Tree | None] = {}

    def applied(self, path: str, obj: Mapping[str, Any]) -> Sequence[Applied]:
        """Return how the SealedSecret `obj` in the file `path` is applied; nothing if it is not."""
        file = _absolute(Path(path))
        for root in self._roots(file.parent):
            built = self._placement(root)
            if built is not None:
                found = built.of(file.relative_to(root).as_posix(), obj)
                if found:
                    return found
        return ()

    def of_new(self, folder: Path, obj: Mapping[str, Any]) -> Sequence[Applied]:
        """Return how a SealedSecret `obj` would be applied from a new file in `folder`."""
        from provision.gitops.build import placement

        folder = _absolute(folder)
        for root in self._roots(folder):
            read = self._tree(root)
            if read is not None:
                found = placement.of_new(read, folder.relative_to(root).as_posix(), obj)
                if found:
                    return found
        return ()

    @property
    def failed(self) -> tuple[str, ...]:
        """Return the Kustomizations that do not build, of the checkouts that were asked."""
        return tuple(
            name for built in self._built.values() if built is not None for name in built.failed
        )

    def _roots(self, folder: Path) -> Iterator[Path]:
        """Yield the folders that may be the repository around `folder`, the nearest first."""
        for one in (folder, *folder.parents):
            if one in self._folders or any((one / name).exists() for name in _MARKS):
                yield one
            if (one / _GIT).exists():
                return

    def _placement(self, root: Path) -> placement.Placement | None:
        from provision.gitops.build import placement

        if root not in self._built:
            read = self._tree(root)
            self._built[root] = placement.Placement(read, keys=self._keys) if read else None
        return self._built[root]

    def _tree(self, root: Path) -> tree.Tree | None:
        from provision import errors
        from provision.gitops import tree

        if root not in self._trees:
            try:
                self._trees[root] = tree.Tree.from_directory(root)
            except errors.GitOpsError:  # more than a repository: it is none
                self._trees[root] = None
        return self._trees[root]


def _absolute(path: Path) -> Path:
    return path.resolve()
