"""The part with the deploy key's Secret: where Flux is, and without a token."""

from __future__ import annotations

import base64
import json

from provision import config
from provision.recovery.backup import collect
from provision.recovery.bundle import inventory, parts
from tests.support import fluxworld


def put(world: fluxworld.World, kind: str, namespace: str, name: str, **rest: object) -> None:
    api = "v1" if kind == "Secret" else "source.toolkit.fluxcd.io/v1"
    metadata = {"name": name, "namespace": namespace}
    world.cluster.put({"apiVersion": api, "kind": kind, "metadata": metadata, **rest})


def test_it_is_read_where_flux_is() -> None:
    world = fluxworld.World()
    flux = config.Flux(namespace="gitops", source="home", secret="access")
    data = {"identity": "a2V5", "known_hosts": "aG9zdHM="}
    put(world, "Secret", "gitops", "access", data=data)
    put(world, "Secret", "gitops", "sops-age", data={"age.agekey": "eA=="})
    absent: list[str] = []
    found = {one.name: one for one in collect._secrets(world.cluster, flux, [], absent)}
    assert json.loads(found[parts.FLUX_SYSTEM].content)["data"] == data
    assert json.loads(found[parts.SOPS_AGE].content)["items"][0]["metadata"]["name"] == "sops-age"
    assert absent == ["there are no sealing keys in the cluster or the state"]
    put(world, "GitRepository", "gitops", "home", status={"artifact": {"revision": "main@sha1:1"}})
    assert inventory.take(world.cluster, source=flux.source_ref).revision == "main@sha1:1"


def test_a_token_is_left_out_and_that_is_told() -> None:
    world = fluxworld.World()
    token = base64.b64encode(b"ghp_canary").decode()
    data = {"identity": "a2V5", "username": "Z2l0", "password": token, "caFile": "eA=="}
    put(world, "Secret", "flux-system", "flux-system", data=data)
    absent: list[str] = []
    found = list(collect._secrets(world.cluster, config.Flux(), [], absent))
    (access,) = [one for one in found if one.name == parts.FLUX_SYSTEM]
    assert json.loads(access.content)["data"] == {"identity": "a2V5"}
    assert token.encode() not in b"".join(one.content for one in found)
    assert any(
        "username and password" in text and "flux-system/flux-system" in text for text in absent
    )
