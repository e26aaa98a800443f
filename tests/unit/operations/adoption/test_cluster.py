"""Flux as it was set up by hand, in the words of the configuration."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from provision import config
from provision.operations.adoption import cluster, model
from provision.provider.flux import sync_files
from tests.support import fluxparts, fluxworld


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
    part = cluster.flux(stack, "kubeconfig")
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
