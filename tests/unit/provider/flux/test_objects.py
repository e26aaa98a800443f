"""Which objects must work with a changed Secret."""

from __future__ import annotations

import pytest

from provision.provider.flux import objects as flux_objects
from tests.support import fluxworld


def put(world, kind, name, namespace, spec, ready="True"):
    group = "source" if kind == "GitRepository" else "image"
    conditions = [{"type": "Ready", "status": ready}] if ready else []
    world.cluster.put(
        {
            "apiVersion": f"{group}.toolkit.fluxcd.io/v1",
            "kind": kind,
            "metadata": {"name": name, "namespace": namespace, "generation": 1},
            "spec": spec,
            "status": {"observedGeneration": 1, "conditions": conditions},
        }
    )


@pytest.fixture
def world():
    made = fluxworld.World()
    put(made, "GitRepository", "flux-system", "flux-system", {"secretRef": {"name": "flux-system"}})
    put(made, "GitRepository", "other", "flux-system", {"secretRef": {"name": "other"}})
    return made


def users(world, *, pushes=True):
    found = flux_objects.users_of_secret(world.cluster, "flux-system", "flux-system", pushes=pushes)
    return [f"{ref.kind} {ref.namespace}/{ref.name}" for ref in found]


def test_sources_of_the_secret_and_what_pushes_through_them(world):
    put(world, "ImageUpdateAutomation", "images", "flux-system", {"sourceRef": {"name": "other"}})
    assert users(world) == ["GitRepository flux-system/flux-system"]
    here = {"sourceRef": {"name": "flux-system"}}
    put(world, "ImageUpdateAutomation", "images", "flux-system", here)
    assert users(world)[1:] == ["ImageUpdateAutomation flux-system/images"]
    assert users(world, pushes=False) == ["GitRepository flux-system/flux-system"]


def test_an_automation_of_another_namespace_counts_by_the_source_it_names(world):
    across = {"sourceRef": {"name": "flux-system", "namespace": "flux-system"}}
    put(world, "ImageUpdateAutomation", "across", "apps", across)
    put(world, "ImageUpdateAutomation", "own", "apps", {"sourceRef": {"name": "flux-system"}})
    assert users(world)[1:] == ["ImageUpdateAutomation apps/across"]


@pytest.mark.parametrize(
    ("ready", "counts"), [("True", True), ("Unknown", True), ("False", False), ("", False)]
)
def test_one_that_runs_now_counts_and_one_that_fails_does_not(world, ready, counts):
    spec = {"sourceRef": {"name": "flux-system"}}
    put(world, "ImageUpdateAutomation", "images", "flux-system", spec, ready)
    assert (len(users(world)) == 2) is counts
    put(world, "ImageUpdateAutomation", "images", "flux-system", spec | {"suspend": True}, ready)
    assert len(users(world)) == 1


@pytest.mark.parametrize(
    ("url", "counts"),
    [("https://h/me/x", False), ("http://h/me/x", False), ("ssh://git@h/me/x", True)],
)
def test_a_source_over_https_does_not_use_the_key(world, url, counts):
    """Its token may have expired: that is no reason to take the new key back."""
    spec = {"secretRef": {"name": "flux-system"}, "url": url}
    put(world, "GitRepository", "flux-system", "flux-system", spec, "False")
    assert bool(users(world)) is counts
