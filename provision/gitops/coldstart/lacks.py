"""What keeps a Kustomization or a Helm release from going on, now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from provision import errors
from provision.gitops import documents
from provision.gitops.build import discovery, flux, sops, values
from provision.gitops.coldstart import (
    api,
    authority,
    charts,
    localcharts,
    needs,
    reasons,
    releases,
    simulation,
    unseen,
)
from provision.gitops.documents import Place


@dataclass(frozen=True, kw_only=True)
class Lack:
    """What is lacking at `place`: a need, or a problem where no seed can help.

    `blocks` names what stands still, `where` is its ``file:line``. `near` is not seen either,
    and comes together with what lacks this. `certain`: nothing that was not seen can bring it.
    """

    place: Place
    blocks: str
    where: str
    need: needs.Need | None = None
    problem: errors.Problem | None = None
    near: tuple[unseen.Unseen, ...] = ()
    certain: bool = False

    @property
    def reason(self) -> str:
        """Return why it is needed."""
        if self.need is not None:
            return self.need.reason
        return self.problem.message if self.problem is not None else ""


class Lacks:
    """Says what is lacking in one world."""

    def __init__(self, world: simulation.World, told: reasons.Reasons) -> None:
        self._world = world
        self._reasons = told

    def dependency(self, one: flux.Kustomization, other: flux.Key) -> Lack:
        """Return the lack of `other`, which `one` depends on and nothing in the repository is."""
        name = other[1] if other[0] == one.namespace else "/".join(other)
        message = f"it depends on {name}, which is not in the repository"
        return self._problem(("Kustomization", *other), str(one), one.where, message)

    def of_unit(self, unit: discovery.Unit) -> list[Lack]:
        """Return what keeps `unit` from being applied."""
        before = self.before_build(unit)
        if before or unit.unseen or unit.kustomization.remote_cluster:
            return before
        return self._kinds(unit) + self._namespaces(unit) + self.forbidden(unit)

    def forbidden(self, unit: discovery.Unit) -> list[Lack]:
        """Return the bindings that the account of `unit` lacks (spec.serviceAccountName)."""
        one = unit.kustomization
        if one.remote_cluster or unit.unseen:
            return []
        objects = [documents.place_of(doc.obj) for doc in unit.objects]
        user = f"Kustomization {one}"
        return self._forbidden(one.namespace, one.account, objects, user, one.where)

    def _forbidden(
        self, namespace: str, account: str, objects: list[Place], user: str, where: str
    ) -> list[Lack]:
        found: list[Lack] = []
        for place in self._world.forbidden(namespace, account, objects):
            scope = f"in namespace {place[1]}" if place[1] else "for the whole cluster"
            problem = errors.Problem(
                where=where,
                key=f"{user} spec.serviceAccountName",
                message=f"ServiceAccount {namespace}/{account} is bound to no role {scope} by then,"
                " and the API server forbids what is applied there",
                hint=f"apply a {place[0]} of it before, {scope}",
            )
            found.append(Lack(place=place, blocks=user, where=where, problem=problem))
        return found

    def of_checks(self, unit: discovery.Unit, absent: list[Place]) -> list[Lack]:
        """Return the health checks of `unit` that wait for the `absent` objects."""
        one = unit.kustomization
        return [
            self._problem(
                place,
                str(one),
                one.where,
                f"spec.healthChecks waits for {documents.ref_of(place)}, which nothing makes",
            )
            for place in absent
        ]

    def of_waiting(self, unit: discovery.Unit, waited: list[Place]) -> list[Lack]:
        """Return what objects of Flux need that the applied `unit` waits for."""
        one = unit.kustomization
        found: list[Lack] = []
        for place in waited:
            user = documents.ref_of(place)
            why = f"Kustomization {one} waits until {user} is ready"
            for need, doc in self._world.unready(place).items():
                if need[0] in ("Secret", "ConfigMap"):
                    what = f"{user} reads it, {why}"
                    found.append(self._object(need, what, str(one), doc.where))
                else:
                    other = documents.ref_of(need)
                    message = f"it needs {other}, which is not in the repository, and {why}"
                    problem = errors.Problem(where=doc.where, key=user, message=message)
                    found.append(
                        Lack(place=need, blocks=str(one), where=doc.where, problem=problem)
                    )
        return found

    def before_build(self, unit: discovery.Unit) -> list[Lack]:
        """Return what the controller lacks before it builds `unit`: the source, keys, values."""
        one = unit.kustomization
        user, blocks = f"Kustomization {one}", str(one)
        lacks: list[Lack] = []
        if unit.parent is not None:
            for place in self._world.source_lacks(one.source):
                lacks.append(self._source(place, one.source, user, blocks, one.where))
        keys = ("Secret", one.namespace, one.decryption)
        if one.decryption and keys not in self._world.objects:
            what = f"{user} decrypts with it (spec.decryption)"
            need = self._reasons.for_keys(keys, what, blocks, one.where)
            lacks.append(Lack(place=keys, blocks=blocks, where=one.where, need=need))
        wanted = [
            ("reaches another cluster with it (spec.kubeConfig)", "Secret", one.kube_config),
            ("reaches another cluster with it (spec.kubeConfig)", "ConfigMap", one.kube_address),
        ]
        wanted += [
            ("takes values from it (postBuild.substituteFrom)", ref.kind, ref.name)
            for ref in one.substitute_from
            if not ref.optional
        ]
        for why, kind, name in wanted:
            place = (kind, one.namespace, name)
            if name and place not in self._world.objects:
                lacks.append(self._object(place, f"{user} {why}", blocks, one.where))
        return lacks

    def of_release(self, found: releases.Release, comes: Callable[[Place], bool]) -> list[Lack]:
        """Return what `found` lacks. `comes` says whether an object is still to be applied."""
        lacks: list[Lack] = []
        name, where = documents.ref(found.doc.obj), found.doc.where
        if found.problems:
            return [
                Lack(place=found.place, blocks=name, where=where, problem=problem, certain=True)
                for problem in found.problems
            ]
        for place in self._world.lacking(found):
            if place[0] == "Namespace":
                need = self._reasons.for_namespace(found.doc, found.target, name)
                lacks.append(Lack(place=place, blocks=name, where=where, need=need))
            elif place[0] == authority.BINDING:
                own = [("", found.target, "")]
                lacks += self._forbidden(found.place[1], found.account, own, name, where)
            elif place[0] == unseen.DEFINITION and found.local is not None:
                lacks.append(self._kind_of_chart(place, found.local, name))
            elif place in found.values_from or place in found.secrets:
                how = "takes values from it" if place in found.values_from else "reads it"
                lacks.append(self._object(place, f"{name} {how}", name, where))
            elif place in self._world.releases or comes(place):
                continue  # it waits for what is on its way
            elif place in found.depends_on:
                other = documents.ref_of(place)
                message = f"it depends on {other}, which is not in the repository"
                lacks.append(self._problem(place, name, where, message))
            elif found.source is not None:
                lacks.append(self._source(place, found.source, name, name, where))
        return lacks

    def _kind_of_chart(self, place: Place, chart: localcharts.Chart, blocks: str) -> Lack:
        """Return the lack of a kind that a plain template of `chart` uses."""
        doc = next(
            one
            for one in chart.objects
            if f"{one.obj.get('kind')}.{documents.group_of(one.obj)}" == place[2]
        )
        group = documents.group_of(doc.obj)
        if api.is_fixed(group):
            problem = self._reasons.for_version(doc, (), blocks)
            return Lack(place=place, blocks=blocks, where=doc.where, problem=problem, certain=True)
        need = self._reasons.for_kind(doc, place[2], charts.known_chart_of(group), blocks)
        return Lack(place=place, blocks=blocks, where=doc.where, need=need)

    def _source(self, place: Place, source: Place, user: str, blocks: str, where: str) -> Lack:
        if place[0] == "Secret":
            what = f"{documents.ref_of(source)}, which {user} needs, reads it"
            return self._object(place, what, blocks, where)
        message = (
            f"it takes its files from {documents.ref_of(place)}, which is not in the repository"
        )
        return self._problem(place, blocks, where, message)

    def _object(self, place: Place, what: str, blocks: str, where: str) -> Lack:
        need = self._reasons.for_object(place, what, blocks, where)
        return Lack(place=place, blocks=blocks, where=where, need=need)

    def _problem(self, place: Place, blocks: str, where: str, message: str) -> Lack:
        problem = errors.Problem(where=where, key=blocks, message=message)
        return Lack(place=place, blocks=blocks, where=where, problem=problem)

    def _kinds(self, unit: discovery.Unit) -> list[Lack]:
        """Return the kinds and versions that the API does not have."""
        blocks = str(unit.kustomization)
        found: dict[Place, Lack] = {}
        near = _near(unit)
        own = {made[0]: made[1] for d in unit.objects if (made := api.defined(d.obj)) is not None}
        for doc in unit.objects:
            group, kind = documents.group_of(doc.obj), str(doc.obj.get("kind"))
            place = (unseen.DEFINITION, "", f"{kind}.{group}")
            if place in found or sops.is_opaque(doc.obj):
                continue
            version = str(doc.obj.get("apiVersion")).rpartition("/")[2]
            served = self._world.versions(doc.obj) | own.get((group, kind), set())
            known = self._world.serves(doc.obj) or (group, kind) in own
            if known and (not served or version in served):
                continue
            if known or api.is_fixed(group):
                found[place] = Lack(
                    place=place,
                    blocks=blocks,
                    where=doc.where,
                    problem=self._reasons.for_version(doc, served, blocks),
                    certain=True,
                )
            else:
                chart = charts.known_chart_of(group)
                need = self._reasons.for_kind(
                    doc, place[2], chart, blocks, has_group=self._world.has_group(group)
                )
                found[place] = Lack(
                    place=place, blocks=blocks, where=doc.where, need=need, near=near
                )
        return list(found.values())

    def _namespaces(self, unit: discovery.Unit) -> list[Lack]:
        """Return the namespaces that are not there."""
        blocks, near = str(unit.kustomization), _near(unit)
        there = self._world.namespaces | {
            documents.place_of(doc.obj)[2]
            for doc in unit.objects
            if doc.obj.get("kind") == "Namespace"
        }
        found: dict[str, Lack] = {}
        for doc in unit.objects:
            kind, namespace, _ = documents.place_of(doc.obj)
            if (
                not namespace
                or kind in charts.CLUSTER_SCOPED
                or namespace in there
                or namespace in found
                or sops.is_opaque(doc.obj)
                or values.UNKNOWN.search(namespace)
            ):
                continue
            need = self._reasons.for_namespace(doc, namespace, blocks)
            place = ("Namespace", "", namespace)
            found[namespace] = Lack(
                place=place, blocks=blocks, where=doc.where, need=need, near=near
            )
        return list(found.values())


def _near(unit: discovery.Unit) -> tuple[unseen.Unseen, ...]:
    """Return what is applied together with the objects of `unit` and is not seen."""
    hidden = [unseen.of_encrypted(doc) for doc in unit.objects if sops.is_opaque(doc.obj)]
    return (*unseen.of_unit(unit), *hidden)
