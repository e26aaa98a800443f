"""``elysium:secrets:Seed``: one thing without which Flux would wait for ever.

It is created where it is absent, once in the life of a cluster. What makes it
in the ordinary course of things (the Sealed Secrets controller, a HelmRelease,
a later Kustomization) takes it over, and nothing here looks at its content
again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from provision import errors
from provision.artifacts import catalog
from provision.change import Change
from provision.gitops.coldstart import definitions
from provision.gitops.sealing import keyring, sealed
from provision.kube import objects, wait
from provision.provider.context import Context
from provision.provider.flux import objects as flux_objects
from provision.provider.resource import UNKNOWN, Observed, Resource, Values
from provision.provider.sealing import cluster as sealing_cluster

if TYPE_CHECKING:
    from provision.kube.client import KubeClient

FIELD_MANAGER = "elysium"
_TIMEOUT = 60.0
_VERSIONS = {
    "CustomResourceDefinition": "apiextensions.k8s.io/v1",
    "Namespace": "v1",
    "Secret": "v1",
    "ConfigMap": "v1",
}


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Whether it is there. `cluster` names the cluster's life; empty while there is none."""

    there: bool
    cluster: str


class Seed(Resource[Facts]):
    """One seed.

    Inputs: `kubeconfig`; `kind`, `name` and `namespace` of the object (kind is
    CustomResourceDefinition, Namespace, Secret or ConfigMap); `manifest`, a
    secret text with the object in JSON, or the SealedSecret that it comes from,
    which is opened with the cluster's own sealing keys; `release`, the version
    of Sealed Secrets whose definition is taken where there is no manifest;
    `reason`, `where` (file and line) and `blocks` (the Kustomization that stops
    without it) for people.

    Output: `cluster`, the id of the cluster in which it was there.
    """

    type = "elysium:secrets:Seed"
    plans_without = frozenset({"kubeconfig"})
    secret_inputs = frozenset({"kubeconfig", "manifest"})

    def check(self, inputs: Values) -> tuple[dict[str, Any], list[errors.Problem]]:
        """Fill in defaults; the kind must be one that is seeded."""
        filled: dict[str, Any] = {
            "namespace": "",
            "manifest": "",
            "release": "",
            "reason": "",
            "where": "",
            "blocks": "",
        } | dict(inputs)
        problems: list[errors.Problem] = []
        if filled.get("kind") not in _VERSIONS:
            message = f"{filled.get('kind')} is not a kind that is seeded"
            problems.append(errors.Problem(message=message, key="kind"))
        return filled, problems

    def identity(self, inputs: Values) -> str:
        """Return kind, namespace and name."""
        return "/".join(p for p in (inputs["kind"], inputs["namespace"], inputs["name"]) if p)

    def observe(self, ctx: Context, inputs: Values, state: Values) -> Observed[Facts]:
        """Look whether it is there."""
        if inputs["kubeconfig"] is UNKNOWN:
            return Observed(exists=False, facts=Facts(there=False, cluster=""))
        kube = ctx.kube(inputs["kubeconfig"])
        kind = inputs["kind"]
        found = kube.get(_VERSIONS[kind], kind, inputs["name"], inputs["namespace"] or None)
        facts = Facts(there=found is not None, cluster=_life(kube))
        # Whoever removed it in this cluster had a reason: it is not seeded twice.
        return Observed(exists=facts.there or _was_there(facts, state), facts=facts)

    def plan(self, facts: Facts, inputs: Values, state: Values) -> tuple[Change, ...]:
        """Create it where it never was."""
        if facts.there or _was_there(facts, state):
            return ()
        where = f" ({inputs['where']})" if inputs["where"] else ""
        return (
            Change(
                property="object",
                action="create",
                summary=f"seed {self.identity(inputs)}: {inputs['reason']}{where}",
            ),
        )

    def apply(
        self, ctx: Context, inputs: Values, facts: Facts, changes: tuple[Change, ...], state: Values
    ) -> dict[str, Any]:
        """Create it, and its namespace."""
        kube = ctx.kube(inputs["kubeconfig"])
        ctx.progress(f"seeding {self.identity(inputs)}")
        if inputs["kind"] == "Namespace":
            flux_objects.ensure_namespace(kube, inputs["name"], field_manager=FIELD_MANAGER)
            return {}
        obj = self._object(ctx, kube, inputs)
        if inputs["namespace"]:
            flux_objects.ensure_namespace(kube, inputs["namespace"], field_manager=FIELD_MANAGER)
        # Where someone was quicker, that is as good.
        objects.create_if_absent(kube, obj, manager=FIELD_MANAGER, progress=ctx.progress)
        if inputs["kind"] == "CustomResourceDefinition":
            wait.wait_ready(kube, [wait.Ref.of(obj)], timeout=_TIMEOUT, progress=ctx.progress)
        return {}

    def outputs(self, facts: Facts, inputs: Values, state: Values) -> dict[str, Any]:
        """Return in which cluster it was there."""
        return {"cluster": facts.cluster or str(state.get("cluster") or "")}

    def unknown_outputs(self, inputs: Values) -> dict[str, Any]:
        """Nothing is known before the cluster is there."""
        return {"cluster": UNKNOWN}

    def delete(self, ctx: Context, inputs: Values, state: Values) -> None:
        """Leave it: it belongs to what took it over."""

    def _object(self, ctx: Context, kube: KubeClient, inputs: Values) -> dict[str, Any]:
        if not inputs["manifest"]:
            return released(ctx, inputs["name"], inputs["release"])
        obj: dict[str, Any] = json.loads(inputs["manifest"])
        if not sealed.is_sealed(obj):
            return obj
        keys, _ = keyring.from_secrets(sealing_cluster.key_secrets(kube))
        return sealed.seed(obj, keys, where=inputs["where"])


def released(ctx: Context, name: str, version: str) -> dict[str, Any]:
    """Return the definition `name` out of the pinned release of Sealed Secrets.

    Raises `errors.ArtifactError` when the release cannot be had or lacks it.
    """
    artifact = catalog.sealed_secrets(version)
    path = ctx.artifacts().fetch(artifact, catalog.ANY, progress=ctx.progress)
    found = definitions.from_text(path.read_text(encoding="utf-8"), path.name)
    for obj in found.values():
        if obj["metadata"]["name"] == name:
            return obj
    raise errors.ArtifactError(
        f"Sealed Secrets {version} has no definition {name}",
        detail=str(path),
        hint="set sealing.version to a release that has it, or give it in flux.crds",
    )


def _life(kube: KubeClient) -> str:
    """Return what no other cluster, nor this one set up anew, has: the id of kube-system."""
    found: Mapping[str, Any] = kube.get("v1", "Namespace", "kube-system") or {}
    return str((found.get("metadata") or {}).get("uid") or "")


def _was_there(facts: Facts, state: Values) -> bool:
    return bool(facts.cluster) and state.get("cluster") == facts.cluster
