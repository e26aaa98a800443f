"""What may bring something that cannot be seen from the repository."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from provision.gitops import documents
from provision.gitops.build import discovery
from provision.gitops.coldstart import api, authority, charts, creators, definers, releases
from provision.gitops.documents import Place

DEFINITION: Final = "CustomResourceDefinition"
_MADE_BY_CHARTS: Final = ("Secret", "ConfigMap", authority.BINDING, authority.CLUSTER_BINDING)


@dataclass(frozen=True, kw_only=True)
class Unseen:
    """One thing that is there, and whose effect is not seen.

    `label` names it, `check` says what a person can look at. It is one of four: `release`, a
    chart; `doc`, an object that an operator acts on; `groups`, kinds of these API groups; or
    none of them, objects from elsewhere, of any kind, in `namespace` where that is given.
    """

    label: str
    check: str
    release: releases.Release | None = None
    doc: documents.Document | None = None
    namespace: str = ""
    groups: frozenset[str] = frozenset()
    objects: creators.Objects | None = field(default=None, repr=False, compare=False)
    """All objects that are known by place, for what acts on `doc`."""

    def can_bring(self, place: Place) -> bool:
        """Return whether `place` may come from it. A definition's name is ``Kind.group``."""
        kind, namespace, name = place
        if kind == DEFINITION:
            defined, _, group = name.partition(".")
            if api.is_fixed(group) or self.groups:
                return group in self.groups
            if self.doc is not None:
                return definers.can_define(self.doc, group, defined)
            return self.release is None or self.release.can_define(group, defined)
        if self.groups:
            return False
        if self.doc is not None:
            return creators.can_make(self.doc, place, self.objects)
        if self.release is not None:
            return kind in _MADE_BY_CHARTS and self.release.can_make(place)
        return not self.namespace or not namespace or namespace == self.namespace

    def can_unseal(self) -> bool:
        """Return whether the Sealed Secrets controller may come with it."""
        return (self.doc is None and not self.groups) and (
            self.release is None
            or self.release.can_define(charts.SEALED_SECRETS_GROUP, "SealedSecret")
        )


BUNDLED: Final = Unseen(
    label="the Traefik that k3s brings",
    check="see which kinds the Traefik of k3s defines: kubectl api-resources",
    groups=api.TRAEFIK_GROUPS,
)


def of_release(found: releases.Release) -> Unseen:
    """Return what the chart of `found` may bring."""
    name = documents.ref(found.doc.obj)
    return Unseen(
        label=f"the chart {found.chart or '?'} of {name}",
        check=f"look into the chart {found.chart or '?'}",
        release=found,
    )


def of_object(doc: documents.Document, objects: creators.Objects | None = None) -> Unseen:
    """Return what an operator may make of `doc`; `objects` are all that are known by place."""
    name = documents.ref(doc.obj)
    return Unseen(
        label=f"what acts on {name}",
        check=f"see what {name} makes",
        doc=doc,
        objects=objects,
    )


def of_encrypted(doc: documents.Document) -> Unseen:
    """Return what the document `doc` may be, whose kind and name are encrypted."""
    return Unseen(
        label=f"the encrypted document at {doc.where}",
        check=f"look into it: sops decrypt {doc.file}",
    )


def of_unit(unit: discovery.Unit) -> list[Unseen]:
    """Return what comes with the Kustomization of `unit` and is not seen."""
    one = unit.kustomization
    found = [
        Unseen(
            label=f"the base {text.partition(': ')[2]} of Kustomization {one}",
            check=f"look into {text.partition(': ')[2]}",
            namespace=one.target_namespace,
        )
        for text in unit.remote
    ]
    if unit.unseen:
        found.append(
            Unseen(
                label=f"Kustomization {one}, which was not looked at ({unit.unseen})",
                check=f"give its files: --source {one.source[2]}=DIR",
                namespace=one.target_namespace,
            )
        )
    return found


def best(found: Iterable[Unseen], place: Place, all_: Iterable[releases.Release]) -> list[Unseen]:
    """Return those of `found` that may bring `place`, without charts that hardly do.

    A definition comes from a chart that resembles it, if the repository has such a chart, or
    one that the table lists for it: then no other chart counts, only what lies elsewhere.
    """
    able = [one for one in found if one.can_bring(place)]
    kind, _, name = place
    if kind != DEFINITION:
        return able
    defined, _, group = name.partition(".")
    likely = [
        one
        for one in all_
        if group in one.groups()
        or (one.can_define(group, defined) and one.resembles(group, defined))
    ]
    if not likely:
        return able
    return [one for one in able if one.release is None or one.release in likely]
