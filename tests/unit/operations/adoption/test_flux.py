"""Flux as it was set up by hand, in the words of the configuration."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import pytest

from provision import config
from provision.operations.adoption import flux, model
from provision.provider.flux import sync_files
from tests.support import flux_objects, fluxparts, fluxworld


def cfg(**flux: Any) -> config.Config:
    return config.Config.model_validate(
        {
            "cluster": "kyrion",
            "nodes": [{"name": "kyrion", "host": "h"}],
            "github": {"owner": "me", "repository": "home"},
            "flux": flux,
        }
    )


def bootstrapped(path: str) -> fluxworld.World:
    world = fluxworld.World()
    for obj in sync_files.sync_objects(fluxparts.S_INPUTS):
        if obj["kind"] == "Kustomization":
            obj["spec"]["path"] = path
        world.cluster.put(obj)
    world.cluster.put(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "gitrepositories.source.toolkit.fluxcd.io"},
        }
    )
    return world


def settings(world: fluxworld.World) -> dict[str, Any]:
    live = SimpleNamespace(kube=world.kube, github=world.github)
    stack: Any = SimpleNamespace(config=cfg(), live=live)
    part = flux.look(stack, "kubeconfig")
    assert part.problems == ()
    return {one.key: one for one in part.settings}


@pytest.mark.parametrize("path", ["./", ".", "", "./."])
def test_a_cluster_that_follows_the_root_is_told_so(path: str) -> None:
    found = settings(bootstrapped(path))["flux.path"]
    adopted = cfg(path=found.value)
    assert adopted.flux_path == ""
    assert model.lacking(cfg(), (found,)) == (found,)
    assert model.lacking(adopted, (found,)) == ()


def test_a_cluster_below_a_folder_keeps_it() -> None:
    found = settings(bootstrapped("./clusters/mine/"))["flux.path"]
    assert cfg(path=found.value).flux_path == "clusters/mine"


def test_a_flux_instance_becomes_a_setting() -> None:
    world = bootstrapped("./clusters/kyrion")
    assert "flux.commit" not in settings(world)
    world.cluster.put(
        {
            "apiVersion": "fluxcd.controlplane.io/v1",
            "kind": "FluxInstance",
            "metadata": {"name": "flux", "namespace": "flux-system"},
            "spec": {},
        }
    )
    assert settings(world)["flux.commit"].value == "none"


def elsewhere(*objects: dict[str, Any]) -> fluxworld.World:
    world = fluxworld.World()
    for obj in (flux_objects.definition(), *objects):
        world.cluster.put(obj)
    return world


def part_of(world: fluxworld.World, **configured: Any) -> model.Part:
    live = SimpleNamespace(kube=world.kube, github=world.github)
    stack: Any = SimpleNamespace(config=cfg(**configured), live=live)
    return flux.look(stack, "kubeconfig")


def written(part: model.Part, *keys: str) -> dict[str, Any]:
    names = {one.key.removeprefix("flux."): one.value for one in part.settings}
    return {key: names.get(key) for key in keys}


NAMES = ("namespace", "source", "kustomization", "secret", "path", "commit")
GITOPS = (
    flux_objects.controller("source-controller", "gitops"),
    flux_objects.controller("kustomize-controller", "gitops"),
)


def test_a_bootstrap_into_another_namespace_is_taken_over_where_it_is() -> None:
    """`flux bootstrap github --namespace gitops`: the objects have the namespace's name."""
    world = elsewhere(
        *GITOPS,
        flux_objects.repository("gitops", "gitops", secret="flux-system"),
        flux_objects.kustomization("gitops", "gitops", "gitops", "./clusters/mine"),
    )
    part = part_of(world)
    assert part.problems == ()
    assert written(part, *NAMES) == {
        "namespace": "gitops",
        "source": None,
        "kustomization": None,
        "secret": None,
        "path": "clusters/mine",
        "commit": None,
    }
    adopted = cfg(namespace="gitops", path="clusters/mine")
    assert (adopted.flux.source_ref, adopted.flux.root_name) == (("gitops", "gitops"), "gitops")
    assert adopted.flux.secret_ref == ("gitops", "flux-system")


def test_names_of_its_own_are_kept() -> None:
    world = elsewhere(
        *GITOPS,
        flux_objects.repository("gitops", "home", "git@github.com:Me/home.git", secret="access"),
        flux_objects.kustomization("gitops", "cluster", "home", "./"),
        flux_objects.kustomization("gitops", "apps", "home", "./apps", by=("gitops", "cluster")),
        flux_objects.repository("tenant", "theirs", "https://example.org/them/theirs"),
        flux_objects.kustomization("tenant", "theirs", "theirs", "./"),
    )
    world.cluster.put(secret("gitops", "access"))
    part = part_of(world)
    assert part.problems == ()
    assert written(part, *NAMES[:5]) == {
        "namespace": "gitops",
        "source": "home",
        "kustomization": "cluster",
        "secret": "access",
        "path": "./",
    }
    again = part_of(world, namespace="gitops", source="home", kustomization="cluster", path="./")
    assert again.problems == ()
    assert written(again, "source", "kustomization") == {"source": None, "kustomization": None}


def secret(namespace: str, name: str, kind: str = "Opaque") -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": kind, "data": {}}


def test_a_secret_whose_type_is_not_changeable_is_not_kept() -> None:
    world = bootstrapped("./clusters/kyrion")
    source = world.cluster.objects["GitRepository", "flux-system", "flux-system"]
    source["spec"]["secretRef"]["name"] = "basic"
    world.cluster.put(secret("flux-system", "basic", "kubernetes.io/basic-auth"))
    part = part_of(world)
    assert written(part, "secret") == {"secret": None}
    assert any("kubernetes.io/basic-auth: flux-system will take its place" in n for n in part.notes)


@pytest.mark.parametrize(
    ("configured", "user", "told"),
    [
        ({}, False, "username and password: they are removed when Flux has fetched"),
        ({}, True, "username and password, which stay: HelmRepository flux-system/charts"),
    ],
)
def test_a_token_in_the_secret_is_told_before_anything(
    configured: dict[str, Any], user: bool, told: str
) -> None:
    world = bootstrapped("./clusters/kyrion")
    source = world.cluster.objects["GitRepository", "flux-system", "flux-system"]
    source["spec"]["url"] = "https://github.com/me/home"
    held = secret("flux-system", "flux-system")
    held["data"] = {"username": "Z2l0", "password": "Z2hwX2NhbmFyeQ=="}
    world.cluster.put(held)
    if user:
        world.cluster.put(
            {
                "apiVersion": "source.toolkit.fluxcd.io/v1",
                "kind": "HelmRepository",
                "metadata": {"name": "charts", "namespace": "flux-system"},
                "spec": {"secretRef": {"name": "flux-system"}},
            }
        )
    part = part_of(world, **configured)
    assert any(told in note for note in part.notes)
    assert "canary" not in str(part)
    assert "Z2hwX2NhbmFyeQ" not in str(part)


def test_several_that_follow_the_repository_are_for_a_person_to_choose() -> None:
    world = elsewhere(
        *GITOPS,
        flux_objects.repository("gitops", "home"),
        flux_objects.kustomization("gitops", "one", "home", "./clusters/one"),
        flux_objects.kustomization("gitops", "two", "home", "./clusters/two"),
    )
    part = part_of(world)
    assert [one.where for one in part.problems] == [
        "Kustomization gitops/one",
        "Kustomization gitops/two",
    ]
    assert "set flux.namespace to gitops and flux.kustomization to one" in part.problems[0].hint
    chosen = part_of(world, namespace="gitops", kustomization="two")
    assert chosen.problems == ()
    assert written(chosen, "path", "source") == {"path": "clusters/two", "source": "home"}


def test_another_repository_elsewhere_is_a_problem() -> None:
    world = elsewhere(
        *GITOPS,
        flux_objects.repository("gitops", "gitops", "https://u:hunter2@example.org/you/home"),
        flux_objects.kustomization("gitops", "gitops", "gitops", "./"),
    )
    (problem,) = part_of(world).problems
    assert (problem.where, problem.key) == ("GitRepository gitops/gitops", "github")
    assert "hunter2" not in str(part_of(world))


def test_controllers_that_follow_nothing_keep_their_namespace() -> None:
    part = part_of(elsewhere(*GITOPS))
    assert part.problems == ()
    assert written(part, "namespace") == {"namespace": "gitops"}
    assert part_of(elsewhere()).settings == ()


SYNC = (
    flux_objects.repository("gitops", "gitops"),
    flux_objects.kustomization("gitops", "gitops", "gitops", "./"),
)


def part_of_split(*objects: dict[str, Any]) -> model.Part:
    """Return what adopt says, and see that it only read: the cluster, and nothing of GitHub."""
    world = elsewhere(*objects)
    live = SimpleNamespace(kube=world.kube, github=None)
    before = copy.deepcopy(world.cluster.objects)
    part = flux.look(SimpleNamespace(config=cfg(), live=live), "kubeconfig")  # type: ignore[arg-type]
    assert world.cluster.objects == before
    return part


@pytest.mark.parametrize("sync", [(), SYNC], ids=["no sync", "sync"])
def test_a_second_flux_is_named_without_a_command_that_removes_both(sync: Any) -> None:
    other = flux_objects.controller("source-controller", "flux-system")
    (problem,) = part_of_split(*GITOPS, other, *sync).problems
    assert problem.where == "namespace flux-system"
    assert problem.message == "a second Flux: source-controller run here and in gitops"
    assert "kubectl -n flux-system delete deployment/source-controller" in problem.hint
    assert "uninstall" not in problem.hint  # it deletes the CRDs of both


@pytest.mark.parametrize("sync", [(), SYNC], ids=["no sync", "sync"])
@pytest.mark.parametrize("name", ["helm-controller", "notification-controller", "image-x"])
def test_a_split_flux_is_refused_with_what_to_move(sync: Any, name: str) -> None:
    if name == "image-x":
        labels = {"app.kubernetes.io/part-of": "flux"}
        name, more = "image-reflector-controller", {"program": "mirrored", "labels": labels}
    else:
        more = {}
    other = flux_objects.controller(name, "tools", **more)
    (problem,) = part_of_split(*GITOPS, other, *sync).problems
    assert (problem.where, problem.key) == ("namespace tools", "flux.namespace")
    assert problem.message == (
        f"Flux is split: {name} run here, and kustomize-controller and source-controller in gitops"
    )
    assert problem.hint == (
        f"install {name} in gitops, then kubectl -n tools delete deployment/{name},"
        " and nothing else of Flux"
    )


def test_the_helm_controller_of_another_project_is_not_flux() -> None:
    other = flux_objects.controller("helm-controller", "tools")
    container = other["spec"]["template"]["spec"]["containers"][0]
    container["image"] = "docker.io/rancher/helm-controller:v0.16"
    assert part_of_split(*GITOPS, other).problems == ()


def test_sync_objects_apart_from_the_controllers_are_named_one_by_one() -> None:
    part = part_of_split(
        *GITOPS,
        flux_objects.repository("default", "home"),
        flux_objects.kustomization("default", "home", "home", "./"),
    )
    root, source = part.problems
    assert root.message.startswith("Kustomization default/home is not in gitops, where")
    assert "first set spec.prune to false" in root.hint
    assert "its source is GitRepository default/home, and not in gitops" in source.message
    assert "make the GitRepository home and its Secret in gitops" in source.hint
    split = flux_objects.kustomization("gitops", "home", "home", "./")
    split["spec"]["sourceRef"]["namespace"] = "default"
    (only,) = part_of_split(*GITOPS, flux_objects.repository("default", "home"), split).problems
    assert only.where == "Kustomization gitops/home" and only.key == "flux.source"


def test_controllers_of_one_namespace_are_told() -> None:
    narrow = "--watch-all-namespaces=false"
    world = elsewhere(
        flux_objects.controller("source-controller", "gitops", narrow),
        flux_objects.controller("kustomize-controller", "gitops", narrow),
        flux_objects.repository("gitops", "gitops"),
        flux_objects.kustomization("gitops", "gitops", "gitops", "./"),
    )
    assert any(narrow in note and "namespace gitops" in note for note in part_of(world).notes)


def test_flux_of_a_chart_is_not_committed() -> None:
    world = bootstrapped("./clusters/kyrion")
    world.cluster.put(flux_objects.definition({"app.kubernetes.io/managed-by": "Helm"}))
    part = part_of(world)
    assert written(part, "commit") == {"commit": "none"}
    assert any(note.startswith("Helm manages Flux") for note in part.notes)


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("", "clusters/kyrion"),
        ("./", ""),
        (".", ""),
        ("/", ""),
        ("./clusters//a/", "clusters/a"),
        ("./clusters/./a", "clusters/a"),
    ],
)
def test_paths_of_the_configuration(given: str, path: str) -> None:
    assert cfg(path=given).flux_path == path
