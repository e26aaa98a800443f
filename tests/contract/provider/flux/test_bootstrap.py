"""What a cluster's Flux resources do together, with the real controller applying the tree.

One cluster for all tests of this file, in their order: each leaves it healthy.
"""

from __future__ import annotations

import pytest

from provision import errors
from provision.provider import resource
from provision.provider.deploy_key import access as deploy_key_access
from provision.provider.flux import components, scaffold, sync
from provision.provider.flux import wait as flux_wait

PATH = "clusters/kyrion"
NAMES = ["source-controller", "kustomize-controller", "image-automation-controller"]


def inputs(world, components_file: str) -> dict:
    return {
        "kubeconfig": "kubeconfig",
        "cluster": "kyrion",
        "namespace": "flux-system",
        "name": "flux-system",
        "path": PATH,
        "branch": "main",
        "version": "v2.9.3",
        "components": NAMES,
        "commit": "push",
        "manifests": components_file,
        "message": "",
        "secretName": "flux-system",
        "gitUrl": world.hub.cfg.git_url,
        "readWrite": True,
        "algorithm": "ed25519",
        "hostKeys": [],
        "rotation": "",
        "interval": "1m",
        "timeout": 60,
    }


KINDS = {
    "components": components.Components(),
    "access": deploy_key_access.GitAccess(),
    "sync": sync.Sync(),
}


def up(world, wanted: dict, states: dict | None = None) -> dict[str, dict]:
    """Converge the three as one run does; return their states."""
    world.fresh()
    found: dict[str, dict] = {}
    for name, kind in KINDS.items():
        old = (states or {}).get(name, {})
        observed, kept = resource.converge(kind, world, wanted, old)
        found[name] = wanted | kind.outputs(observed.facts, wanted, kept)
    return found


def plans(world, wanted: dict, states: dict) -> list[str]:
    world.fresh()
    found: list[str] = []
    for name, kind in KINDS.items():
        facts = kind.observe(world, wanted, states[name]).facts
        found += [change.summary for change in kind.plan(facts, wanted, states[name])]
    return found


def kustomization(world, name: str) -> dict:
    found = world.cluster.client.get(
        "kustomize.toolkit.fluxcd.io/v1", "Kustomization", name, "flux-system"
    )
    assert found is not None
    return found


@pytest.fixture(scope="module")
def wanted(world, components_file) -> dict:
    return inputs(world, components_file)


@pytest.fixture(scope="module")
def states(world, wanted) -> dict[str, dict]:
    world.forge.seed_repository(scaffold.render("kyrion"))
    return up(world, wanted)


def test_an_empty_cluster_follows_the_repository(world, wanted, states):
    client = world.cluster.client
    head = world.forge.api("GET", "~/git/ref/heads/main")["object"]["sha"]
    assert states["sync"]["revision"] == f"main@sha1:{head}"
    assert {one["name"] for one in states["sync"]["kustomizations"]} == {
        "flux-system",
        "infra-controllers",
        "infra-configs",
        "apps",
        "monitoring-controllers",
        "monitoring-configs",
    }
    plex = client.get("apps/v1", "Deployment", "plex", "media")
    assert plex["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"] == "Etc/UTC"
    board = client.get("v1", "ConfigMap", "dashboard-household", "monitoring")
    assert "Household of kyrion" in board["data"]["household.json"]
    messages = [c["commit"]["message"] for c in world.forge.api("GET", "~/commits?sha=main")]
    assert messages[:2] == ["Add Flux sync manifests", "Add Flux v2.9.3 component manifests"]
    (key,) = world.forge.deploy_keys()
    assert key["read_only"] is False
    assert key["title"].startswith("elysium/kyrion/1-")


def test_flux_looks_after_itself(world, states):
    """The root Kustomization holds what was applied directly: nothing is owned twice."""
    entries = kustomization(world, "flux-system")["status"]["inventory"]["entries"]
    names = {entry["id"] for entry in entries}
    assert "flux-system_source-controller_apps_Deployment" in names
    assert "flux-system_flux-system_source.toolkit.fluxcd.io_GitRepository" in names


def test_a_second_run_writes_nothing(world, wanted, states):
    client = world.cluster.client
    since = len(world.forge.calls())

    def versions() -> dict[str, str]:
        return {
            f"{obj['kind']}/{obj['metadata']['name']}": obj["metadata"]["generation"]
            for obj in [
                client.get(
                    "source.toolkit.fluxcd.io/v1", "GitRepository", "flux-system", "flux-system"
                ),
                kustomization(world, "flux-system"),
                *client.list("apps/v1", "Deployment", "flux-system"),
            ]
        }

    before = versions()
    secret = client.get("v1", "Secret", "flux-system", "flux-system")
    assert plans(world, wanted, states) == []
    assert up(world, wanted, states) == states
    assert versions() == before
    assert client.get("v1", "Secret", "flux-system", "flux-system") == secret
    calls = world.forge.calls(since)
    assert {call["method"] for call in calls} == {"GET"}
    # One run: keys, host keys, head, tree; twice here.
    assert len(calls) <= 10


def test_a_run_with_its_state_lost_adopts_everything(world, wanted, states):
    since = len(world.forge.calls())
    again = up(world, wanted)
    assert again["access"]["fingerprint"] == states["access"]["fingerprint"]
    assert again["access"]["privateKey"] == states["access"]["privateKey"]
    assert {call["method"] for call in world.forge.calls(since)} == {"GET"}


def test_a_rotation_has_no_failed_fetch(world, wanted, states, controllers, until):
    failed, fetched = len(controllers.failed), controllers.fetched
    until(lambda: controllers.fetched > fetched, "a fetch with the old key")
    after = up(world, wanted | {"rotation": "now"}, states)
    (key,) = world.forge.deploy_keys()
    assert key["title"].startswith("elysium/kyrion/2-")
    assert after["access"]["fingerprint"] != states["access"]["fingerprint"]
    fetched = controllers.fetched
    until(lambda: controllers.fetched > fetched + 1, "fetches with the new key")
    assert controllers.failed[failed:] == []
    states.update(after)
    assert plans(world, wanted, states) == []


def test_a_key_removed_on_github_is_shown_and_replaced(world, wanted, states):
    (key,) = world.forge.deploy_keys()
    world.forge.delete_key(key["id"])
    assert any("GitHub does not know" in text for text in plans(world, wanted, states))
    states.update(up(world, wanted, states))
    (new,) = world.forge.deploy_keys()
    assert new["id"] != key["id"]
    assert plans(world, wanted, states) == []


def test_a_lost_secret_is_shown_and_written_again(world, wanted, states):
    world.cluster.client.delete("v1", "Secret", "flux-system", "flux-system")
    assert plans(world, wanted, states) == [
        "write the Secret flux-system/flux-system: it is missing"
    ]
    after = up(world, wanted, states)
    assert after["access"]["fingerprint"] == states["access"]["fingerprint"]
    assert len(world.forge.deploy_keys()) == 1


def test_lost_sync_objects_are_made_again(world, wanted, states):
    client = world.cluster.client
    client.patch(
        "kustomize.toolkit.fluxcd.io/v1",
        "Kustomization",
        "flux-system",
        "flux-system",
        {"metadata": {"finalizers": None}},
    )
    client.delete("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "flux-system", "flux-system")
    assert any("Kustomization" in text for text in plans(world, wanted, states))
    states.update(up(world, wanted, states))
    assert plans(world, wanted, states) == []


def test_a_tree_that_does_not_build_is_named_with_all_that_fails(
    world, wanted, states, monkeypatch
):
    monkeypatch.setattr(flux_wait, "_TRY_AGAIN_AFTER", (1.0, 3.0))
    monkeypatch.setattr(flux_wait, "_FINAL_AFTER", 8.0)
    world.fresh()
    good = {
        path: world.hub.read_file(path, world.hub.head())
        for path in (
            "infrastructure/configs/kustomization.yaml",
            "monitoring/controllers/kustomization.yaml",
        )
    }
    broken = {path: f"{text}  - missing.yaml\n" for path, text in good.items()}
    world.hub.commit("main", "Break it", broken)
    with pytest.raises(errors.WaitError) as caught:
        # Flux finds the commit at its own pace; the run is told to look.
        world.cluster.client.delete(
            "source.toolkit.fluxcd.io/v1", "GitRepository", "flux-system", "flux-system"
        )
        up(world, wanted, states)
    text = str(caught.value)
    assert "Kustomization flux-system/infra-configs: BuildFailed" in text
    assert "Kustomization flux-system/monitoring-controllers: BuildFailed" in text
    assert "missing.yaml" in text
    assert "apps: it waits for Kustomization flux-system/infra-configs" in text
    world.fresh()
    world.hub.commit("main", "Mend it", good)
    states.update(up(world, wanted, states))
    assert plans(world, wanted, states) == []
