"""A cluster that is being brought up by Flux, played through in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from provision.gitops import documents
from provision.gitops.build import flux, rules, sops, sources
from provision.gitops.coldstart import (
    api,
    authority,
    charts,
    copies,
    kinds,
    localcharts,
    readiness,
    releases,
    unseen,
)
from provision.gitops.documents import Place
from provision.gitops.sealing import sealed
from provision.gitops.tree import Tree

NAMESPACES: Final = ("default", "kube-node-lease", "kube-public", "kube-system")
"""Those of every cluster; Flux' own comes with Flux."""


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """What is there before Flux applies anything.

    `release` is major and minor version of Flux, `components` its controllers. `bundled_traefik`:
    k3s brings its Traefik. `present` are more objects that are there, such as those of a backup.
    `decrypts`: keys for SOPS are at hand. `secret` is the name of the Secret of Flux' own source;
    empty for what the source in the repository reads, else the source's own name.
    """

    release: tuple[int, int] = rules.RELEASE
    components: tuple[str, ...] = api.COMPONENTS
    bundled_traefik: bool = True
    present: tuple[Place, ...] = ()
    decrypts: bool = False
    secret: str = ""


class World:
    """What is there by now. `unseen` are the things whose effect is not seen."""

    def __init__(
        self,
        cluster: Cluster,
        own: flux.Source,
        all_: releases.Objects,
        trees: Mapping[Place, Tree],
    ) -> None:
        """Begin with `cluster`, the source `own`, and `all_` objects of the repository by place.

        `trees` are the files of the sources that are seen.
        """
        self.namespaces = {*NAMESPACES, own[1]}
        self.objects: set[Place] = {own, _secret_of(own, cluster, all_), *cluster.present}
        self.sealed: dict[Place, documents.Document] = {}
        self.releases: dict[Place, releases.Release] = {}
        self.installed: set[Place] = set()
        self.unsealing = False
        self.unseen = [unseen.BUNDLED] if cluster.bundled_traefik else list[unseen.Unseen]()
        self._groups = set(api.TRAEFIK_GROUPS) if cluster.bundled_traefik else set[str]()
        self._kinds = api.kubernetes() | api.flux(cluster.components, cluster.release)
        self._sources: dict[Place, documents.Document] = {}
        self._checked: dict[Place, documents.Document] = {}
        self._own = own
        self._all = all_
        self._trees = trees
        self.grants = authority.Grants(own[1])

    # -- asking --------------------------------------------------------------

    def serves(self, obj: Mapping[str, Any]) -> bool:
        """Return whether the API has the kind of `obj`, in any version."""
        group = documents.group_of(obj)
        if (group, str(obj.get("kind"))) in self._kinds:
            return True
        return group in self._groups and kinds.is_known(obj)

    def has_group(self, group: str) -> bool:
        """Return whether something that is there defines kinds of `group`."""
        return group in self._groups

    def versions(self, obj: Mapping[str, Any]) -> set[str]:
        """Return the versions that the kind of `obj` has; empty when any will do."""
        return self._kinds.get((documents.group_of(obj), str(obj.get("kind"))), set())

    def source_lacks(self, source: Place) -> list[Place]:
        """Return what `source`, an object of Flux, still waits for; itself when it is not there."""
        if source == self._own:
            return []
        if source not in self.objects:
            return [source]
        doc = self._sources.get(source)
        secrets = releases.source_secrets(doc) if doc else []
        return [place for place in secrets if place not in self.objects]

    def unready(self, place: Place) -> dict[Place, documents.Document]:
        """Return what the object of Flux at `place` needs to be ready and is not there.

        Each with the document of the object.
        """
        doc = self._checked.get(place)
        if doc is None or place == self._own:
            return {}
        return {one: doc for one in readiness.needs(doc.obj) if one not in self.objects}

    def lacking(self, found: releases.Release) -> list[Place]:
        """Return what `found` still waits for."""
        missing = [p for p in (*found.secrets, *found.values_from) if p not in self.objects]
        missing += [place for place in found.depends_on if place not in self.installed]
        if found.target not in self.namespaces and not found.creates_namespace:
            missing.append(("Namespace", "", found.target))
        missing += self._lacking_of_chart(found)
        if not found.elsewhere:
            own = [("", found.target, "")]
            missing += self.forbidden(found.place[1], found.account, own)
        if found.source is not None:
            missing += self.source_lacks(found.source)
        return missing

    def _lacking_of_chart(self, found: releases.Release) -> list[Place]:
        """Return what the plain templates of a chart in the repository wait for."""
        if found.elsewhere or found.local is None:
            return []
        own = {made[0] for made in found.local.defined()}
        missing: dict[Place, None] = {}
        for doc in found.local.objects:
            group, kind = documents.group_of(doc.obj), str(doc.obj.get("kind"))
            if not self.serves(doc.obj) and (group, kind) not in own:
                missing[unseen.DEFINITION, "", f"{kind}.{group}"] = None
        return list(missing)

    def forbidden(self, namespace: str, account: str, objects: Iterable[Place]) -> list[Place]:
        """Return the bindings that `account` lacks to change `objects`; none without account."""
        if not account:
            return []
        lacking = self.grants.lacking(namespace, account, objects)
        return [place for place in lacking if place not in self.objects]

    # -- happening -------------------------------------------------------------

    def add(self, doc: documents.Document) -> None:
        """Take in one applied object."""
        obj = doc.obj
        kind, _, name = place = documents.place_of(obj)
        is_new = place not in self.objects
        self.objects.add(place)
        self.grants.learn(obj)
        definition = api.defined(obj)
        if kind == "Namespace" and obj.get("apiVersion") == "v1":
            self.namespaces.add(name)
        elif definition is not None:
            self.define(*definition)
        elif sops.is_opaque(obj):
            self.unseen.append(unseen.of_encrypted(doc))
        elif sealed.is_sealed(obj):
            self.sealed[place] = doc
            if is_new and copies.has(obj):
                self.unseen.append(unseen.of_object(doc))
        elif releases.is_release(obj):
            self.releases[place] = releases.read(doc, self._all, self._trees)
        elif documents.group_of(obj) == sources.GROUP:
            self._sources[place] = doc
        elif releases.brings_unsealing(obj):
            self.unsealing = True
        elif is_new:
            self.unseen.append(unseen.of_object(doc, self._all))
        if readiness.is_checked(obj):
            self._checked[place] = doc
        for artifact in _artifacts(obj):
            self.objects.add(artifact)

    def define(self, kind: tuple[str, str], versions: set[str]) -> None:
        """Let the API serve `kind`, group and kind, in `versions` (empty: in any)."""
        if versions and not (kind in self._kinds and not self._kinds[kind]):
            self._kinds[kind] = self._kinds.get(kind, set()) | versions
        else:
            self._kinds[kind] = set()

    def settle(self) -> bool:
        """Let the controllers do their work; return whether anything changed."""
        changed = False
        for found in self.releases.values():
            if found.place in self.installed or found.suspended or found.problems:
                continue
            if self.lacking(found):
                continue
            self._install(found)
            changed = True
        if self.unsealing:
            for _kind, namespace, name in list(self.sealed):
                if ("Secret", namespace, name) not in self.objects:
                    self.objects.add(("Secret", namespace, name))
                    changed = True
        return changed

    def _install(self, found: releases.Release) -> None:
        self.installed.add(found.place)
        if found.elsewhere:
            return
        self.namespaces.add(found.target)
        self._groups |= set(found.groups())
        if found.chart == charts.SEALED_SECRETS:
            self.unsealing = True
        if found.local is not None:
            self._install_local(found, found.local)
        self.unseen.append(unseen.of_release(found))

    def _install_local(self, found: releases.Release, chart: localcharts.Chart) -> None:
        """Take in what a chart in the repository brings, as far as it is plain."""
        if not found.skips_folder:
            for made in chart.defined():
                self.define(*made)
        for doc in chart.objects:
            metadata = dict(documents.mapping(doc.obj.get("metadata")))
            if not metadata.get("namespace") and doc.obj.get("kind") not in charts.CLUSTER_SCOPED:
                metadata["namespace"] = found.target
            self.add(replace(doc, obj={**doc.obj, "metadata": metadata}))


def _secret_of(own: flux.Source, cluster: Cluster, all_: releases.Objects) -> Place:
    """Return the Secret that comes with the source `own`, before Flux starts."""
    doc = all_.get(own)
    spec = documents.mapping(doc.obj.get("spec")) if doc else {}
    reads = str(documents.mapping(spec.get("secretRef")).get("name") or "")
    return "Secret", own[1], cluster.secret or reads or own[2]


def _artifacts(obj: Mapping[str, Any]) -> list[Place]:
    """Return the ExternalArtifacts that source-watcher makes of `obj`."""
    if obj.get("kind") != "ArtifactGenerator":
        return []
    namespace = documents.place_of(obj)[1]
    made = documents.mappings(documents.mapping(obj.get("spec")).get("artifacts"))
    return [("ExternalArtifact", namespace, str(one.get("name"))) for one in made]
