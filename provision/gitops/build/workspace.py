"""Folders on disk that kustomize can build, each with one Kustomization's overrides."""

from __future__ import annotations

import os
import posixpath
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provision import errors
from provision.gitops import documents
from provision.gitops.build import layout, partition
from provision.gitops.tree import Tree


@dataclass(frozen=True, kw_only=True)
class Overlay:
    """A folder to build, and what a Flux Kustomization overrides in it.

    `path` is normalised (`tree.normal_path`); the other fields are those of
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

    `keeps_origin`: the controller's own build would leave origin annotations.
    """

    folder: Path
    name: str
    path: str
    keeps_origin: bool

    def original(self, path: str) -> str:
        """Return where a file that this build names by `path` lies in the repository."""
        whole = posixpath.normpath(posixpath.join(self.name, path))
        if whole == self.name or whole.startswith(f"{self.name}/"):
            whole = posixpath.join(self.path, posixpath.relpath(whole, self.name))
        return posixpath.normpath(whole)


class Workspace:
    """A temporary copy of a tree, made at first use. Call `close` at the end."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._root: Path | None = None
        self._count = 0

    def close(self) -> None:
        """Remove the copy."""
        if self._root:
            shutil.rmtree(self._root.parent, ignore_errors=True)
            self._root = None

    @property
    def root(self) -> Path:
        """Return the folder with the copy."""
        if self._root is None:
            self._root = Path(tempfile.mkdtemp(prefix="elysium-gitops-")) / "tree"
            self._root.mkdir()
            for folder in sorted(self._tree.folders):
                (self._root / folder).mkdir(exist_ok=True)
            for path, content in self._tree.files.items():
                if self._tree.kustomization(posixpath.dirname(path)) == path:
                    content = layout.without_remote(content) or content
                (self._root / path).write_bytes(content.encode())
        return self._root

    def prepare(self, overlay: Overlay) -> list[Prepared]:
        """Return the folders to build for `overlay`; none when nothing could be built.

        The objects of all of them together are those of the overlay.
        """
        tree = self._tree
        if overlay.path not in tree.folders:
            return []
        name = tree.kustomization(overlay.path)
        problems: list[errors.Problem] = []
        content = layout.read(tree, name, problems) if name else _generated(tree, overlay.path)
        if problems:
            return []
        if name:
            clean = layout.without_remote(tree.files[name])
            content = documents.load_all(clean)[0] if clean else content
        made, keeps_origin = _overridden(tree, content, overlay, existing=bool(name))
        groups = partition.cut(tree, overlay.path, made)
        if len(groups) > 1:
            return [self._piece(overlay, made, group, keeps_origin) for group in groups]
        folder = self._sibling(overlay.path)
        prefix = f"{overlay.path}/" if overlay.path else ""
        for path in tree.below(overlay.path):
            target = folder / path.removeprefix(prefix)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(self.root / path, target)
        target = folder / (posixpath.basename(name) if name else "kustomization.yaml")
        target.unlink(missing_ok=True)  # never write through a link
        target.write_text(documents.dump(made))
        return [self._prepared(folder, overlay, keeps_origin)]

    def _sibling(self, path: str) -> Path:
        """Make a folder beside `path`.

        Of the same depth, so that relative references keep their meaning; of
        its own, so that another build with `path` as a base sees no override.
        """
        self._count += 1
        folder = self.root / posixpath.dirname(path) / f".build-{self._count}"
        folder.mkdir(parents=True)
        return folder

    def _piece(
        self, overlay: Overlay, content: Mapping[str, Any], entries: list[str], keeps_origin: bool
    ) -> Prepared:
        folder = self._sibling(overlay.path)
        back = posixpath.relpath(overlay.path or ".", folder.relative_to(self.root).as_posix())
        part = {key: value for key, value in content.items() if key != "bases"}
        part["resources"] = [posixpath.normpath(posixpath.join(back, entry)) for entry in entries]
        (folder / "kustomization.yaml").write_text(documents.dump(part))
        return self._prepared(folder, overlay, keeps_origin)

    def _prepared(self, folder: Path, overlay: Overlay, keeps_origin: bool) -> Prepared:
        name = folder.relative_to(self.root).as_posix()
        return Prepared(folder=folder, name=name, path=overlay.path, keeps_origin=keeps_origin)


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
        made["patches"] = [*(made.get("patches") or ()), *overlay.patches]
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
