"""What opens the repository's SealedSecrets, and what Flux would wait for for ever without."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi

from provision import config
from stacks import resources

if TYPE_CHECKING:
    from provision.gitops.coldstart import needs


@dataclass(frozen=True, kw_only=True)
class SealingArgs:
    """Where the keys belong. `namespace` is the controller's."""

    kubeconfig: pulumi.Input[str]
    github: config.GitHub
    flux: config.Flux
    path: str
    sealing: config.Sealing
    namespace: str
    certificate: str
    rotation: str = ""
    """Asks for a new key, if it was not used before."""


class Sealing(pulumi.ComponentResource):
    """The sealing keys, there before any controller is."""

    key: resources.SealingKey

    def __init__(
        self, name: str, args: SealingArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("elysium:components:Sealing", name, None, opts)
        given = args.sealing.keys
        # Not deleted with the node: the keys outlive it, in the state.
        self.key = resources.SealingKey(
            f"{name}-key",
            {
                "kubeconfig": args.kubeconfig,
                "namespace": args.namespace,
                "branch": args.github.branch,
                "path": args.path,
                "commit": args.flux.commit,
                "certificatePath": args.certificate,
                "keys": pulumi.Output.secret(given.reveal() if given else ""),
                "rotation": args.rotation,
            },
            pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({"fingerprints": self.key.fingerprints})


@dataclass(frozen=True, kw_only=True)
class ColdStartArgs:
    """What is seeded. `release` is the version of Sealed Secrets for its definition."""

    kubeconfig: pulumi.Input[str]
    seeds: Sequence[needs.Need]
    release: str
    node: pulumi.Resource
    """What everything in the cluster goes with."""
    after: Sequence[pulumi.Resource] = ()


class ColdStart(pulumi.ComponentResource):
    """What must be there before Flux starts: one resource each, with its reason."""

    seeds: list[pulumi.Resource]

    def __init__(
        self, name: str, args: ColdStartArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("elysium:components:ColdStart", name, None, opts)
        child = pulumi.ResourceOptions(
            parent=self, deleted_with=args.node, depends_on=list(args.after)
        )
        self.seeds = [
            resources.Seed(
                f"{name}-{seed_name(need)}",
                {"kubeconfig": args.kubeconfig} | _seed(need, args.release),
                child,
            )
            for need in args.seeds
        ]
        self.register_outputs({})


def seed_name(need: needs.Need) -> str:
    """Return what tells one seed from another: ``secret-flux-system-cluster-secret-vars``."""
    kind = "crd" if need.kind == "CustomResourceDefinition" else need.kind.lower()
    return "-".join(part for part in (kind, need.namespace, need.name.lower()) if part)


def _seed(need: needs.Need, release: str) -> dict[str, Any]:
    from provision.gitops.coldstart import definitions

    name, manifest = need.name, need.sealed or need.object
    if need.kind == "CustomResourceDefinition":
        there = (need.object or {}).get("metadata") or {}
        name = str(there.get("name") or definitions.RELEASED.get(need.name, need.name))
    return {
        "kind": need.kind,
        "name": name,
        "namespace": need.namespace,
        "manifest": pulumi.Output.secret(json.dumps(manifest, sort_keys=True) if manifest else ""),
        "release": release,
        "reason": need.reason,
        "where": need.where,
        "blocks": need.blocks,
    }
