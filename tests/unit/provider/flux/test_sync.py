"""Sync: what Flux follows, in Git and in the cluster."""

from __future__ import annotations

import pytest

from provision import errors
from provision.provider.flux import sync_files
from tests.support import fluxparts


def test_sync_commits_applies_and_waits(world):
    fluxparts.run(fluxparts.COMPONENTS, world, fluxparts.C_INPUTS)
    world.hub.messages.clear()
    changes = fluxparts.plan(fluxparts.SYNC, world, fluxparts.S_INPUTS)
    assert "+kind: GitRepository" in changes[0].diff
    state = fluxparts.run(fluxparts.SYNC, world, fluxparts.S_INPUTS)
    assert world.hub.messages == ["Add Flux sync manifests"]
    assert fluxparts.tree(world)[fluxparts.KUSTOMIZATION_FILE] == sync_files.KUSTOMIZATION
    head = world.hub.head()
    assert state["revision"] == f"main@sha1:{head}"
    assert state["kustomizations"] == [
        {"name": "infra", "revision": f"main@sha1:{head}"},
        {"name": "apps", "revision": f"main@sha1:{head}"},
        {"name": "flux-system", "revision": f"main@sha1:{head}"},
    ]
    ready = [text for text in world.said if "Kustomization" in text and "is ready" in text]
    assert [text.split()[1] for text in ready] == [
        "flux-system/infra",
        "flux-system/apps",
        "flux-system/flux-system",
    ]


def test_sync_twice_is_nothing(world):
    _, state = fluxparts.all_up(world)
    world.calls.clear()
    assert fluxparts.plan(fluxparts.SYNC, world, fluxparts.S_INPUTS, state) == ()
    assert fluxparts.run(fluxparts.SYNC, world, fluxparts.S_INPUTS, state) == state
    assert world.calls == []


def test_an_existing_kustomization_is_never_overwritten(world):
    mine = "resources: [gotk-components.yaml, gotk-sync.yaml]\npatches: []\n"
    fluxparts.put_in_git(world, components=fluxparts.manifests(), kustomization=mine)
    fluxparts.all_up(world)
    assert fluxparts.tree(world)[fluxparts.KUSTOMIZATION_FILE] == mine
    assert fluxparts.SYNC_FILE in fluxparts.tree(world)


def test_a_kustomization_that_comes_while_committing_is_not_overwritten(world, monkeypatch):
    fluxparts.run(fluxparts.COMPONENTS, world, fluxparts.C_INPUTS)
    real = world.hub.commit

    def commit(branch, message, files, *, if_absent=(), based_on=""):
        world.hub.write("main", "theirs", {fluxparts.KUSTOMIZATION_FILE: "resources: []\n"})
        return real(branch, message, files, if_absent=if_absent, based_on=based_on)

    monkeypatch.setattr(world.hub, "commit", commit)
    fluxparts.run(fluxparts.SYNC, world, fluxparts.S_INPUTS)
    assert fluxparts.tree(world)[fluxparts.KUSTOMIZATION_FILE] == "resources: []\n"


def test_the_sync_file_of_flux_bootstrap_is_left_as_it_is(world):
    theirs = sync_files.render(
        fluxparts.S_INPUTS | {"gitUrl": "ssh://git@github.com/me/home", "interval": "1m0s"}
    ).replace("prune: true", "prune: true\n  timeout: 3m0s")
    fluxparts.put_in_git(
        world, components=fluxparts.manifests(), sync=theirs, kustomization=sync_files.KUSTOMIZATION
    )
    fluxparts.all_up(world)
    assert fluxparts.tree(world)[fluxparts.SYNC_FILE] == theirs
    assert world.hub.messages == []


def test_another_branch_in_the_sync_file_is_a_commit_with_a_diff(world):
    fluxparts.put_in_git(
        world,
        components=fluxparts.manifests(),
        sync=sync_files.render(fluxparts.S_INPUTS | {"branch": "old"}),
        kustomization=sync_files.KUSTOMIZATION,
    )
    changes = fluxparts.plan(fluxparts.SYNC, world, fluxparts.S_INPUTS)
    assert "-    branch: old" in changes[0].diff
    assert "+    branch: main" in changes[0].diff


def test_another_path_in_the_sync_file_is_refused(world):
    fluxparts.put_in_git(
        world, sync=sync_files.render(fluxparts.S_INPUTS | {"path": "clusters/other"})
    )
    with pytest.raises(errors.PreflightError) as caught:
        fluxparts.plan(fluxparts.SYNC, world, fluxparts.S_INPUTS)
    assert fluxparts.SYNC_FILE in str(caught.value)


def test_lost_and_changed_objects_are_repaired(world):
    _, state = fluxparts.all_up(world)
    del world.cluster.objects["GitRepository", "flux-system", "flux-system"]
    root = world.cluster.objects["Kustomization", "flux-system", "flux-system"]
    root["spec"]["sourceRef"]["name"] = "other"
    assert [
        c.property for c in fluxparts.plan(fluxparts.SYNC, world, fluxparts.S_INPUTS, state)
    ] == [
        "gitRepository",
        "kustomization",
    ]
    fluxparts.run(fluxparts.SYNC, world, fluxparts.S_INPUTS, state)
    assert root is not world.cluster.objects["Kustomization", "flux-system", "flux-system"]
    assert fluxparts.plan(fluxparts.SYNC, world, fluxparts.S_INPUTS, state) == ()


def test_what_is_under_way_is_no_drift_and_what_fails_is(world):
    _, state = fluxparts.all_up(world)
    apps = world.cluster.objects["Kustomization", "apps", "flux-system"]
    world.flux.set(apps, "Unknown", "Progressing", "at work", {"lastAppliedRevision": "x"})
    assert fluxparts.plan(fluxparts.SYNC, world, fluxparts.S_INPUTS, state) == ()
    world.flux.unready(apps, "DependencyNotReady", "dependency 'infra' is not ready")
    assert fluxparts.plan(fluxparts.SYNC, world, fluxparts.S_INPUTS, state) == ()
    world.flux.unready(apps, "HealthCheckFailed", "Deployment/media/plex failed")
    (change,) = fluxparts.plan(fluxparts.SYNC, world, fluxparts.S_INPUTS, state)
    assert change.summary == (
        "wait for Kustomization apps: HealthCheckFailed: Deployment/media/plex failed"
    )
    del world.cluster.objects["Deployment", "source-controller", "flux-system"]["status"]
    assert len(fluxparts.plan(fluxparts.SYNC, world, fluxparts.S_INPUTS, state)) == 2


def test_a_suspended_child_is_left_alone(world):
    _, state = fluxparts.all_up(world)
    world.cluster.objects["Kustomization", "apps", "flux-system"]["spec"]["suspend"] = True
    assert fluxparts.plan(fluxparts.SYNC, world, fluxparts.S_INPUTS, state) == ()
    root = world.cluster.objects["Kustomization", "flux-system", "flux-system"]
    root["spec"]["suspend"] = True
    (change,) = fluxparts.plan(fluxparts.SYNC, world, fluxparts.S_INPUTS, state)
    assert "suspended" in change.summary


def test_deleting_leaves_what_flux_applied(world):
    _, state = fluxparts.all_up(world)
    root = world.cluster.objects["Kustomization", "flux-system", "flux-system"]
    root["metadata"]["finalizers"] = ["finalizers.fluxcd.io"]
    world.cluster.react = lambda: None
    fluxparts.SYNC.delete(world, state, state)
    assert [c for c in world.calls if c.startswith("delete")] == [
        "delete Kustomization",
        "delete GitRepository",
    ]
    assert world.calls.index("patch Kustomization") < world.calls.index("delete Kustomization")
    assert fluxparts.SYNC_FILE in fluxparts.tree(world)


def test_the_clusters_own_kustomization_without_flux_is_warned_about(world):
    world.hub.write(
        "main", "x", {f"{fluxparts.PATH}/kustomization.yaml": "resources: [apps.yaml]\n"}
    )
    fluxparts.all_up(world)
    assert any("does not list flux-system" in text for text in world.warned)
