"""Kustomization files as kustomize may read them: every reference stays in the tree.

kustomize follows absolute paths, ``..``, addresses and Git repositories from
many fields, and reads field names without regard to case. So a kustomization
is not given to it as it was written. It gets the parsed content with each
reference as a path that begins with ``./`` or ``../`` and ends in the tree;
such a path is no address to it. What cannot be written so is a problem.

kustomize-controller does the same with a file system that refuses whatever is
not in or below the folder of the source's artifact (fluxcd/pkg, kustomize/filesys).
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from provision import errors
from provision.gitops import documents
from provision.gitops.tree import Tree

REMOTE: Final = re.compile(
    r"^(?:git::|gh:|[a-z][a-z0-9+.-]*://|[\w.-]+@[\w.-]+[:/]|github\.com[:/][^/]+/.)"
    r"|\?(?:.*&)?(?:ref|version)=",
    re.IGNORECASE,
)
_ADDRESS: Final = re.compile(r"^(?:git::)?[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_FILE_ADDRESS: Final = re.compile(r"^(?:git::)?file:", re.IGNORECASE)
_INCLUDES: Final = ("resources", "bases", "components")
_FILES: Final = ("configurations", "crds")
_PLUGINS: Final = ("generators", "transformers", "validators")
_PATCHES: Final = ("patches", "patchesJson6902", "replacements")
_GENERATORS: Final = ("configMapGenerator", "secretGenerator")
_HELM: Final = ("helmCharts", "helmChartInflationGenerator")
_FIELDS: Final = {
    name.casefold(): name
    for name in (
        *("apiVersion", "kind", "metadata", "openapi", "namePrefix", "nameSuffix", "namespace"),
        *("commonLabels", "labels", "commonAnnotations", "patchesStrategicMerge", "images"),
        *("imageTags", "replicas", "vars", "sortOptions", "helmGlobals", "generatorOptions"),
        *("inventory", "buildMetadata"),
        *(*_INCLUDES, *_FILES, *_PLUGINS, *_PATCHES, *_GENERATORS, *_HELM),
    )
}
_READING: Final = {
    name.casefold(): name for name in ("path", "files", "envs", "env", "paths", "targetFilePath")
}
"""Fields of patches, generators and plugins that name files."""
_PURE: Final = frozenset(["apiVersion", "kind", "metadata", "resources"])
_UNWRITABLE: Final = re.compile("[\x7f-\xa0\u2028\u2029\ufeff]")


@dataclass(kw_only=True)
class Checked:
    """A kustomization whose references are safe to follow.

    `includes` are the resources, bases and components, `files` what else it
    reads, as they are in `content`. With `problems`, `content` must not be built.
    """

    content: dict[str, Any] = field(default_factory=dict[str, Any])
    problems: list[errors.Problem] = field(default_factory=list[errors.Problem])
    includes: list[str] = field(default_factory=list[str])
    files: list[str] = field(default_factory=list[str])
    remote: list[str] = field(default_factory=list[str])


def checked(tree: Tree, path: str) -> Checked:
    """Return the kustomization file at `path` of `tree`, checked once."""
    known = tree.memo.get(("kustomization", path))
    if known is None:
        problems: list[errors.Problem] = []
        docs = documents.read_text(tree.files[path], path, problems)
        known = Checked(problems=problems)
        if docs and not problems:
            known = of_content(tree, posixpath.dirname(path), docs[0].obj, path)
        tree.memo["kustomization", path] = known
    return known


def read(tree: Tree, path: str, problems: list[errors.Problem]) -> dict[str, Any]:
    """Return the content of a kustomization file; what is wrong goes to `problems`."""
    found = checked(tree, path)
    problems += found.problems
    return found.content


def of_content(tree: Tree, folder: str, content: Mapping[str, Any], file: str = "") -> Checked:
    """Return `content`, a kustomization for `folder`, checked. It was read from `file`, if any."""
    check = _Check(tree, folder, file)
    check.run(content)
    return check.found


def text(value: Any) -> str:
    """Return `value` as JSON that every YAML parser reads alike.

    Raises `TypeError` or `ValueError` for what JSON cannot hold.
    """
    written = json.dumps(value, ensure_ascii=False, allow_nan=False)
    written.encode()  # a surrogate alone is no character
    return _UNWRITABLE.sub(lambda found: f"\\u{ord(found.group()):04x}", written)


class _Check:
    """One check. After `run`: `found`."""

    def __init__(self, tree: Tree, folder: str, file: str) -> None:
        self._tree = tree
        self._folder = folder
        self._file = file
        self._written_in = file
        self.found = Checked()

    def run(self, content: Mapping[str, Any]) -> None:
        for given, value in content.items():
            key = _FIELDS.get(str(given).casefold())
            if key is None:
                self._refuse(str(given), "", "kustomize knows no such field")
            elif key in self.found.content:
                self._refuse(str(given), "", "the field is there twice")
            else:
                self.found.content[key] = self._field(key, value) if value else value
        try:
            text(self.found.content)
        except (TypeError, ValueError):
            self._refuse("", "", "it has a value that is not possible in JSON")

    def _field(self, key: str, value: Any) -> Any:
        if key in _HELM:
            message = (
                "kustomize-controller runs no Helm here: it says 'must specify --enable-helm';"
                " use a HelmRelease"
            )
            self._refuse(key, "", message)
        elif key == "openapi":
            return self._mapping(key, value)
        if not isinstance(value, list):
            return value
        if key in _INCLUDES:
            return [one for entry in value if (one := self._include(key, entry)) is not None]
        if key in _FILES:
            return [self._path(key, entry) for entry in value]
        if key in _PLUGINS:
            return [one for entry in value for one in self._plugins(key, entry)]
        if key == "patchesStrategicMerge":
            return [self._patch(key, entry) for entry in value]
        if key in _PATCHES or key in _GENERATORS:
            return [self._mapping(key, entry) for entry in value]
        return value

    # -- references --------------------------------------------------------

    def _include(self, key: str, entry: Any) -> Any:
        """Return a resource, base or component; None for one that lies elsewhere."""
        if not isinstance(entry, str) or not entry:
            return entry
        if self._is_remote(entry) and not _FILE_ADDRESS.match(entry):
            self.found.remote.append(f"{self._file or self._folder or '.'}: {entry}")
            return None
        return self._inside(key, entry, self.found.includes)

    def _is_remote(self, entry: str) -> bool:
        """Return whether kustomize takes `entry` for an address: it looks for a file first."""
        target = self._target(entry)
        if _ADDRESS.match(entry):
            return True
        if target in self._tree.files or not REMOTE.search(entry):
            return False
        return target not in self._tree.folders or REMOTE.match(entry) is not None

    def _path(self, key: str, entry: Any, *, plugin: bool = False) -> Any:
        """Return the path of a file that is read as it is, or of a `plugin`."""
        if not isinstance(entry, str) or not entry:
            return entry
        remote = self._is_remote(entry) if plugin else _ADDRESS.match(entry)
        if remote and not _FILE_ADDRESS.match(entry):
            message = (
                f"{entry}: kustomize-controller fetches it at every build; elysium fetches nothing"
                " and cannot tell what comes of it; save a copy in the repository"
            )
            self._refuse(key, entry, message)
            return entry
        return self._inside(key, entry, self.found.files)

    def _inside(self, key: str, entry: str, into: list[str]) -> str:
        target = self._target(entry)
        if target is None or _FILE_ADDRESS.match(entry):
            message = (
                f"{entry}: it is not in the repository; kustomize-controller reads only what is"
                " in or below the repository's folder, and stops at this"
            )
            self._refuse(key, entry, message)
            return entry
        way = posixpath.relpath(target or ".", self._folder or ".")
        safe = way if way.startswith("../") or way in (".", "..") else f"./{way}"
        into.append(safe)
        return safe

    def _target(self, entry: str) -> str | None:
        """Return the path in the tree that `entry` means, or None when it is outside."""
        if posixpath.isabs(entry) or "\0" in entry:
            return None
        found = posixpath.normpath(posixpath.join(self._folder, entry))
        if found == ".." or found.startswith("../"):
            return None
        return "" if found == "." else found

    # -- fields with references ----------------------------------------------

    def _mapping(self, key: str, item: Any) -> Any:
        """Return `item` with the files that it names checked; other fields stay."""
        if not isinstance(item, Mapping):
            return item
        made: dict[Any, Any] = {}
        for given, value in item.items():
            name = _READING.get(str(given).casefold(), given)
            if name in made:
                self._refuse(f"{key}.{given}", "", "the field is there twice")
            made[name] = self._read(f"{key}.{name}", str(name), value)
        return made

    def _read(self, key: str, name: str, value: Any) -> Any:
        if name in ("path", "env", "targetFilePath"):
            return self._path(key, value)
        if not isinstance(value, list):
            return value
        if name == "envs":
            return [self._path(key, entry) for entry in value]
        if name == "files":
            return [self._source(key, entry) for entry in value]
        if name == "paths":
            return [self._patch(key, entry) for entry in value]
        return value

    def _source(self, key: str, entry: Any) -> Any:
        """Return ``key=path`` or ``path`` of a generator."""
        if not isinstance(entry, str):
            return entry
        name, equals, path = entry.partition("=")
        if "=" in path:
            self._refuse(key, entry, f"{entry}: kustomize refuses a second '='")
            return entry
        return f"{name}={self._path(key, path)}" if equals else self._path(key, entry)

    def _patch(self, key: str, entry: Any) -> Any:
        """Return a strategic merge patch: an object written here, or the path of a file.

        kustomize takes for a path what it cannot parse as an object.
        """
        if not isinstance(entry, str):
            return entry
        docs = _inline(entry)
        return self._path(key, entry) if docs is None else self._written(entry, docs)

    def _written(self, entry: str, docs: list[dict[str, Any]]) -> str:
        """Return the text of objects that were written as `entry`: harmless as a path, too."""
        if self._target(entry) is not None and not REMOTE.match(entry):
            return entry
        try:
            return "\n---\n".join(text(doc) for doc in docs)
        except (TypeError, ValueError):
            return entry.replace("/", " ")

    # -- plugins ---------------------------------------------------------------

    def _plugins(self, key: str, entry: Any) -> Iterator[Any]:
        """Yield what a list of plugins shall hold for `entry`: objects, never a path."""
        if not isinstance(entry, str) or not entry:
            yield entry
            return
        docs = _inline(entry)
        if docs is None:
            before = len(self.found.problems)
            safe = self._path(key, entry, plugin=True)
            target = self._target(entry)
            if target is None or len(self.found.problems) > before:
                return
            if target not in self._tree.files and not self._tree.kustomization(target):
                yield safe  # kustomize says that it is not there
                return
            for doc in self._configured(key, entry, target, frozenset()):
                self._written_in = doc.file
                yield self._plugin(key, doc.obj)
                self._written_in = self._file
            return
        for obj in docs:
            yield self._plugin(key, obj)

    def _configured(
        self, key: str, entry: str, target: str, above: frozenset[str]
    ) -> list[documents.Document]:
        """Return the objects in the file or folder `target`, which `entry` leads to."""
        tree = self._tree
        if target in tree.files:
            self.found.files.append(posixpath.relpath(target, self._folder or "."))
            return documents.read_text(tree.files[target], target, self.found.problems)
        name = tree.kustomization(target)
        if not name or name in above:
            return []
        inner = checked(tree, name)
        self.found.problems += inner.problems
        if set(inner.content) - _PURE:
            message = (
                f"{entry}: elysium takes plugins only from files and from folders that list"
                " resources and change nothing; list the files"
            )
            self._refuse(key, entry, message)
            return []
        return [
            doc
            for one in inner.includes
            for doc in self._configured(key, entry, joined(target, one), above | {name})
        ]

    def _plugin(self, key: str, obj: dict[str, Any]) -> str:
        made = self._mapping(key, obj)
        for name in [name for name in made if str(name).casefold() == "replacements"]:
            value = made[name]
            if isinstance(value, list):
                made[name] = [self._mapping(f"{key}.replacements", one) for one in value]
        if str(made.get("kind")) == "HelmChartInflationGenerator":
            message = "kustomize-controller runs no Helm here: it says 'must specify --enable-helm'"
            self._refuse(key, "HelmChartInflationGenerator", message)
        try:
            return text(made)
        except (TypeError, ValueError):
            self._refuse(key, "", "it has a value that is not possible in JSON")
            return ""

    def _refuse(self, key: str, entry: str, message: str) -> None:
        where = self._written_in or self._folder or "."
        if self._written_in:
            source = self._tree.files[self._written_in]
            needle = entry or key.rpartition(".")[2]
            where = f"{where}:{documents.line_of_value(source, needle)}"
        self.found.problems.append(errors.Problem(where=where, key=key, message=message))


def joined(folder: str, entry: str) -> str:
    """Return the path in the tree that the checked reference `entry` of `folder` means."""
    found = posixpath.normpath(posixpath.join(folder, entry))
    return "" if found == "." else found


def _inline(entry: str) -> list[dict[str, Any]] | None:
    """Return the objects that `entry` is the YAML of, or None when it is a path."""
    try:
        loaded = [doc for doc in documents.load_all(entry) if doc is not None]
    except yaml.YAMLError:
        return None
    for doc in loaded:
        metadata = doc.get("metadata") if isinstance(doc, dict) else None
        if not isinstance(metadata, dict) or not doc.get("kind") or not metadata.get("name"):
            return None
    return loaded or None
