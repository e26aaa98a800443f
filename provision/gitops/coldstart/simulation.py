"""A cluster that is being brought up by Flux, played through in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from provision.gitops import documents
from provision.gitops.coldstart import charts
from provision.gitops.sealing import sealed

Place = tuple[str, str, str]
"""Kind, namespace and name."""

NAMESPACES: Final = ("default", "kube-node-lease", "kube-public", "kube-system")
"""Those of every cluster; Flux' own comes with Flux."""
_SOURCES: Final = ("OCIRepository", "HelmChart")


def group_of(obj: Mapping[str, Any]) -> str:
    """Return the API group of `obj`, empty for the core one."""
    return str(obj.get("apiVersion") or "").rpartition("/")[0]


def place_of(obj: Mapping[str, Any]) -> Place:
    """Return kind, namespace and name of `obj`."""
    metadata = obj.get("metadata") or {}
    return str(obj.get("kind")), str(metadata.get("namespace") or ""), str(metadata.get("name"))


@dataclass(kw_only=True)
class Release:
    """A HelmRelease, or a HelmChart of k3s, and what it waits for."""

    doc: documents.Document
    chart: str
    target: str
    creates_namespace: bool
    values_from: tuple[Place, ...]
    depends_on: tuple[Place, ...]
    suspended: bool

    @property
    def place(self) -> Place:
        """Return kind, namespace and name."""
        return place_of(self.doc.obj)


@dataclass(kw_only=True)
class World:
    """What is there by now."""

    namespaces: set[str] = field(default_factory=lambda: set(NAMESPACES))
    groups: set[str] = field(default_factory=set[str])
    kinds: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    objects: set[Place] = field(default_factory=set[Place])
    sealed: dict[Place, documents.Document] = field(default_factory=dict[Place, documents.Document])
    releases: dict[Place, Release] = field(default_factory=dict[Place, Release])
    installed: set[Place] = field(default_factory=set[Place])
    chart_sources: dict[Place, str] = field(default_factory=dict[Place, str])
    unsealing: bool = False
    unseals_unseen: bool = False
    """Whether nothing that is seen opens SealedSecrets, so that something unseen must."""
    anything: str = ""
    """What may have brought definitions that cannot be seen, or an empty text."""

    def knows(self, obj: Mapping[str, Any]) -> bool:
        """Return whether the API has the kind of `obj`."""
        group = group_of(obj)
        return (
            group in charts.BUILTIN_GROUPS
            or group.endswith(charts.FLUX_SUFFIX)
            or group in self.groups
            or (group, str(obj.get("kind"))) in self.kinds
        )

    def add(self, doc: documents.Document) -> None:
        """Take in one applied object."""
        obj = doc.obj
        kind, _, name = place = place_of(obj)
        self.objects.add(place)
        spec: Mapping[str, Any] = obj.get("spec") or {}
        if kind == "Namespace" and obj.get("apiVersion") == "v1":
            self.namespaces.add(name)
        elif kind == "CustomResourceDefinition":
            names = spec.get("names") or {}
            self.kinds.add((str(spec.get("group")), str(names.get("kind"))))
        elif sealed.is_sealed(obj):
            self.sealed[place] = doc
        elif kind in _SOURCES and group_of(obj) == "source.toolkit.fluxcd.io":
            self.chart_sources[place] = str(spec.get("url") or spec.get("chart") or "")
        elif is_release(obj):
            self.releases[place] = release(doc, self.chart_sources)
        elif brings_unsealing(obj):
            self.unsealing = True

    def settle(self) -> bool:
        """Let the controllers do their work; return whether anything changed."""
        changed = False
        for found in self.releases.values():
            if found.place not in self.installed and not self.lacking(found):
                self._install(found)
                changed = True
        if self.unsealing or (self.unseals_unseen and self.anything):
            for _kind, namespace, name in list(self.sealed):
                if ("Secret", namespace, name) not in self.objects:
                    self.objects.add(("Secret", namespace, name))
                    changed = True
        return changed

    def lacking(self, found: Release) -> list[Place]:
        """Return what `found` still waits for."""
        missing = [place for place in found.values_from if place not in self.objects]
        missing += [place for place in found.depends_on if place not in self.installed]
        if found.target not in self.namespaces and not found.creates_namespace:
            missing.append(("Namespace", "", found.target))
        return [*missing, found.place] if found.suspended else missing

    def _install(self, found: Release) -> None:
        self.installed.add(found.place)
        self.namespaces.add(found.target)
        if found.chart in charts.GROUPS:
            self.groups |= set(charts.GROUPS[found.chart])
        else:
            self.anything = self.anything or f"the chart {found.chart or '?'}"
        if found.chart == charts.SEALED_SECRETS:
            self.unsealing = True


def is_release(obj: Mapping[str, Any]) -> bool:
    """Return whether `obj` installs a Helm chart."""
    kind, group = obj.get("kind"), group_of(obj)
    return (kind, group) in (
        ("HelmRelease", "helm.toolkit.fluxcd.io"),
        ("HelmChart", "helm.cattle.io"),
    )


def brings_unsealing(obj: Mapping[str, Any]) -> bool:
    """Return whether `obj` runs the Sealed Secrets controller, itself or through a chart."""
    if is_release(obj):
        return charts.chart_of(obj, {}) == charts.SEALED_SECRETS
    images = _images(obj.get("spec") or {}) if obj.get("kind") == "Deployment" else ()
    return any("sealed-secrets" in image for image in images)


def release(doc: documents.Document, sources: Mapping[Place, str]) -> Release:
    """Return what the HelmRelease (or k3s HelmChart) `doc` needs and brings."""
    obj = doc.obj
    kind, namespace, _ = place_of(obj)
    spec: Mapping[str, Any] = obj.get("spec") or {}
    install = spec.get("install") or {}
    creates = spec.get("createNamespace") if kind == "HelmChart" else install.get("createNamespace")
    return Release(
        doc=doc,
        chart=charts.chart_of(obj, sources),
        target=str(spec.get("targetNamespace") or namespace),
        creates_namespace=bool(creates),
        values_from=tuple(
            (str(ref.get("kind")), namespace, str(ref.get("name")))
            for ref in spec.get("valuesFrom") or ()
            if not ref.get("optional")
        ),
        depends_on=tuple(
            (kind, str(ref.get("namespace") or namespace), str(ref.get("name")))
            for ref in spec.get("dependsOn") or ()
        ),
        suspended=bool(spec.get("suspend")),
    )


def _images(spec: Mapping[str, Any]) -> Iterable[str]:
    pod = ((spec.get("template") or {}).get("spec")) or {}
    for container in pod.get("containers") or ():
        yield str(container.get("image") or "")
