"""Which charts the repositories of a sandbox ask for, at which addresses.

Everything is read from Git: the files as they are, and what Flux would make of
them for each cluster. Both together name at least what source-controller asks for.
"""

from __future__ import annotations

import ipaddress
import re
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

from provision import errors
from provision.gitops import documents
from provision.gitops.build import discovery, placement
from provision.gitops.coldstart import api, charts
from provision.gitops.documents import mapping
from provision.gitops.tree import Tree
from provision.sandbox.charts import versions
from provision.sandbox.forge import bare

_FRESH: Final = 1.0  # seconds for which the branches are taken to be the same
_YAML: Final = (".yaml", ".yml")
_WORDS: Final = ("HelmRe", "HelmChart", "OCIRepository")
_HOST: Final = re.compile(
    r"(?=.{4,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+"
)
_INSIDE: Final = (".svc", ".local", ".localhost", ".internal")
_CLUSTER_SCOPED: Final = "Cluster"


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind that objects of the repository have."""

    group: str
    kind: str
    versions: tuple[str, ...]
    namespaced: bool


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the repositories ask for.

    `indexes` maps the address of a chart repository, host and path, to its charts and their
    versions; `images` does so for a registry, with the path of each chart. `kinds` are the
    kinds that a chart may have to define.
    """

    indexes: Mapping[tuple[str, str], Mapping[str, tuple[str, ...]]] = field(
        default_factory=dict[tuple[str, str], Mapping[str, tuple[str, ...]]]
    )
    images: Mapping[tuple[str, str], tuple[str, ...]] = field(
        default_factory=dict[tuple[str, str], tuple[str, ...]]
    )
    kinds: tuple[Kind, ...] = ()

    @property
    def hosts(self) -> frozenset[str]:
        """The hosts that charts come from."""
        return frozenset(host for host, _ in (*self.indexes, *self.images))


class Repositories:
    """The bare repositories below `folder`, read again when a branch has moved. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._seen: dict[str, Wanted] = {}
        self._now = Wanted()
        self._checked = 0.0

    def wanted(self) -> Wanted:
        """Return what all of them ask for now."""
        with self._lock:
            if time.monotonic() - self._checked >= _FRESH:
                self._now = self._read()
                self._checked = time.monotonic()
            return self._now

    def _read(self) -> Wanted:
        found: list[Wanted] = []
        seen: dict[str, Wanted] = {}
        for path in sorted(self._folder.glob("**/*.git")):
            repository = bare.Bare(path)
            try:
                heads = repository.git("for-each-ref", "--format=%(objectname)", "refs/heads")
                for commit in dict.fromkeys(heads.split()):
                    if commit not in seen:
                        seen[commit] = self._seen.get(commit) or of(_objects(repository, commit))
                    found.append(seen[commit])
            except errors.ElysiumError:
                continue  # a repository that is just being made has nothing yet
        self._seen = seen
        return _together(found)


def _objects(repository: bare.Bare, commit: str) -> list[Mapping[str, Any]]:
    """Return the objects in the files of `commit`, and what Flux makes of them."""
    tree = Tree.of(_files(repository, commit))
    found: list[Mapping[str, Any]] = []
    for text in tree.files.values():
        found += _parsed(text)
    if not any(word in text for text in tree.files.values() for word in _WORDS):
        return found  # no build can make a source of charts of it
    for cluster in placement.clusters(tree):
        for unit in discovery.discover(tree, cluster).units:
            found += [doc.obj for doc in unit.objects]
    return found


def _files(repository: bare.Bare, commit: str) -> dict[str, str]:
    names = repository.git("ls-tree", "-r", "-z", "--name-only", commit).split("\0")
    result: dict[str, str] = {}
    for name in names:
        if name.endswith((*_YAML, ".sourceignore", ".json")):
            result[name] = repository.git("show", f"{commit}:{name}")
    return result


def _parsed(text: str) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    for _, part in documents.split(text):
        try:
            found += [one for one in documents.load_all(part) if isinstance(one, dict)]
        except (yaml.YAMLError, ValueError, RecursionError):
            continue  # a file that Flux cannot read asks for nothing
    return found


def of(objects: Iterable[Mapping[str, Any]]) -> Wanted:
    """Return what `objects` ask for."""
    urls: dict[tuple[str, str], dict[str, None]] = {}
    asked: list[tuple[str, str, str]] = []
    images: dict[tuple[str, str], dict[str, None]] = {}
    kinds: dict[tuple[str, str], Kind] = {}
    for obj in objects:
        kind, spec = str(obj.get("kind")), mapping(obj.get("spec"))
        name = str(mapping(obj.get("metadata")).get("name"))
        if kind == "HelmRepository":
            urls.setdefault((kind, name), {})[str(spec.get("url"))] = None
        elif kind == "OCIRepository":
            _add_image(images, str(spec.get("url")), _tags(mapping(spec.get("ref"))))
        elif kind in ("HelmRelease", "HelmChart"):
            chart = spec if kind == "HelmChart" else mapping(mapping(spec.get("chart")).get("spec"))
            ref = mapping(chart.get("sourceRef"))
            if ref.get("kind") == "HelmRepository" and chart.get("chart"):
                version = str(chart.get("version") or "*")
                asked.append((str(ref.get("name")), str(chart["chart"]), version))
        _add_kind(kinds, obj)
    indexes: dict[tuple[str, str], dict[str, dict[str, None]]] = {}
    for (_, name), addresses in urls.items():
        for url in addresses:
            wanted = [(chart, version) for ref, chart, version in asked if ref == name]
            if url.startswith("oci://"):
                for chart, version in wanted:
                    _add_image(images, f"{url.rstrip('/')}/{chart}", versions.satisfying(version))
                continue
            at = _address(url)
            if at is None:
                continue
            index = indexes.setdefault(at, {})
            for chart, version in wanted:
                index.setdefault(chart, {}).update(dict.fromkeys(versions.satisfying(version)))
    return Wanted(
        indexes={at: {c: tuple(v) for c, v in index.items()} for at, index in indexes.items()},
        images={at: tuple(tags) for at, tags in images.items()},
        kinds=tuple(kinds.values()),
    )


def _tags(ref: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the versions that the `ref` of an OCIRepository can mean."""
    if ref.get("digest"):
        return ()  # no chart of ours has the digest of another
    if ref.get("semver"):
        return versions.satisfying(str(ref["semver"]))
    return (str(ref.get("tag") or "latest"),)


def _add_image(
    images: dict[tuple[str, str], dict[str, None]], url: str, tags: Iterable[str]
) -> None:
    at = _address(url)
    if at is not None and at[1]:
        images.setdefault(at, {}).update(dict.fromkeys(tags))


def _address(url: str) -> tuple[str, str] | None:
    """Return host and path of a public address; None where the sandbox has no such name."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        return None
    if parts.scheme not in ("https", "http", "oci") or port not in (None, 80, 443):
        return None
    if not _HOST.fullmatch(host) or host.endswith(_INSIDE) or _is_address(host):
        return None
    return host, parts.path.strip("/")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _add_kind(kinds: dict[tuple[str, str], Kind], obj: Mapping[str, Any]) -> None:
    group, _, version = str(obj.get("apiVersion") or "").rpartition("/")
    kind = obj.get("kind")
    if not group or not isinstance(kind, str) or api.is_fixed(group) or "." not in group:
        return
    namespaced = bool(mapping(obj.get("metadata")).get("namespace"))
    namespaced = namespaced and not kind.startswith(_CLUSTER_SCOPED)
    known = kinds.get((group, kind))
    kinds[group, kind] = Kind(
        group=group,
        kind=kind,
        versions=tuple(dict.fromkeys([*(known.versions if known else ()), version])),
        namespaced=namespaced or (known is not None and known.namespaced),
    )


def _together(all_: Iterable[Wanted]) -> Wanted:
    indexes: dict[tuple[str, str], dict[str, tuple[str, ...]]] = {}
    images: dict[tuple[str, str], tuple[str, ...]] = {}
    kinds: dict[tuple[str, str], Kind] = {}
    for one in all_:
        for at, index in one.indexes.items():
            here = indexes.setdefault(at, {})
            for chart, found in index.items():
                here[chart] = tuple(dict.fromkeys([*here.get(chart, ()), *found]))
        for at, tags in one.images.items():
            images[at] = tuple(dict.fromkeys([*images.get(at, ()), *tags]))
        for kind in one.kinds:
            known = kinds.get((kind.group, kind.kind), kind)
            kinds[kind.group, kind.kind] = Kind(
                group=kind.group,
                kind=kind.kind,
                versions=tuple(dict.fromkeys([*known.versions, *kind.versions])),
                namespaced=known.namespaced or kind.namespaced,
            )
    return Wanted(indexes=indexes, images=images, kinds=tuple(kinds.values()))


def defined_by(chart: str, wanted: Wanted) -> tuple[Kind, ...]:
    """Return the kinds of `wanted` that `chart` has to define.

    A chart of the cold start's table defines those of its groups; another one those that
    resemble its name and that no chart of the table defines.
    """
    listed = charts.CHARTS.get(chart)
    if listed is not None:
        return tuple(kind for kind in wanted.kinds if kind.group in listed.groups)
    return tuple(
        kind
        for kind in wanted.kinds
        if not charts.definers(kind.group) and charts.resembles([chart], kind.group, kind.kind)
    )
