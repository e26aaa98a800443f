"""The words and objects of each need: why it is missing, and what would help."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from provision import errors
from provision.gitops import documents
from provision.gitops.build import discovery, sops
from provision.gitops.coldstart import api, needs, releases, simulation, unseen
from provision.gitops.documents import Place
from provision.gitops.sealing import keys as sealing_keys
from provision.gitops.sealing import sealed


class Reasons:
    """Explains what is missing, from all that the repository holds."""

    def __init__(
        self,
        units: Sequence[discovery.Unit],
        keys: Sequence[sealing_keys.SealingKey] | None,
        obtainable: Collection[str],
        cluster: simulation.Cluster,
    ) -> None:
        """See `analysis` for `keys` and `obtainable`."""
        self._units = units
        self._keys = keys
        self._obtainable = obtainable
        self._components = cluster.components
        self._decrypts = cluster.decrypts
        self._sources = _sources(units)

    def is_made(self, place: Place) -> bool:
        """Return whether the repository holds what makes `place`: an object, or a definition."""
        kind, _, name = place
        if kind == "Namespace":
            return self._maker_of(name) is not None
        if kind == unseen.DEFINITION:
            defined, _, group = name.partition(".")
            return any(
                (made := api.defined(doc.obj)) is not None and made[0] == (group, defined)
                for unit in self._units
                for doc in unit.objects
            )
        return place in self._sources

    def for_keys(self, place: Place, what: str, blocks: str, where: str) -> needs.Need:
        """Return the need of a Secret with the keys for SOPS; `what` says who needs it."""
        if place in self._sources:
            return self.for_object(place, what, blocks, where)
        return needs.Need(
            kind="Secret",
            name=place[2],
            namespace=place[1],
            blocks=blocks,
            reason=f"{what}, and nothing in the repository makes it",
            where=where,
            suggestion="give the age or PGP keys: elysium config set --secret sops.keys",
            obstacle="" if self._decrypts else "its keys are not at hand",
            decrypts=True,
        )

    def for_object(self, place: Place, what: str, blocks: str, where: str) -> needs.Need:
        """Return the need of a Secret or ConfigMap; `what` says who needs it."""
        kind, namespace, name = place
        doc = self._sources.get(place)
        need_kind: needs.NeedKind = "Secret" if kind == "Secret" else "ConfigMap"
        if doc is None:
            return needs.Need(
                kind=need_kind,
                name=name,
                namespace=namespace,
                blocks=blocks,
                reason=f"{what}, and nothing in the repository makes it",
                where=where,
                suggestion=f"add it to the repository, or mark the reference to {name} optional",
                obstacle="its content is nowhere in the repository",
            )
        obj, obstacle = self._content(doc)
        if sealed.is_sealed(doc.obj):
            made = "only the Sealed Secrets controller makes it, which does not run yet then"
            suggestion = (
                f"install Sealed Secrets in a Kustomization that takes no values from {name}, "
                "and let this one depend on it"
            )
        else:
            made = "it is applied only after this"
            suggestion = f"move {name} to what is applied before, or mark the reference optional"
        return needs.Need(
            kind=need_kind,
            name=name,
            namespace=namespace,
            blocks=blocks,
            reason=f"{what}, and {made}",
            where=where,
            source=doc.where,
            suggestion=suggestion,
            object=obj,
            sealed=doc.obj if sealed.is_sealed(doc.obj) else None,
            obstacle=obstacle,
        )

    def for_version(
        self, doc: documents.Document, served: Collection[str], blocks: str
    ) -> errors.Problem:
        """Return what is wrong with the kind or version of `doc`, whose group is known."""
        group, kind = documents.group_of(doc.obj), str(doc.obj.get("kind"))
        version = str(doc.obj.get("apiVersion"))
        component = api.component_of(group, kind)
        if component and component not in self._components:
            message = f"Flux' component {component} serves this kind, and is not installed"
            hint = f"add {component} to flux.componentsExtra"
        elif served:
            best = ", ".join(sorted(f"{group}/{one}".lstrip("/") for one in served))
            message = f"the API has no {kind} in {version}"
            hint = f"write apiVersion: {best}"
        else:
            message = f"the API has no kind {kind} in {version}"
            hint = "look for a misspelt kind or apiVersion"
        return errors.Problem(
            where=doc.where,
            key=documents.ref(doc.obj),
            message=f"{message} (Kustomization {blocks})",
            hint=hint,
        )

    def for_kind(
        self,
        doc: documents.Document,
        name: str,
        chart: str,
        blocks: str,
        *,
        has_group: bool = False,
    ) -> needs.Need:
        """Return the need of a definition, ``Kind.group``, for `doc`.

        `has_group`: what is there defines other kinds or versions of the group.
        """
        later = f"the chart {chart} that defines it" if chart else "what defines it"
        if has_group:
            later = f"what is known to define it in {doc.obj.get('apiVersion')}"
        return needs.Need(
            kind="CustomResourceDefinition",
            name=name,
            blocks=blocks,
            reason=(
                f"{documents.ref(doc.obj)} is applied by Kustomization {blocks}, and nothing "
                f"before it installs {later}"
            ),
            where=doc.where,
            suggestion=(
                f"move {documents.ref(doc.obj)} to a Kustomization that depends on the one "
                f"with {later}"
            ),
            provided_by=chart,
            obstacle="" if name in self._obtainable else "its definition is not at hand",
        )

    def for_namespace(self, doc: documents.Document, namespace: str, blocks: str) -> needs.Need:
        """Return the need of a namespace, for `doc` in it."""
        maker = self._maker_of(namespace)
        why = (
            f"only {documents.ref(maker.obj)} ({maker.where}) makes it, after that"
            if maker
            else "nothing in the repository makes it"
        )
        return needs.Need(
            kind="Namespace",
            name=namespace,
            blocks=blocks,
            reason=f"{documents.ref(doc.obj)} is in it, and {why}",
            where=doc.where,
            source=maker.where if maker else "",
            suggestion=f"add a Namespace {namespace} to Kustomization {blocks}",
        )

    def _content(self, doc: documents.Document) -> tuple[dict[str, Any] | None, str]:
        if sops.holds_encrypted(doc.obj):
            return None, "SOPS encrypted its content, and only Flux decrypts it"
        if not sealed.is_sealed(doc.obj):
            return doc.obj, ""
        if self._keys is None:
            return None, ""
        try:
            return sealed.seed(doc.obj, self._keys, where=doc.where), ""
        except errors.GitOpsError as error:
            return None, "; ".join(str(problem) for problem in error.problems)

    def _maker_of(self, namespace: str) -> documents.Document | None:
        for unit in self._units:
            for doc in unit.objects:
                if (
                    doc.obj.get("kind") == "Namespace"
                    and documents.place_of(doc.obj)[2] == namespace
                ):
                    return doc
                if releases.is_release(doc.obj):
                    made = releases.read(doc)
                    if made.creates_namespace and made.target == namespace:
                        return doc
        return None


def _sources(units: Sequence[discovery.Unit]) -> dict[Place, documents.Document]:
    """Return which document makes each Secret and ConfigMap; a plain one before a sealed one."""
    found: dict[Place, documents.Document] = {}
    for unit in units:
        for doc in unit.objects:
            kind, namespace, name = documents.place_of(doc.obj)
            if kind in ("ConfigMap", "Secret"):
                found[kind, namespace, name] = doc
            elif sealed.is_sealed(doc.obj):
                found.setdefault(("Secret", namespace, name), doc)
    return found
