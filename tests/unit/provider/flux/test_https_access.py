"""A token for HTTPS leaves the Secret once Flux fetches over SSH, unless something may use it."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from provision.provider.flux import https_access
from tests.support import flux_objects as made
from tests.support import fluxparts

TOKEN = "ghp_canary0123456789"
HTTPS = "https://github.com/me/home"


def secret(*fields: str, **metadata: Any) -> dict[str, Any]:
    names = ("identity", "identity.pub", "known_hosts", *fields)
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "flux-system", "namespace": "flux-system", **metadata},
        "type": "Opaque",
        "data": {name: base64.b64encode(TOKEN.encode()).decode() for name in names},
    }


def token_auth(world, *fields: str, **metadata: Any) -> None:
    """As `flux bootstrap --token-auth` leaves it, when the deploy key was written beside it."""
    fluxparts.applied(world)
    source = world.cluster.objects["GitRepository", "flux-system", "flux-system"]
    source["spec"]["url"] = HTTPS
    metadata.setdefault("annotations", {})["kubectl.kubernetes.io/last-applied-configuration"] = (
        json.dumps({"stringData": {"password": TOKEN}})
    )
    world.cluster.put(secret(*(fields or ("username", "password")), **metadata))


def held(world) -> dict[str, Any]:
    return world.cluster.objects["Secret", "flux-system", "flux-system"]


def removals(world, **changed: Any) -> list[str]:
    changes = fluxparts.plan(fluxparts.SYNC, world, fluxparts.S_INPUTS | changed)
    return [one.summary for one in changes if one.property == "secret"]


def remarks(world, **changed: Any) -> str:
    inputs = fluxparts.S_INPUTS | changed
    return "\n".join(
        fluxparts.SYNC.remarks(fluxparts.SYNC.observe(world, inputs, {}).facts, inputs)
    )


def test_the_plan_says_it_and_the_run_does_it(world) -> None:
    token_auth(world, "username", "password", "caFile")
    (summary,) = removals(world)
    assert "remove username and password and caFile from the Secret" in summary
    assert "revoke" in summary
    state = fluxparts.run(fluxparts.SYNC, world, fluxparts.S_INPUTS)
    assert set(held(world)["data"]) == {"identity", "identity.pub", "known_hosts"}
    assert world.calls.index("patch GitRepository") < world.calls.index("patch Secret")
    assert held(world)["metadata"]["annotations"] == {}
    assert any("revoke that token at GitHub" in text for text in world.warned)
    told = f"{state} {summary} {world.said} {world.warned} {world.calls}"
    assert TOKEN not in told
    assert base64.b64encode(TOKEN.encode()).decode() not in told
    assert fluxparts.plan(fluxparts.SYNC, world, fluxparts.S_INPUTS, state) == ()


@pytest.mark.parametrize("field", ["password", "bearerToken", "githubAppPrivateKey", "tls.key"])
def test_each_kind_of_credential(world, field) -> None:
    token_auth(world, field)
    assert field in removals(world)[0]


def test_a_secret_of_ssh_alone_is_left(world) -> None:
    fluxparts.applied(world)
    world.cluster.put(secret("caFile"))
    assert removals(world) == []
    assert remarks(world) == ""


def helm(spec: dict[str, Any], namespace: str = "flux-system") -> dict[str, Any]:
    return {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "HelmRepository",
        "metadata": {"name": "charts", "namespace": namespace},
        "spec": spec,
    }


def workload(kind: str, api: str, pod: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": api,
        "kind": kind,
        "metadata": {"name": "tool", "namespace": "flux-system"},
        "spec": {"template": {"spec": pod}},
    }


USERS = [
    made.repository("flux-system", "other", HTTPS, secret="flux-system"),
    helm({"url": "https://charts", "secretRef": {"name": "flux-system"}}),
    helm({"url": "https://charts", "certSecretRef": {"name": "flux-system"}}),
    workload("Deployment", "apps/v1", {"volumes": [{"secret": {"secretName": "flux-system"}}]}),
    workload(
        "DaemonSet",
        "apps/v1",
        {"volumes": [{"projected": {"sources": [{"secret": {"name": "flux-system"}}]}}]},
    ),
    workload(
        "Job",
        "batch/v1",
        {"containers": [{"env": [{"valueFrom": {"secretKeyRef": {"name": "flux-system"}}}]}]},
    ),
    {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"name": "x", "namespace": "flux-system"},
        "spec": {"postBuild": {"substituteFrom": [{"kind": "Secret", "name": "flux-system"}]}},
    },
]


@pytest.mark.parametrize("user", USERS, ids=lambda user: user["kind"])
def test_what_others_use_stays_and_they_are_named(world, user) -> None:
    token_auth(world)
    world.cluster.put(user)
    assert removals(world) == []
    name = user["metadata"]["name"]
    assert f"{user['kind']} flux-system/{name} may use it" in remarks(world)
    fluxparts.run(fluxparts.SYNC, world, fluxparts.S_INPUTS)
    assert "password" in held(world)["data"]


@pytest.mark.parametrize(
    "other",
    [
        made.repository("flux-system", "other", "ssh://git@h/me/x", secret="flux-system"),
        made.repository("tenant", "other", HTTPS, secret="flux-system"),
        helm({"url": "https://charts", "secretRef": {"name": "another"}}),
        workload("Deployment", "apps/v1", {"serviceAccountName": "flux-system"}),
    ],
    ids=["ssh", "other namespace", "other secret", "no reference"],
)
def test_what_does_not_use_it_is_no_reason_to_keep_it(world, other) -> None:
    token_auth(world)
    world.cluster.put(other)
    assert len(removals(world)) == 1


@pytest.mark.parametrize(
    ("metadata", "who"),
    [
        (
            {
                "labels": {
                    "kustomize.toolkit.fluxcd.io/name": "secrets",
                    "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
                }
            },
            "Kustomization flux-system/secrets",
        ),
        (
            {"ownerReferences": [{"kind": "SealedSecret", "name": "flux-system"}]},
            "SealedSecret flux-system/flux-system",
        ),
    ],
)
def test_a_secret_that_something_writes_again_stays(world, metadata, who) -> None:
    token_auth(world, **metadata)
    assert removals(world) == []
    assert who in remarks(world)


def test_a_source_that_stays_on_https_keeps_its_token(world) -> None:
    token_auth(world)
    world.cluster.objects["GitRepository", "flux-system", "flux-system"]["spec"]["secretRef"] = {
        "name": "flux-system"
    }
    assert removals(world, commit="none") == []
    assert "GitRepository flux-system/flux-system may use it" in remarks(world, commit="none")


def test_nothing_is_removed_before_the_source_is_ready(world) -> None:
    token_auth(world)
    source = world.cluster.objects["GitRepository", "flux-system", "flux-system"]
    source["spec"]["url"] = fluxparts.S_INPUTS["gitUrl"]
    world.cluster.react = lambda: None
    source["status"]["conditions"] = [{"type": "Ready", "status": "False", "reason": "x"}]
    https_access.remove(world, world.cluster, fluxparts.S_INPUTS)
    assert "password" in held(world)["data"]
    source["status"]["conditions"] = [{"type": "Ready", "status": "True", "reason": "x"}]
    source["spec"]["url"] = HTTPS
    https_access.remove(world, world.cluster, fluxparts.S_INPUTS)
    assert "password" in held(world)["data"]


def test_a_new_cluster_has_nothing_to_remove(world) -> None:
    fluxparts.all_up(world)
    assert "patch Secret" not in world.calls
