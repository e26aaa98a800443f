"""Components: Flux' controllers, in Git and in the cluster."""

from __future__ import annotations

import pytest

from provision import errors
from provision.provider import resource
from provision.provider.flux import manifests as flux_manifests
from provision.provider.flux import sync_files
from tests.support import fluxparts


def test_components_of_the_release_are_committed_and_installed(world):
    changes = fluxparts.plan(fluxparts.COMPONENTS, world, fluxparts.C_INPUTS)
    assert [change.property for change in changes] == [
        f"git.{fluxparts.COMPONENTS_FILE}",
        "cluster",
    ]
    state = fluxparts.run(fluxparts.COMPONENTS, world, fluxparts.C_INPUTS)
    assert fluxparts.tree(world)[fluxparts.COMPONENTS_FILE] == fluxparts.manifests()
    assert world.hub.messages == ["Add Flux v2.9.3 component manifests"]
    assert (state["source"], state["version"]) == ("release", "v2.9.3")
    assert state["components"] == fluxparts.NAMES
    assert state["revision"] == world.hub.head()
    applied = [call for call in world.calls if call.startswith("apply")]
    assert applied[:2] == ["apply Namespace", "apply CustomResourceDefinition"]
    assert world.store.arguments == [
        "install",
        "--export",
        "--version=v2.9.3",
        "--namespace=flux-system",
        "--components=source-controller,kustomize-controller",
    ]


def test_extra_components_are_told_apart():
    names = [*fluxparts.NAMES, "image-automation-controller"]
    arguments = flux_manifests.export_arguments("v2.9.3", names, "flux-system")
    assert "--components=source-controller,kustomize-controller" in arguments
    assert "--components-extra=image-automation-controller" in arguments


def test_components_twice_is_nothing(world):
    state = fluxparts.run(fluxparts.COMPONENTS, world, fluxparts.C_INPUTS)
    world.calls.clear()
    assert fluxparts.plan(fluxparts.COMPONENTS, world, fluxparts.C_INPUTS, state) == ()
    assert fluxparts.run(fluxparts.COMPONENTS, world, fluxparts.C_INPUTS, state) == state
    assert world.calls == []


def test_components_in_git_are_used_as_they_are(world):
    fluxparts.put_in_git(world, components=fluxparts.manifests("v2.8.1"))
    world.store = None
    state = fluxparts.run(fluxparts.COMPONENTS, world, fluxparts.C_INPUTS)
    assert (state["source"], state["version"]) == ("repository", "v2.8.1")
    assert world.hub.messages == []
    assert "commit" not in world.calls


def test_components_without_a_header_are_read_from_their_objects(world):
    fluxparts.put_in_git(world, components=fluxparts.manifests("v2.8.1", header=False))
    world.store = None
    state = fluxparts.run(fluxparts.COMPONENTS, world, fluxparts.C_INPUTS)
    assert (state["version"], state["components"]) == ("v2.8.1", fluxparts.NAMES)


def test_a_components_file_gets_the_header(world, tmp_path):
    file = tmp_path / "components.yaml"
    file.write_text(fluxparts.manifests(header=False))
    world.store = None
    inputs = fluxparts.C_INPUTS | {"manifests": str(file)}
    state = fluxparts.run(fluxparts.COMPONENTS, world, inputs)
    assert state["source"] == "file"
    text = fluxparts.tree(world)[fluxparts.COMPONENTS_FILE]
    assert "# Flux Version: v2.9.3\n# Components: source-controller,kustomize-controller\n" in text
    assert fluxparts.plan(fluxparts.COMPONENTS, world, inputs, state) == ()


@pytest.mark.parametrize("content", [None, "kind: [", "- a\n- b\n"])
def test_a_components_file_that_is_none_is_named(world, tmp_path, content):
    file = tmp_path / "components.yaml"
    if content is not None:
        file.write_text(content)
    with pytest.raises((errors.ConfigError, errors.GitOpsError)) as caught:
        fluxparts.run(fluxparts.COMPONENTS, world, fluxparts.C_INPUTS | {"manifests": str(file)})
    assert str(file) in str(caught.value)
    assert world.hub.messages == []


def test_manifests_without_a_needed_controller_are_refused(world):
    text = fluxparts.manifests().replace("name: kustomize-controller", "name: other")
    fluxparts.put_in_git(world, components=text)
    with pytest.raises(errors.GitOpsError) as caught:
        fluxparts.run(fluxparts.COMPONENTS, world, fluxparts.C_INPUTS)
    assert "kustomize-controller" in str(caught.value)
    assert not any(call.startswith("apply") for call in world.calls)


def test_a_flux_that_fails_says_its_own_words(world, monkeypatch):
    def fetch(artifact, arch, *, progress=None):
        program = world.store.folder / "flux"
        program.write_text("#!/bin/sh\necho 'no such component' >&2\nexit 1\n")
        program.chmod(0o755)
        return program

    monkeypatch.setattr(world.store, "fetch", fetch)
    with pytest.raises(errors.ArtifactError) as caught:
        fluxparts.run(fluxparts.COMPONENTS, world, fluxparts.C_INPUTS)
    assert "no such component" in caught.value.detail
    assert world.hub.messages == []


def test_a_reconciled_flux_is_not_installed_again(world):
    fluxparts.all_up(world)
    world.calls.clear()
    assert fluxparts.plan(fluxparts.COMPONENTS, world, fluxparts.C_INPUTS, {}) == ()
    fluxparts.put_in_git(world, components=fluxparts.manifests("v2.9.4"))
    world.flux.act()
    assert fluxparts.plan(fluxparts.COMPONENTS, world, fluxparts.C_INPUTS, {}) == ()


def test_a_lost_controller_is_installed_again(world):
    state, _ = fluxparts.all_up(world)
    del world.cluster.objects["Deployment", "kustomize-controller", "flux-system"]
    (change,) = fluxparts.plan(fluxparts.COMPONENTS, world, fluxparts.C_INPUTS, state)
    assert "kustomize-controller is gone" in change.summary
    fluxparts.run(fluxparts.COMPONENTS, world, fluxparts.C_INPUTS, state)
    assert ("Deployment", "kustomize-controller", "flux-system") in world.cluster.objects


def test_a_users_patches_are_applied(world):
    fluxparts.put_in_git(
        world,
        components=fluxparts.manifests(),
        kustomization="apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
        "resources:\n- gotk-components.yaml\n- gotk-sync.yaml\n"
        "patches:\n- target: {kind: Deployment, name: source-controller}\n"
        "  patch: |\n    - op: add\n      path: /metadata/labels/patched\n      value: 'yes'\n",
        sync=sync_files.render(fluxparts.S_INPUTS),
    )
    fluxparts.run(fluxparts.COMPONENTS, world, fluxparts.C_INPUTS)
    found = world.cluster.objects["Deployment", "source-controller", "flux-system"]
    assert found["metadata"]["labels"]["patched"] == "yes"
    assert ("GitRepository", "flux-system", "flux-system") not in world.cluster.objects


def test_another_path_is_refused_before_anything(world):
    fluxparts.all_up(world)
    world.calls.clear()
    for kind, inputs in (
        (fluxparts.COMPONENTS, fluxparts.C_INPUTS),
        (fluxparts.SYNC, fluxparts.S_INPUTS),
    ):
        with pytest.raises(errors.PreflightError) as caught:
            fluxparts.plan(kind, world, inputs | {"path": "clusters/other"})
        assert "clusters/kyrion" in str(caught.value)
    assert world.calls == []


def test_someone_elses_flux_is_refused(world):
    world.cluster.put(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {
                "name": "gitrepositories.source.toolkit.fluxcd.io",
                "labels": {"app.kubernetes.io/managed-by": "flux-operator"},
            },
        }
    )
    with pytest.raises(errors.PreflightError) as caught:
        fluxparts.plan(fluxparts.COMPONENTS, world, fluxparts.C_INPUTS)
    assert "flux-operator" in str(caught.value)
    fluxparts.plan(fluxparts.COMPONENTS, world, fluxparts.C_INPUTS | {"commit": "none"})


def test_nothing_is_committed_for_flux_operator(world):
    inputs = fluxparts.C_INPUTS | {"commit": "none"}
    state = fluxparts.run(fluxparts.COMPONENTS, world, inputs)
    assert fluxparts.plan(fluxparts.COMPONENTS, world, inputs, state) == ()
    last = fluxparts.run(fluxparts.SYNC, world, fluxparts.S_INPUTS | {"commit": "none"})
    assert last["revision"] == "main@sha1:c0"
    assert world.hub.messages == []
    assert "commit" not in world.calls


def test_an_unknown_cluster_is_planned_with_its_commits(world):
    unknown = {"kubeconfig": resource.UNKNOWN}
    names = [
        c.property
        for c in fluxparts.plan(fluxparts.COMPONENTS, world, fluxparts.C_INPUTS | unknown)
    ]
    assert names == [f"git.{fluxparts.COMPONENTS_FILE}", "cluster"]
    names = [
        c.property for c in fluxparts.plan(fluxparts.SYNC, world, fluxparts.S_INPUTS | unknown)
    ]
    assert names == [
        f"git.{fluxparts.SYNC_FILE}",
        f"git.{fluxparts.KUSTOMIZATION_FILE}",
        "gitRepository",
        "kustomization",
    ]
    assert world.cluster.reads == 0


def test_needed_components_are_checked():
    _, problems = fluxparts.COMPONENTS.check(
        fluxparts.C_INPUTS | {"components": ["helm-controller"]}
    )
    assert "source-controller" in problems[0].message
