"""Flux' work on an empty cluster, played through until nothing moves any more.

Flux applies a Kustomization as a whole, tries again for ever, and never in
another order. So a repository is played: every Kustomization is applied as soon
as it could be, controllers act on what is there. What stands still then lacks
something. If a thing that was not seen could bring it, that is assumed; else
it is a need, and is put there; and the play goes on. A repository that comes up
by itself has neither.

How the controller applies is from fluxcd/pkg (ssa, staged apply): definitions,
namespaces and cluster roles first, then all the rest or nothing of it.
"""

from __future__ import annotations

from typing import Final

from provision import errors
from provision.gitops import documents
from provision.gitops.build import discovery, flux
from provision.gitops.coldstart import needs, reasons, releases, rings, simulation, unseen
from provision.gitops.coldstart.lacks import Lack, Lacks
from provision.gitops.documents import Place

_FIRST: Final = ("CustomResourceDefinition", "Namespace", "ClusterRole")
_FLUX: Final = ("HelmRelease", "Kustomization")
_WORKLOADS: Final = ("Deployment", "StatefulSet", "DaemonSet", "Job")


class Play:
    """One play. After `run`: `order`, `needs`, `assumptions`, `problems`, `notes`."""

    def __init__(
        self,
        found: discovery.Discovered,
        told: reasons.Reasons,
        cluster: simulation.Cluster,
    ) -> None:
        """Set the empty `cluster` up for the repository `found`; `told` explains what it lacks."""
        self._units = {unit.kustomization.key: unit for unit in found.units}
        self._reasons = told
        docs = [doc for unit in found.units for doc in unit.objects]
        self._all = all_ = {documents.place_of(doc.obj): doc for doc in docs}
        self._own, self._expected = found.own, found.expected
        self._root = found.units[0].kustomization
        self._world = simulation.World(cluster, found.own, all_, found.trees)
        self._lacks = Lacks(self._world, told)
        self._releases = [
            releases.read(d, all_, found.trees) for d in docs if releases.is_release(d.obj)
        ]
        self._unseals = any(releases.brings_unsealing(doc.obj, all_) for doc in docs)
        self._ordered = [
            one.key for one in flux.ordered([unit.kustomization for unit in found.units])
        ]
        self._applied: set[flux.Key] = set()
        self._assumed: set[Place] = set()
        self._given_up: set[Place] = set()
        self.order: list[flux.Kustomization] = []
        self.needs: list[needs.Need] = []
        self.assumptions: list[needs.Assumption] = []
        self.problems: list[errors.Problem] = []
        self.notes: dict[str, None] = {}

    def run(self) -> None:
        """Play until everything is ready or nothing can be done about the rest."""
        self._check_source()
        while True:
            while self._advance():
                pass
            still = self._standing_still()
            if self._assume(still):
                continue
            first = next((lacks for lacks in still if lacks), None)
            if first is None:
                break
            for lack in first:
                self._meet(lack)
        self._report_rest()

    def _check_source(self) -> None:
        """Take the source that stands for the repository as made by what connects the cluster."""
        source, root = self._own, self._root
        if source == self._expected or source in self._all:
            return
        ref = documents.ref_of(source)
        self.assumptions.append(
            needs.Assumption(
                kind=source[0],
                name=source[2],
                namespace=source[1],
                blocks=str(root),
                reason="Kustomizations take their files from it, and it is not in the repository",
                where=root.where,
                by=("what connects the cluster to the repository",),
                check=(f"make sure that {ref} is made, or use {documents.ref_of(self._expected)}",),
            )
        )

    # -- moving ------------------------------------------------------------

    def _advance(self) -> bool:
        moved = self._world.settle()
        for key in self._ordered:
            unit = self._units[key]
            if key in self._applied or unit.failed or not self._exists(key) or self._waits(key):
                continue
            if self._lacks.of_unit(unit):
                moved = self._apply_first(unit) or moved
                continue
            self._apply(unit)
            moved = True
        return moved

    def _exists(self, key: flux.Key) -> bool:
        parent = self._units[key].parent
        return parent is None or parent in self._applied

    def _waits(self, key: flux.Key) -> bool:
        one = self._units[key].kustomization
        return one.suspended or any(not self._ready(other) for other in one.depends_on)

    def _ready(self, key: flux.Key) -> bool:
        if ("Kustomization", *key) in self._assumed:
            return True
        return key in self._applied and not self._pending(key)

    def _pending(self, key: flux.Key) -> list[Place]:
        """Return what the applied Kustomization `key` waits for before it is ready."""
        unit = self._units[key]
        return [
            place
            for place in self._waited(unit)
            if not self._healthy(place, key) or place in self._absent(unit)
        ]

    def _waited(self, unit: discovery.Unit) -> list[Place]:
        """Return the objects that `unit` is not ready without."""
        one = unit.kustomization
        applied = one.wait and not one.remote_cluster
        waited = [documents.place_of(doc.obj) for doc in unit.objects] if applied else []
        return [*waited, *one.health_checks]

    def _absent(self, unit: discovery.Unit) -> list[Place]:
        """Return what the health checks of `unit` name and is not there.

        A workload of a namespace that a Helm release goes to counts as the release's, one beside
        k3s' or Flux' own as theirs.
        """
        one = unit.kustomization
        if one.remote_cluster or unit.unseen:
            return []
        filled = {release.target for release in self._world.releases.values()}
        filled |= {*simulation.NAMESPACES, self._own[1]}
        return [
            place
            for place in one.health_checks
            if place not in self._world.objects
            and (place[0] in _FLUX or (place[0] in _WORKLOADS and place[1] not in filled))
        ]

    def _healthy(self, place: Place, waiting: flux.Key) -> bool:
        kind, namespace, name = place
        if place in self._world.releases:
            return place in self._world.installed
        key = (namespace, name)
        if kind == "Kustomization" and key in self._units and key != waiting:
            return self._ready(key)
        return not self._world.unready(place)

    def _apply_first(self, unit: discovery.Unit) -> bool:
        """Apply what comes before the part that fails; return whether that is new."""
        if self._lacks.before_build(unit) or self._lacks.forbidden(unit):
            return False  # it is not even built, or nothing of it is allowed
        moved = False
        for doc in unit.objects:
            if doc.obj.get("kind") in _FIRST:
                place = documents.place_of(doc.obj)
                moved = moved or place not in self._world.objects
                self._world.add(doc)
        return moved

    def _apply(self, unit: discovery.Unit) -> None:
        one = unit.kustomization
        self._applied.add(one.key)
        self.order.append(one)
        if one.remote_cluster:
            self._not_looked_at(unit, "another cluster, which is not looked at", "see that cluster")
            return
        for thing in unseen.of_unit(unit):
            self._world.unseen.append(thing)
            self._not_looked_at(unit, thing.label, thing.check)
        # Sources first, so that a chartRef finds its URL.
        for doc in sorted(unit.objects, key=lambda d: releases.is_release(d.obj)):
            self._world.add(doc)

    def _not_looked_at(self, unit: discovery.Unit, what: str, check: str) -> None:
        """Take what belongs to `unit` and is not seen as right."""
        one = unit.kustomization
        self.assumptions.append(
            needs.Assumption(
                kind="Kustomization",
                name=one.name,
                namespace=one.namespace,
                blocks=str(one),
                reason="a part of it was not looked at",
                where=one.where,
                by=(what,),
                check=(check,),
            )
        )

    # -- standing still ------------------------------------------------------

    def _standing_still(self) -> list[list[Lack]]:
        """Return what each Kustomization and each release lacks that stands still by itself."""
        found: list[list[Lack]] = []
        for key in self._ordered:
            unit = self._units[key]
            one = unit.kustomization
            if key in self._applied:
                absent = [p for p in self._absent(unit) if not self._comes(p)]
                found.append(self._lacks.of_checks(unit, absent))
                found.append(self._lacks.of_waiting(unit, self._waited(unit)))
                continue
            if unit.failed or one.suspended or not self._exists(key):
                continue
            unknown = [
                other
                for other in one.depends_on
                if other not in self._units and ("Kustomization", *other) not in self._assumed
            ]
            if unknown:
                found.append([self._lacks.dependency(one, other) for other in unknown])
            elif not self._waits(key):
                found.append(self._lacks.of_unit(unit))
        for release in self._world.releases.values():
            if release.place not in self._world.installed and not release.suspended:
                found.append(self._lacks.of_release(release, self._comes))
        return [[one for one in lacks if one.place not in self._given_up] for lacks in found]

    def _comes(self, place: Place) -> bool:
        """Return whether a Kustomization that still waits will apply `place`."""
        return any(
            documents.place_of(doc.obj) == place
            for key, unit in self._units.items()
            if key not in self._applied
            for doc in unit.objects
        )

    # -- going on --------------------------------------------------------------

    def _assume(self, still: list[list[Lack]]) -> bool:
        """Take one lack as met by something unseen; return whether there was one."""
        for lack in (lack for lacks in still for lack in lacks):
            able = self._able(lack)
            if not able:
                continue
            kind, namespace, name = lack.place
            self.assumptions.append(
                needs.Assumption(
                    kind=kind,
                    name=name,
                    namespace=namespace,
                    blocks=lack.blocks,
                    reason=lack.reason,
                    where=lack.where,
                    by=tuple(dict.fromkeys(one.label for one in able)),
                    check=tuple(dict.fromkeys(one.check for one in able)),
                )
            )
            self._put(lack.place)
            return True
        return False

    def _able(self, lack: Lack) -> list[unseen.Unseen]:
        """Return what is there, is not seen, and could bring what is lacking."""
        place = lack.place
        if lack.certain:
            return []
        kind, namespace, name = place
        sealed = kind == "Secret" and ("SealedSecret", namespace, name) in self._world.sealed
        if sealed and not self._unseals:
            return [one for one in self._world.unseen if one.can_unseal()]
        if self._reasons.is_made(place):
            return []  # the repository makes it, only too late
        return unseen.best([*self._world.unseen, *lack.near], place, self._releases)

    def _put(self, place: Place) -> None:
        kind, _, name = place
        self._assumed.add(place)
        self._world.objects.add(place)
        if kind == unseen.DEFINITION:
            defined, _, group = name.partition(".")
            self._world.define((group, defined), set())
        elif kind == "Namespace":
            self._world.namespaces.add(name)
        elif kind in ("HelmRelease", "HelmChart"):
            self._world.installed.add(place)

    def _meet(self, lack: Lack) -> None:
        """Put what is needed there, or give up what needs it."""
        need = lack.need
        if need is None:
            self._given_up.add(lack.place)
            self.problems += [lack.problem] if lack.problem else []
            return
        self.needs.append(need)
        self._put(lack.place)
        if need.namespace and need.namespace not in self._world.namespaces:
            self._put(("Namespace", "", need.namespace))
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

    # -- the end ---------------------------------------------------------------

    def _report_rest(self) -> None:
        """Name what never came, for other reasons than a need."""
        waiting = self._waiting()
        for key in self._ordered:
            one = self._units[key].kustomization
            if one.suspended and key not in self._applied and self._exists(key):
                self._report_suspended(("Kustomization", *key), one.where, waiting)
        for place, release in self._world.releases.items():
            if release.suspended:
                self._report_suspended(place, release.doc.where, waiting)
        found = rings.find(waiting)
        for ring in found:
            if all(place[0] == "Kustomization" for place in ring) and self._is_cycle(ring):
                continue  # it is reported as such
            names = " waits for ".join(documents.ref_of(place) for place in [*ring, ring[0]])
            message = f"none of them becomes ready: {names}"
            where = self._where(ring[0])
            key = documents.ref_of(ring[0])
            self.problems.append(errors.Problem(where=where, key=key, message=message))
        if not found:
            self._report_unexplained(waiting)

    def _report_unexplained(self, waiting: dict[Place, list[Place]]) -> None:
        """Name what waits where nothing else says why: what never comes is no success."""
        suspended = any(unit.kustomization.suspended for unit in self._units.values()) or any(
            release.suspended for release in self._world.releases.values()
        )
        if self.problems or suspended or not all(need.seedable for need in self.needs):
            return
        if any(unit.failed for unit in self._units.values()):
            return
        for place, others in waiting.items():
            names = ", ".join(documents.ref_of(other) for other in others)
            self.problems.append(
                errors.Problem(
                    where=self._where(place),
                    key=documents.ref_of(place),
                    message=f"it never becomes ready: it waits for {names}",
                )
            )

    def _is_cycle(self, ring: list[Place]) -> bool:
        """Return whether `ring` goes by dependsOn alone."""
        following = [*ring[1:], ring[0]]
        return all(
            other[1:] in self._units[one[1], one[2]].kustomization.depends_on
            for one, other in zip(ring, following, strict=True)
        )

    def _report_suspended(
        self, place: Place, where: str, waiting: dict[Place, list[Place]]
    ) -> None:
        ref = documents.ref_of(place)
        self.notes[f"{ref} ({where}) is suspended"] = None
        for one in (one for one, others in waiting.items() if place in others):
            self.assumptions.append(
                needs.Assumption(
                    kind=place[0],
                    name=place[2],
                    namespace=place[1],
                    blocks=documents.ref_of(one),
                    reason=f"{documents.ref_of(one)} waits for it, and it is suspended",
                    where=where,
                    by=("whoever resumes it",),
                    check=(f"resume {ref}, or remove spec.suspend",),
                )
            )

    def _waiting(self) -> dict[Place, list[Place]]:
        """Return for what each Kustomization and release still waits, of the other ones."""
        found: dict[Place, list[Place]] = {}
        for key in self._ordered:
            place = ("Kustomization", *key)
            if key in self._applied:
                found[place] = self._pending(key)
            elif self._exists(key):
                others = self._units[key].kustomization.depends_on
                found[place] = [("Kustomization", *o) for o in others if not self._ready(o)]
        for place, release in self._world.releases.items():
            if place not in self._world.installed:
                missing = self._world.lacking(release)
                found[place] = [p if p in self._world.releases else self._maker(p) for p in missing]
        return {place: others for place, others in found.items() if others}

    def _maker(self, place: Place) -> Place:
        """Return the Kustomization that is still to apply `place`, or `place` itself."""
        for key, unit in self._units.items():
            if key not in self._applied and any(
                documents.place_of(doc.obj) == place for doc in unit.objects
            ):
                return ("Kustomization", *key)
        return place

    def _where(self, place: Place) -> str:
        if place in self._world.releases:
            return self._world.releases[place].doc.where
        return self._units[place[1], place[2]].kustomization.where
