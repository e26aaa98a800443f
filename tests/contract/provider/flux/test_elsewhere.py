"""Flux in another namespace, and Flux with a token: with the real definitions and API server."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from provision import config, errors
from provision.operations.adoption import flux
from provision.provider.flux import components, detection, objects, scaffold, sync
from tests.contract.provider.flux import test_bootstrap
from tests.support import flux_objects

TOKEN = "ghp_canary0123456789"
PATH = "clusters/kyrion"
REPOSITORY = "elsewhere"
"""Of its own: the other files count the deploy keys of theirs."""


@pytest.fixture(scope="module")
def wanted(world, components_file) -> dict[str, Any]:
    world.forge.seed_repository(scaffold.render("kyrion"))
    return test_bootstrap.inputs(world, components_file)


def https(world) -> str:
    return f"https://github.com/{world.hub.slug}"


def applied(world, *made: dict[str, Any]) -> None:
    for obj in made:
        world.cluster.client.apply(obj, field_manager="flux", force=True)


def deployment(name: str, namespace: str) -> dict[str, Any]:
    made = flux_objects.controller(name, namespace)
    made["spec"]["selector"] = {"matchLabels": {"app": name}}
    made["spec"]["template"]["metadata"] = {"labels": {"app": name}}
    return made


def follower(obj: dict[str, Any]) -> dict[str, Any]:
    obj["spec"] |= {"interval": "1m"}
    if obj["kind"] == "Kustomization":
        obj["spec"] |= {"prune": True, "suspend": True}
    return obj


def test_it_is_found_and_adopted_where_it_is(world, wanted) -> None:
    client = world.cluster.client
    elsewhere = [
        flux_objects.namespace("gitops"),
        deployment("source-controller", "gitops"),
        deployment("kustomize-controller", "gitops"),
        follower(flux_objects.repository("gitops", "home", https(world).upper() + ".git")),
        follower(flux_objects.kustomization("gitops", "cluster", "home", f"./{PATH}")),
    ]
    elsewhere[3]["spec"]["url"] = "https" + elsewhere[3]["spec"]["url"].removeprefix("HTTPS")
    applied(world, *elsewhere)
    calls = len(world.forge.calls())
    with pytest.raises(errors.PreflightError) as caught:
        components.Components().observe(world, wanted, {})
    for text in ("namespace gitops", "Kustomization gitops/cluster"):
        assert text in str(caught.value)
    assert "elysium adopt" in caught.value.hint
    assert {one["method"] for one in world.forge.calls()[calls:]} <= {"GET"}
    cfg = config.Config.model_validate(
        {
            "cluster": "kyrion",
            "nodes": [{"name": "kyrion", "host": "h"}],
            "github": {"owner": world.hub.cfg.owner, "repository": world.hub.cfg.repository},
        }
    )
    live = SimpleNamespace(kube=world.kube, github=world.github)
    part = flux.look(SimpleNamespace(config=cfg, live=live), "kubeconfig")  # type: ignore[arg-type]
    settings = {one.key: one.value for one in part.settings}
    assert part.problems == ()
    assert settings["flux.namespace"] == "gitops"
    assert (settings["flux.source"], settings["flux.kustomization"]) == ("home", "cluster")
    names = {"namespace": "gitops", "sourceName": "home", "rootName": "cluster"}
    assert components.Components().observe(world, wanted | names, {}).exists
    for obj in reversed(elsewhere[1:]):
        name = obj["metadata"]["name"]
        client.delete(obj["apiVersion"], obj["kind"], name, "gitops")
    world.cluster.until(lambda: detection.survey(client).followers == (), "they are gone")
    components.Components().observe(world, wanted, {})


def test_a_token_leaves_the_secret(world, wanted) -> None:
    client = world.cluster.client
    source = follower(
        flux_objects.repository("flux-system", "flux-system", https(world), secret="flux-system")
    )
    root = follower(
        flux_objects.kustomization("flux-system", "flux-system", "flux-system", f"./{PATH}")
    )
    del root["spec"]["suspend"]
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "flux-system", "namespace": "flux-system"},
        "stringData": {"username": "git", "password": TOKEN},
    }
    chart = {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "HelmRepository",
        "metadata": {"name": "charts", "namespace": "flux-system"},
        "spec": {"url": "https://charts.example.org", "interval": "1h"},
    }
    chart["spec"]["secretRef"] = {"name": "flux-system"}
    applied(world, secret, source, root, chart)
    states = test_bootstrap.up(world, wanted)
    kept = client.get("v1", "Secret", "flux-system", "flux-system")
    assert {"identity", "password"} <= set(kept["data"])
    kind = sync.Sync()
    facts = kind.observe(world, wanted, states["sync"]).facts
    assert "HelmRepository flux-system/charts" in kind.remarks(facts, wanted)[0]
    client.delete(chart["apiVersion"], "HelmRepository", "charts", "flux-system")
    (summary,) = test_bootstrap.plans(world, wanted, states)
    assert "remove username and password from the Secret flux-system/flux-system" in summary
    states = test_bootstrap.up(world, wanted, states)
    found = client.get("v1", "Secret", "flux-system", "flux-system")
    assert set(found["data"]) == {"identity", "identity.pub", "known_hosts"}
    followed = client.get(objects.SOURCE, "GitRepository", "flux-system", "flux-system")
    assert followed["spec"]["url"] == wanted["gitUrl"]
    assert any("revoke that token at GitHub" in text for text in world.warned)
    assert TOKEN not in f"{states} {world.said} {world.warned} {summary}"
    assert test_bootstrap.plans(world, wanted, states) == []
