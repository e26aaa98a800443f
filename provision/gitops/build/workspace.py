"""Folders on disk that kustomize can build, each with one Kustomization's overrides."""

from __future__ import annotations

import contextlib
import os
import posixpath
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, Final

from provision import errors
from provision.fileio import contents, leftovers
from provision.gitops.build import layout, partition, references
from provision.gitops.tree import KUSTOMIZATIONS, Tree

_PREFIX: Final = "elysium-gitops-"
_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - mkdtemp makes a folder of our own in it
_SPARE: Final = 16
"""How much more room than the tree's size there must be: a small file takes a whole block."""


@dataclass(frozen=True, kw_only=True)
class Overlay:
    """A folder to build, and what a Flux Kustomization overrides in it.

    `path` is normalised (`gitpaths.normal`); the other fields are those of
    the Kustomization's spec, lists as JSON-like values.
    """

    path: str
    target_namespace: str = ""
    name_prefix: str = ""
    name_suffix: str = ""
    patches: tuple[Any, ...] = ()
    images: tuple[Any, ...] = ()
    components: tuple[str, ...] = ()
    ignore_missing_components: bool = False
    build_metadata: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A folder to give to kustomize, in place of `path`; `name` is its own path in the copy.

    `keeps_origin`: the controller's own build would leave origin annotations. `content` is its
    kustomization, `files` are the files of the tree that take part; a piece of a bigger build has
    none. `run` is the folder that kustomize runs in, when it is not this one.
    """

    folder: Path
    name: str
    path: str
    keeps_origin: bool
    content: Mapping[str, Any] = field(default_factory=dict[str, Any])
    files: tuple[str, ...] = ()
    run: str = ""

    def original(self, path: str) -> str:
        """Return where a file that this build names by `path` lies in the repository."""
        whole = posixpath.normpath(posixpath.join(self.run or self.name, path))
        if whole == self.name or whole.startswith(f"{self.name}/"):
            whole = posixpath.join(self.path, posixpath.relpath(whole, self.name))
        return posixpath.normpath(whole)


@dataclass(frozen=True, kw_only=True)
class Order:
    """What has to be built for one overlay, or the `problems` why nothing is.

    The objects of all `folders` together are those of the overlay. `remote`
    is what the overlay itself names elsewhere.
    """

    folders: tuple[Prepared, ...] = ()
    problems: tuple[errors.Problem, ...] = ()
    remote: tuple[str, ...] = ()


class Workspace:
    """A temporary copy of a tree, made at first use. Call `close` at the end."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._root: Path | None = None
        self._held: IO[str] | None = None
        self._count = 0

    def close(self) -> None:
        """Remove the copy."""
        if self._root:
            shutil.rmtree(self._root.parent, ignore_errors=True)
            self._root = None
        if self._held is not None:
            self._held.close()
            self._held = None

    @property
    def root(self) -> Path:
        """Return the folder with the copy.

        Raises `errors.GitOpsError` for a tree that this machine's file system cannot hold.
        """
        if self._root is None:
            if self._tree.problems:
                raise errors.GitOpsError("the repository cannot be built", [*self._tree.problems])
            parent = _parent(sum(map(len, self._tree.files.values())))
            for folder in {parent, Path(tempfile.gettempdir())}:
                leftovers.sweep(folder, _PREFIX)
            self._root = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent)) / "tree"
            self._held = leftovers.claim(self._root.parent)
            self._root.mkdir()
            for folder in sorted(self._tree.folders - {""}):
                self._make(folder, None)
            for path, content in self._tree.files.items():
                if posixpath.basename(path) in KUSTOMIZATIONS:
                    self._make_kustomization(path)
                else:
                    self._make(path, content)
        return self._root

    def _make_kustomization(self, path: str) -> None:
        """Make the kustomization file `path` with its checked content, or not at all.

        Nothing that is built reaches one that is left out: `prepare` refuses it.
        """
        checked = references.checked(self._tree, path)
        if not checked.problems:
            self._make(path, references.text(checked.content))

    def _make(self, path: str, content: str | None) -> None:
        """Make the file or folder `path`, never through something that is there."""
        target = self.root / path
        try:
            if content is None:
                target.mkdir()
                return
            with target.open("xb") as file:
                file.write(contents.data(content))
        except (OSError, UnicodeEncodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not valid Unicode"
            if isinstance(error, FileExistsError):
                reason = "its name differs from another one's only in case or Unicode form"
            problem = errors.Problem(
                where=path, message=f"this machine's file system cannot hold it: {reason}"
            )
            raise errors.GitOpsError("the repository cannot be built", [problem]) from error

    def prepare(self, overlay: Overlay) -> Order:
        """Return what to build for `overlay`, whose kustomizations were all checked."""
        tree = self._tree
        if overlay.path not in tree.folders:
            return Order()
        name = tree.kustomization(overlay.path)
        content = references.read(tree, name, []) if name else _generated(tree, overlay.path)
        walked = [layout.walk(tree, overlay.path, check=False)]
        if walked[0].refusals:
            return Order(problems=tuple(walked[0].refusals))
        made, keeps_origin = _overridden(tree, content, overlay, existing=bool(name))
        own = references.of_content(tree, overlay.path, made)
        walked += [
            layout.walk(tree, folder, check=False)
            for entry in own.content.get("components") or ()
            if (folder := references.joined(overlay.path, str(entry))) in tree.folders
        ]
        problems = [*own.problems, *(p for walk in walked for p in walk.refusals)]
        if problems:
            return Order(problems=tuple(dict.fromkeys(problems)))
        folders = self._folders(overlay, name, own.content, keeps_origin)
        if len(folders) == 1:
            files = dict.fromkeys(path for walk in walked for path in walk.files)
            folders = [replace(folders[0], content=own.content, files=tuple(files))]
        return Order(folders=tuple(folders), remote=tuple(own.remote))

    def _folders(
        self, overlay: Overlay, name: str, content: Mapping[str, Any], keeps_origin: bool
    ) -> list[Prepared]:
        groups = partition.cut(self._tree, overlay.path, content)
        if len(groups) > 1:
            return [self._piece(overlay, content, group, keeps_origin) for group in groups]
        folder = self.sibling(overlay.path)
        prefix = f"{overlay.path}/" if overlay.path else ""
        own = posixpath.basename(name) or "kustomization.yaml"
        for path in self._tree.below(overlay.path):
            target = folder / path.removeprefix(prefix)
            if path == name or not (self.root / path).exists():
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(self.root / path, target)
        (folder / own).write_text(references.text(content), encoding="utf-8")
        return [self._prepared(folder, overlay, keeps_origin)]

    def sibling(self, path: str) -> Path:
        """Make a folder beside `path`.

        Of the same depth, so that relative references keep their meaning; of
        its own, so that another build with `path` as a base sees no override.
        """
        while True:
            self._count += 1
            folder = self.root / posixpath.dirname(path) / f".build-{self._count}"
            if not os.path.lexists(folder):  # the repository may use the name
                folder.mkdir(parents=True)
                return folder

    def _piece(
        self, overlay: Overlay, content: Mapping[str, Any], entries: list[str], keeps_origin: bool
    ) -> Prepared:
        folder = self.sibling(overlay.path)
        back = posixpath.relpath(overlay.path or ".", folder.relative_to(self.root).as_posix())
        part = {key: value for key, value in content.items() if key != "bases"}
        part["resources"] = [posixpath.normpath(posixpath.join(back, entry)) for entry in entries]
        (folder / "kustomization.yaml").write_text(references.text(part), encoding="utf-8")
        return self._prepared(folder, overlay, keeps_origin)

    def _prepared(self, folder: Path, overlay: Overlay, keeps_origin: bool) -> Prepared:
        name = folder.relative_to(self.root).as_posix()
        return Prepared(folder=folder, name=name, path=overlay.path, keeps_origin=keeps_origin)


def _parent(size: int) -> Path:
    """Return the folder for a copy of `size` characters: in memory where that has much room.

    A copy has thousands of small files, which take a disk longer than the builds. A user who
    names a folder for temporary files (`TMPDIR`) gets that one.
    """
    chosen = Path(tempfile.gettempdir())
    if any(os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP")):
        return chosen
    with contextlib.suppress(OSError):
        room = os.statvfs(_MEMORY)
        free = room.f_bavail * room.f_frsize
        if size * _SPARE < free and os.access(_MEMORY, os.W_OK | os.X_OK):
            return _MEMORY
    return chosen


def _generated(tree: Tree, folder: str) -> dict[str, Any]:
    resources = [posixpath.relpath(p, folder or ".") for p in layout.scan(tree, folder)]
    content: dict[str, Any] = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
    }
    # kustomize refuses an empty file, the controller does not.
    return content | ({"resources": resources} if resources else {"namespace": "_placeholder"})


def _overridden(
    tree: Tree, content: Mapping[str, Any], overlay: Overlay, *, existing: bool
) -> tuple[dict[str, Any], bool]:
    made = dict(content)
    metadata = list(made.get("buildMetadata") or ())
    if existing and not made.get("resources"):
        # So does the controller, to get past "kustomization.yaml is empty".
        metadata = ["originAnnotations"]
    metadata = list(overlay.build_metadata) or metadata
    keeps_origin = "originAnnotations" in metadata
    made["buildMetadata"] = metadata if keeps_origin else [*metadata, "originAnnotations"]
    for key, value in (
        ("namespace", overlay.target_namespace),
        ("namePrefix", overlay.name_prefix),
        ("nameSuffix", overlay.name_suffix),
    ):
        if value:
            made[key] = value
    if overlay.patches:
        made["patches"] = [*(made.get("patches") or ()), *map(_patch, overlay.patches)]
    here = [
        component
        for component in overlay.components
        if not overlay.ignore_missing_components
        or posixpath.normpath(posixpath.join(overlay.path, component)) in tree.folders
    ]
    if here:
        made["components"] = [*(made.get("components") or ()), *here]
    if overlay.images:
        made["images"] = _images(made.get("images") or (), overlay.images)
    return made, keeps_origin


def _patch(patch: Any) -> Any:
    """Return a patch of a Flux Kustomization's spec: it has these two fields only."""
    if not isinstance(patch, Mapping):
        return patch
    return {key: patch[key] for key in ("patch", "target") if key in patch}


def _images(old: Sequence[Any], new: Sequence[Any]) -> list[Any]:
    """Return `old` with `new` merged by name: a tag and a digest displace each other."""
    made = [dict(image) for image in old]
    for image in new:
        same = next((one for one in made if one.get("name") == image.get("name")), None)
        if same is None:
            made.append(dict(image))
            continue
        if image.get("newName"):
            same["newName"] = image["newName"]
        if image.get("newTag") or image.get("digest"):
            same.pop("newTag", None)
            same.pop("digest", None)
            same |= {k: image[k] for k in ("newTag", "digest") if image.get(k)}
    return made
