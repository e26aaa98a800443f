"""A protected branch: one pull request for all of Flux' files."""

from __future__ import annotations

import time

import pytest

from provision import errors
from tests.support import fluxparts


def test_one_pull_request_holds_all_of_flux_and_goes_on_when_merged(world, monkeypatch):
    world.hub.protected = True
    c_inputs = fluxparts.C_INPUTS | {"commit": "pull-request"}
    s_inputs = fluxparts.S_INPUTS | {"commit": "pull-request"}
    state = fluxparts.run(fluxparts.COMPONENTS, world, c_inputs)
    assert fluxparts.plan(fluxparts.COMPONENTS, world, c_inputs, state) == ()
    assert fluxparts.COMPONENTS_FILE not in fluxparts.tree(world)

    def merge(seconds: float) -> None:
        world.hub.merge("elysium/flux-clusters-kyrion")

    from provision.provider.flux import repository as flux_repository

    monkeypatch.setattr(
        flux_repository.wait_merged, "__kwdefaults__", {"sleep": merge, "now": time.time}
    )
    fluxparts.run(fluxparts.SYNC, world, s_inputs)
    assert len(world.hub.pulls) == 1
    assert {fluxparts.COMPONENTS_FILE, fluxparts.SYNC_FILE, fluxparts.KUSTOMIZATION_FILE} <= set(
        fluxparts.tree(world)
    )
    assert any("#1" in text for text in world.warned)
    assert fluxparts.plan(fluxparts.COMPONENTS, world, c_inputs, state) == ()
    assert fluxparts.plan(fluxparts.SYNC, world, s_inputs, {}) == ()


def test_a_pull_request_that_is_not_merged_is_named_and_found_again(world, monkeypatch):
    from provision.provider.flux import repository as flux_repository

    clock = fluxparts.FakeTime()
    monkeypatch.setattr(
        flux_repository.wait_merged,
        "__kwdefaults__",
        {"sleep": clock.sleep, "now": clock.monotonic},
    )
    s_inputs = fluxparts.S_INPUTS | {"commit": "pull-request"}
    fluxparts.run(fluxparts.COMPONENTS, world, fluxparts.C_INPUTS | {"commit": "pull-request"})
    for _ in range(2):
        with pytest.raises(errors.WaitError) as caught:
            fluxparts.run(fluxparts.SYNC, world, s_inputs)
        assert "merge it" in caught.value.hint
    assert len(world.hub.pulls) == 1
    assert "wait for the pull request" in fluxparts.plan(fluxparts.SYNC, world, s_inputs)[0].summary
    assert ("Kustomization", "flux-system", "flux-system") not in world.cluster.objects
