"""Why an object of Flux is not ready: the objects behind it that are not ready themselves.

A Kustomization waits for its source, its dependencies and the objects in its inventory; a
HelmRelease for its chart, the chart's source and the workloads that it installed. `find`
follows these to the objects that have nothing unready behind them.

Reads only, one list for each kind. Sources of facts: Flux' API reference for
``status.inventory`` (``<namespace>_<name>_<group>_<kind>``), ``status.helmChart`` and the
origin labels of helm-controller.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from provision import errors
from provision.kube import readiness, wait
from provision.provider.flux import objects

Object = Mapping[str, Any]
Key = tuple[str, str, str]
"""Kind, namespace, name."""

HELM: Final = ("helm.toolkit.fluxcd.io/v2", "helm.toolkit.fluxcd.io/v2beta2")
SOURCES: Final = (objects.SOURCE, "source.toolkit.fluxcd.io/v1beta2")
_FLUX: Final = ".toolkit.fluxcd.io"
_WORKLOADS: Final = (
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("apps/v1", "DaemonSet"),
    ("batch/v1", "Job"),
    ("v1", "PersistentVolumeClaim"),
)
_RELEASE_LABELS: Final = ("helm.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/namespace")
_BUILT_IN: Final = ("", "apps", "batch", "autoscaling", "policy", "extensions")
_DEEPEST: Final = 8
_SHOWN: Final = 400


class Reader(Protocol):
    """What is needed of a client."""

    def list(
        self,
        api_version: str,
        kind: str,
        namespace: str | None = None,
        label_selector: str | None = None,
    ) -> list[dict[str, Any]]:
        """Return all objects of a kind."""
        ...


@dataclass(frozen=True, kw_only=True)
class Cause:
    """One object that is not ready, and why. `failed`: nobody but a person changes that."""

    ref: wait.Ref
    reason: str
    failed: bool = False

    def __str__(self) -> str:
        return f"{self.ref}: {shortened(self.reason)}"


class Finder:
    """Finds causes at one moment: each kind of object is listed at most once."""

    def __init__(self, kube: Reader) -> None:
        self._kube = kube
        self._lists: dict[tuple[str, str], dict[tuple[str, str], Object]] = {}

    def find(self, obj: Object, seen: set[Key] | None = None) -> tuple[Cause, ...]:
        """Return what keeps `obj` from becoming ready: objects behind it, each once.

        `seen` are objects that are not to be followed; those that were are added. Empty where
        nothing behind it is unready, or where the cluster does not say.
        """
        seen = set() if seen is None else seen
        seen.add(key_of(obj))
        try:
            return tuple(
                cause for child in self._behind(obj) for cause in self._deepest(child, seen, 1)
            )
        except errors.KubeError:
            return ()

    def _deepest(self, found: Object | Cause, seen: set[Key], depth: int) -> Iterator[Cause]:
        if isinstance(found, Cause):
            key = (found.ref.kind, found.ref.namespace or "", found.ref.name)
            if key not in seen:
                seen.add(key)
                yield found
            return
        key = key_of(found)
        verdict = readiness.readiness(found)
        if verdict.ready or key in seen:
            return
        seen.add(key)
        below: list[Cause] = []
        if depth < _DEEPEST:
            for child in self._behind(found):
                below += self._deepest(child, seen, depth + 1)
        if not below or verdict.failed:
            yield Cause(
                ref=wait.Ref.of(found),
                reason=verdict.reason or "it is not ready",
                failed=verdict.failed,
            )
        yield from below

    def _behind(self, obj: Object) -> Iterator[Object | Cause]:
        kind = str(obj.get("kind"))
        if kind == "Kustomization":
            yield from self._source(obj, (obj.get("spec") or {}).get("sourceRef"))
            yield from self._dependencies(obj, (objects.KUSTOMIZE,))
            yield from self._inventory(obj)
        elif kind == "HelmRelease":
            yield from self._chart(obj)
            yield from self._dependencies(obj, HELM)
            yield from self._installed(obj)
        elif kind == "HelmChart":
            yield from self._source(obj, (obj.get("spec") or {}).get("sourceRef"))
        elif kind in ("Deployment", "StatefulSet", "DaemonSet", "Job"):
            yield from self._pods(obj)

    def _source(self, obj: Object, reference: Mapping[str, Any] | None) -> Iterator[Object | Cause]:
        if not reference or not reference.get("name"):
            return
        namespace = str(reference.get("namespace") or obj["metadata"].get("namespace") or "")
        kind, name = str(reference.get("kind") or ""), str(reference["name"])
        found = self._get(SOURCES, kind, namespace, name)
        if found is None:
            ref = wait.Ref(api_version=objects.SOURCE, kind=kind, name=name, namespace=namespace)
            yield Cause(ref=ref, reason="it does not exist")
        else:
            yield found

    def _dependencies(self, obj: Object, versions: tuple[str, ...]) -> Iterator[Object | Cause]:
        kind = str(obj["kind"])
        for needed in (obj.get("spec") or {}).get("dependsOn") or ():
            namespace = str(needed.get("namespace") or obj["metadata"].get("namespace") or "")
            name = str(needed.get("name") or "")
            found = self._get(versions, kind, namespace, name)
            if found is None:
                ref = wait.Ref(api_version=versions[0], kind=kind, name=name, namespace=namespace)
                yield Cause(ref=ref, reason="it does not exist")
            else:
                yield found

    def _inventory(self, obj: Object) -> Iterator[Object | Cause]:
        inventory = (obj.get("status") or {}).get("inventory") or {}
        for entry in inventory.get("entries") or ():
            # An RBAC name may hold colons, which Flux writes as two underscores.
            parts = str(entry.get("id") or "").rsplit("_", 2)
            if len(parts) != 3:
                continue
            at, group, kind = parts
            namespace, _, name = at.partition("_")
            if not _may_be_unready(group, kind):
                continue
            version = f"{group}/{entry.get('v')}" if group else str(entry.get("v"))
            found = self._get((version,), kind, namespace, name)
            if found is not None:
                yield found
            elif group.endswith(_FLUX) or kind in _KINDS_WITH_PODS:
                ref = wait.Ref(
                    api_version=version, kind=kind, name=name, namespace=namespace or None
                )
                yield Cause(ref=ref, reason="it does not exist")

    def _chart(self, release: Object) -> Iterator[Object | Cause]:
        spec = release.get("spec") or {}
        if spec.get("chartRef"):
            yield from self._source(release, spec["chartRef"])
            return
        namespace, _, name = str((release.get("status") or {}).get("helmChart") or "").partition(
            "/"
        )
        chart = self._get(SOURCES, "HelmChart", namespace, name) if name else None
        if chart is not None:
            yield chart
        else:
            reference = ((spec.get("chart") or {}).get("spec") or {}).get("sourceRef")
            yield from self._source(release, reference)

    def _installed(self, release: Object) -> Iterator[Object]:
        metadata = release["metadata"]
        wanted = (metadata.get("name"), metadata.get("namespace"))
        for version, kind in _WORKLOADS:
            for obj in self.all((version,), kind).values():
                labels = (obj["metadata"].get("labels") or {}).get
                if (labels(_RELEASE_LABELS[0]), labels(_RELEASE_LABELS[1])) == wanted:
                    yield obj

    def _pods(self, workload: Object) -> Iterator[Object]:
        labels = ((workload.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
        namespace = workload["metadata"].get("namespace")
        for pod in self.all(("v1",), "Pod").values():
            metadata = pod["metadata"]
            mine = labels.items() <= (metadata.get("labels") or {}).items()
            if labels and mine and metadata.get("namespace") == namespace:
                yield pod

    def _get(
        self, versions: tuple[str, ...], kind: str, namespace: str, name: str
    ) -> Object | None:
        return self.all(versions, kind).get((namespace, name))

    def all(self, versions: tuple[str, ...], kind: str) -> Mapping[tuple[str, str], Object]:
        """Return all objects of a kind, in the first of `versions` that has any, by their names."""
        key = (versions[0], kind)
        if key not in self._lists:
            found: list[dict[str, Any]] = []
            for version in versions:
                found = found or self._kube.list(version, kind)
            self._lists[key] = {
                (str(obj["metadata"].get("namespace") or ""), str(obj["metadata"]["name"])): obj
                for obj in found
            }
        return self._lists[key]


_KINDS_WITH_PODS: Final = frozenset({"Deployment", "StatefulSet", "DaemonSet", "Job"})


def shortened(text: str) -> str:
    """Return `text` on one line, without its middle where it is very long."""
    line = " ".join(text.split())
    half = _SHOWN // 2
    return line if len(line) <= _SHOWN else f"{line[:half]} … {line[-half:]}"


def key_of(obj: Object) -> Key:
    """Return what identifies `obj`."""
    metadata = obj["metadata"]
    return str(obj["kind"]), str(metadata.get("namespace") or ""), str(metadata["name"])


def _may_be_unready(group: str, kind: str) -> bool:
    """Return whether objects of the kind say whether they are ready.

    Kubernetes' own kinds without that, such as ConfigMap and Role, are not read.
    """
    if (group, kind) in readiness.JUDGED:
        return True
    built_in = group in _BUILT_IN or group.endswith(".k8s.io")
    return not built_in
