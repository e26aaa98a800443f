"""The objects of one tree, by what they are in the cluster."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

from provision.gitops import documents
from provision.gitops.build import discovery, flux
from provision.gitops.documents import mapping

Identity: TypeAlias = tuple[str, str, documents.Place]
"""The Secret with another cluster's kubeconfig, if there is one; API group; kind, namespace, name.

The version of the API is no part of it: one object can be written in several.
"""


@dataclass(frozen=True, kw_only=True)
class Applied:
    """An object, and the Kustomization that applies it."""

    doc: documents.Document
    unit: discovery.Unit

    @property
    def identity(self) -> Identity:
        """Return what tells it from all others."""
        cluster = self.unit.kustomization.kube_config
        return cluster, documents.group_of(self.doc.obj), documents.place_of(self.doc.obj)

    @property
    def spec(self) -> Mapping[str, Any]:
        """Return its ``spec``."""
        return mapping(self.doc.obj.get("spec"))

    def says(self, key: str, value: str) -> bool:
        """Return whether the label or annotation `key` of Flux is `value`."""
        metadata = mapping(self.doc.obj.get("metadata"))
        return any(
            str(mapping(metadata.get(part)).get(f"{flux.GROUP}/{key}")).lower() == value
            for part in ("annotations", "labels")
        )


class Side:
    """One of the two trees, built."""

    def __init__(self, units: Iterable[discovery.Unit]) -> None:
        self.units = {unit.kustomization.key: unit for unit in units}
        self.applied: dict[Identity, Applied] = {}
        for unit in self.units.values():
            for doc in unit.objects:
                one = Applied(doc=doc, unit=unit)
                self.applied.setdefault(one.identity, one)

    @cached_property
    def kustomizations(self) -> Mapping[flux.Key, Applied]:
        """Return the objects of the Kustomizations. An assumed root has none."""
        return {
            flux.read(one.doc).key: one
            for one in self.applied.values()
            if flux.is_kustomization(one.doc.obj)
        }

    def settings(self, key: flux.Key) -> Mapping[str, Any]:
        """Return the ``spec`` of a Kustomization; of an assumed root, what bootstrap writes."""
        one = self.kustomizations.get(key)
        return one.spec if one else {"prune": True}
