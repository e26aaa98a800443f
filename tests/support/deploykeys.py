"""Runs of the deploy key's resource against GitHub and a cluster in memory."""

from __future__ import annotations

import functools

from provision.provider import resource
from provision.provider.deploy_key import access as deploy_key_access
from provision.provider.deploy_key import keypair
from tests.support import fluxworld

INPUTS = {
    "kubeconfig": "kubeconfig",
    "cluster": "kyrion",
    "namespace": "flux-system",
    "secretName": "flux-system",
    "gitUrl": "ssh://git@github.com/me/home.git",
    "branch": "main",
    "readWrite": True,
    "algorithm": "ed25519",
    "hostKeys": [],
    "rotation": "",
    "stackId": "homelabone",
}


ACCESS = deploy_key_access.GitAccess()


@functools.cache
def pair(name: str, algorithm: str = "ed25519") -> keypair.KeyPair:
    return keypair.make_pair(algorithm)


def put_secret(world: fluxworld.World, one: keypair.KeyPair, known_hosts: str = "") -> None:
    pins = known_hosts or keypair.known_hosts(INPUTS["gitUrl"], world.hub.server_keys)
    world.cluster.put(keypair.secret_manifest("flux-system", "flux-system", one, pins))


def secret_print(world: fluxworld.World) -> str:
    secret = world.cluster.objects["Secret", "flux-system", "flux-system"]
    found = keypair.pair_of(keypair.secret_field(secret, "identity"))
    assert found is not None
    return found.fingerprint


def up(world: fluxworld.World, state=None, **changed) -> dict:
    """One run as the provider does it; returns the state it would save."""
    inputs = INPUTS | changed
    observed, kept = resource.converge(ACCESS, world, inputs, state or {})
    return inputs | ACCESS.outputs(observed.facts, inputs, kept)


def planned(world: fluxworld.World, state=None, **changed):
    inputs = INPUTS | changed
    facts = ACCESS.observe(world, inputs, state or {}).facts
    return ACCESS.plan(facts, inputs, state or {})


def ours(world: fluxworld.World) -> list[str]:
    return [k.fingerprint for k in world.hub.keys.values() if k.title.startswith("elysium/kyrion/")]


def flux_uses_it(world: fluxworld.World, *, ready: bool = True) -> None:
    """A source-controller that acts on request, and fetches with what the Secret holds."""
    world.cluster.put(
        {
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "GitRepository",
            "metadata": {"name": "flux-system", "namespace": "flux-system", "generation": 1},
            "spec": {"secretRef": {"name": "flux-system"}},
            "status": {},
        }
    )

    def act() -> None:
        obj = world.cluster.objects["GitRepository", "flux-system", "flux-system"]
        stamp = (obj["metadata"].get("annotations") or {}).get("reconcile.fluxcd.io/requestedAt")
        good = ready and secret_print(world) in {k.fingerprint for k in world.hub.keys.values()}
        obj["status"] = {
            "observedGeneration": 1,
            "lastHandledReconcileAt": stamp,
            "conditions": [
                {
                    "type": "Ready",
                    "status": "True" if good else "False",
                    "reason": "Succeeded" if good else "GitOperationFailed",
                    "message": "stored artifact" if good else "permission denied",
                }
            ],
        }

    world.cluster.react = act
