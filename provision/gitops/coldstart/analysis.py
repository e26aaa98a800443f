"""What an empty cluster lacks for a repository: Flux' work played through, offline.

Flux applies a Kustomization as a whole, tries again for ever, and never in
another order. So a repository is played: every Kustomization is applied as soon
as it could be, controllers act on what is there, until nothing moves any more.
What the first Kustomization that stands still lacks is a need; it is put there,
and the play goes on. A repository that comes up by itself has no needs.

How the controller applies is from fluxcd/pkg (ssa, staged apply): definitions,
namespaces and cluster roles first, then all the rest or nothing of it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from provision import errors
from provision.gitops import documents
from provision.gitops.build import discovery, flux
from provision.gitops.coldstart import charts, needs, reasons, simulation
from provision.gitops.sealing import keys as sealing_keys
from provision.gitops.tree import Tree

OBTAINABLE: Final = frozenset(["SealedSecret.bitnami.com"])
"""Definitions that can be had without the repository: from pinned releases."""

_FIRST: Final = ("CustomResourceDefinition", "Namespace", "ClusterRole")


def analyse(
    tree: Tree,
    path: str,
    *,
    keys: Sequence[sealing_keys.SealingKey] | None = None,
) -> needs.Analysis:
    """Return what a cold start of the cluster folder `path` needs.

    `keys` are the sealing keys at hand; None means that they will be there
    later, so that SealedSecrets count as openable unseen. Raises nothing for
    what is wrong in the repository; `needs.Analysis.check` does.
    """
    return analyse_found(discovery.discover(tree, path, keys=keys or ()), keys)


def analyse_found(
    found: discovery.Discovered,
    keys: Sequence[sealing_keys.SealingKey] | None,
    *,
    obtainable: Collection[str] = OBTAINABLE,
    bundled_traefik: bool = True,
) -> needs.Analysis:
    """Return what `analyse` does, for a repository that was built already.

    `obtainable` are the definitions (``Kind.group``) that can be installed,
    `bundled_traefik` says whether k3s brings its Traefik.
    """
    problems = list(found.problems)
    for ring in flux.cycles(unit.kustomization for unit in found.units):
        names = " -> ".join([*(str(one) for one in ring), str(ring[0])])
        problems.append(
            errors.Problem(where=ring[0].where, key="spec.dependsOn", message=f"a cycle: {names}")
        )
    play = _Play(found, keys, obtainable, bundled_traefik)
    play.run()
    notes = [f"{text} lies elsewhere and was not looked at" for text in found.remote]
    if found.unconfined:
        notes.append(
            "kustomize ran without namespaces of its own; only the checks of the repository's"
            f" text kept it from other files and the network ({found.unconfined})"
        )
    return needs.Analysis(
        kustomizations=tuple(play.order),
        needs=tuple(play.needs),
        problems=tuple(problems + play.problems),
        notes=tuple(notes + list(play.notes)),
    )


class _Play:
    """One play. After `run`: `order`, `needs`, `problems`, `notes`."""

    def __init__(
        self,
        found: discovery.Discovered,
        keys: Sequence[sealing_keys.SealingKey] | None,
        obtainable: Collection[str],
        bundled_traefik: bool,
    ) -> None:
        self._units = {unit.kustomization.key: unit for unit in found.units}
        self._reasons = reasons.Reasons(found.units, keys, obtainable)
        self._world = simulation.World(groups=set(charts.K3S_GROUPS))
        self._world.namespaces.add(found.units[0].kustomization.namespace)  # Flux' own
        docs = [doc for unit in found.units for doc in unit.objects]
        self._world.unseals_unseen = not any(simulation.brings_unsealing(doc.obj) for doc in docs)
        if bundled_traefik:
            self._world.groups |= charts.K3S_TRAEFIK_GROUPS
        self._applied: set[flux.Key] = set()
        self.order: list[flux.Kustomization] = []
        self.needs: list[needs.Need] = []
        self.problems: list[errors.Problem] = []
        self.notes: dict[str, None] = {}

    def run(self) -> None:
        """Play until everything is ready or nothing can be done about the rest."""
        while True:
            while self._advance():
                pass
            stuck = self._first_stuck()
            if stuck is None:
                break
            for need in stuck:
                self._meet(need)
        self._report_rest()

    # -- moving ------------------------------------------------------------

    def _advance(self) -> bool:
        moved = self._world.settle()
        for key in self._in_order():
            if key in self._applied or not self._exists(key) or self._waits(key):
                continue
            unit = self._units[key]
            if self._lacks(unit):
                moved = self._apply_first(unit) or moved
                continue
            self._apply(unit)
            moved = True
        return moved

    def _in_order(self) -> list[flux.Key]:
        return [one.key for one in flux.ordered([u.kustomization for u in self._units.values()])]

    def _exists(self, key: flux.Key) -> bool:
        parent = self._units[key].parent
        return parent is None or parent in self._applied

    def _waits(self, key: flux.Key) -> bool:
        one = self._units[key].kustomization
        return one.suspended or any(not self._ready(other) for other in one.depends_on)

    def _ready(self, key: flux.Key) -> bool:
        if key not in self._applied:
            return False
        unit = self._units[key]
        if not unit.kustomization.wait:
            return True
        return all(
            simulation.place_of(doc.obj) in self._world.installed
            for doc in unit.objects
            if simulation.is_release(doc.obj)
        ) and all(
            self._ready(flux.read(doc).key)
            for doc in unit.objects
            if flux.is_kustomization(doc.obj) and flux.read(doc).key != key
        )

    def _apply_first(self, unit: discovery.Unit) -> bool:
        """Apply what comes before the part that fails; return whether that is new."""
        if self._missing_values(unit):
            return False  # it is not even built without its values
        moved = False
        for doc in unit.objects:
            if doc.obj.get("kind") in _FIRST:
                place = simulation.place_of(doc.obj)
                moved = moved or place not in self._world.objects
                self._world.add(doc)
        return moved

    def _apply(self, unit: discovery.Unit) -> None:
        self._applied.add(unit.kustomization.key)
        self.order.append(unit.kustomization)
        if unit.external:
            what = f"Kustomization {unit.kustomization} ({unit.kustomization.where})"
            self.notes[f"{what} comes from another source and was not looked at"] = None
            self._world.anything = self._world.anything or what
        # Sources first, so that a chartRef finds its URL.
        for doc in sorted(unit.objects, key=lambda d: simulation.is_release(d.obj)):
            self._world.add(doc)

    # -- standing still ------------------------------------------------------

    def _lacks(self, unit: discovery.Unit) -> list[needs.Need]:
        """Return what keeps `unit` from being applied now."""
        if unit.external or unit.failed:
            return []
        values = self._missing_values(unit)
        if values:
            return values
        return self._missing_kinds(unit) + self._missing_namespaces(unit)

    def _missing_values(self, unit: discovery.Unit) -> list[needs.Need]:
        one = unit.kustomization
        return [
            self._reasons.for_value(ref, one)
            for ref in one.substitute_from
            if not ref.optional and (ref.kind, one.namespace, ref.name) not in self._world.objects
        ]

    def _missing_kinds(self, unit: discovery.Unit) -> list[needs.Need]:
        found: dict[str, needs.Need] = {}
        own = {
            (str((d.obj.get("spec") or {}).get("group")), _kind_defined(d.obj))
            for d in unit.objects
            if d.obj.get("kind") == "CustomResourceDefinition"
        }
        for doc in unit.objects:
            group, kind = simulation.group_of(doc.obj), str(doc.obj.get("kind"))
            name = f"{kind}.{group}"
            if self._world.knows(doc.obj) or (group, kind) in own or name in found:
                continue
            chart = charts.known_chart_of(group)
            if self._world.anything and not chart:
                self.notes[f"{name} ({doc.where}) is taken to come from {self._world.anything}"] = (
                    None
                )
                self._world.kinds.add((group, kind))
                continue
            found[name] = self._reasons.for_kind(doc, name, chart, str(unit.kustomization))
        return list(found.values())

    def _missing_namespaces(self, unit: discovery.Unit) -> list[needs.Need]:
        own = {
            simulation.place_of(doc.obj)[2]
            for doc in unit.objects
            if doc.obj.get("kind") == "Namespace"
        }
        found: dict[str, needs.Need] = {}
        for doc in unit.objects:
            kind, namespace, _ = simulation.place_of(doc.obj)
            if (
                not namespace
                or kind in charts.CLUSTER_SCOPED
                or namespace in self._world.namespaces
                or namespace in own
                or namespace in found
            ):
                continue
            found[namespace] = self._reasons.for_namespace(doc, namespace, str(unit.kustomization))
        return list(found.values())

    def _first_stuck(self) -> list[needs.Need] | None:
        """Return the needs of the first Kustomization, or chart, that stands still.

        None when nothing does; nothing to meet when an assumption got it going.
        """
        for key in self._in_order():
            if key not in self._applied and self._exists(key) and not self._waits(key):
                lacks = self._lacks(self._units[key])
                if lacks:
                    return lacks
        for found in self._world.releases.values():
            if found.place not in self._world.installed and not found.suspended:
                before = len(self.notes)
                lacks = self._release_lacks(found)
                if lacks or len(self.notes) > before:
                    return lacks
        return None

    def _release_lacks(self, found: simulation.Release) -> list[needs.Need]:
        lacks: list[needs.Need] = []
        name = documents.ref(found.doc.obj)
        for place in self._world.lacking(found):
            if place[0] == "Namespace":
                lacks.append(self._reasons.for_namespace(found.doc, found.target, name))
            elif place[0] not in ("Secret", "ConfigMap"):
                continue
            elif self._reasons.makes(place):
                what = f"{name} takes values from it"
                lacks.append(self._reasons.for_object(place, what, name, found.doc.where))
            else:
                # Not Flux' order is wrong then: someone, or another chart, makes it.
                ref = documents.ref(
                    {"kind": place[0], "metadata": {"namespace": place[1], "name": place[2]}}
                )
                note = f"{name} ({found.doc.where}) waits for {ref}, which is not in the repository"
                self.notes[note] = None
                self._world.objects.add(place)
        return lacks

    def _meet(self, need: needs.Need) -> None:
        """Put `need` there, or go on as if it were."""
        self.needs.append(need)
        if need.kind == "CustomResourceDefinition":
            kind, _, group = need.name.partition(".")
            self._world.kinds.add((group, kind))
        elif need.kind == "Namespace":
            self._world.namespaces.add(need.name)
        else:
            self._world.objects.add((need.kind, need.namespace, need.name))
            if need.namespace not in self._world.namespaces:
                self._world.namespaces.add(need.namespace)
                self.needs.append(
                    needs.Need(
                        kind="Namespace",
                        name=need.namespace,
                        blocks=need.blocks,
                        reason=f"{need.ref} is seeded into it",
                        where=need.where,
                        suggestion=need.suggestion,
                    )
                )

    def _report_rest(self) -> None:
        """Name what never came, for other reasons than a need."""
        for key in self._in_order():
            unit = self._units[key]
            one = unit.kustomization
            if key in self._applied or not self._exists(key):
                continue
            for other in one.depends_on:
                if other not in self._units:
                    name = other[1] if other[0] == one.namespace else "/".join(other)
                    message = f"it depends on {name}, which is not in the repository"
                    self.problems.append(
                        errors.Problem(where=one.where, key=str(one), message=message)
                    )
                elif self._units[other].kustomization.suspended:
                    self.notes[f"Kustomization {one} waits for {other[1]}, which is suspended"] = (
                        None
                    )
            if one.suspended:
                self.notes[f"Kustomization {one} ({one.where}) is suspended"] = None


def _kind_defined(obj: dict[str, Any]) -> str:
    return str(((obj.get("spec") or {}).get("names") or {}).get("kind"))
