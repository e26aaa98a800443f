"""Two clusters with one name in one repository, and stacks from before there was an id."""

from __future__ import annotations

import contextlib

import pytest

from provision.github import deploy_keys
from provision.provider.deploy_key import keypair
from tests.support import deploykeys as one
from tests.support import fluxworld

OTHER = "homelabtwo"


def second_cluster(world: fluxworld.World) -> fluxworld.FakeKube:
    """Put another cluster in the place of the first, which is returned."""
    first, world.cluster = world.cluster, fluxworld.FakeKube(world)
    return first


def titles(world: fluxworld.World) -> list[str]:
    return [key.title for key in world.hub.keys.values()]


def old_key(world: fluxworld.World, name: str, generation: int = 1) -> deploy_keys.DeployKey:
    """Register a key as version 0.1.0 did."""
    pair = one.pair(name)
    return world.hub.add(keypair.title("kyrion", generation, pair.fingerprint), pair.public, False)


def remarks(world: fluxworld.World, state=None, **changed) -> tuple[str, ...]:
    inputs = one.INPUTS | changed
    return one.ACCESS.remarks(one.ACCESS.observe(world, inputs, state or {}).facts, inputs)


def test_the_second_cluster_leaves_the_firsts_key(world):
    first = one.up(world)
    first_cluster = second_cluster(world)
    second = one.up(world, stackId=OTHER)
    assert len(world.hub.keys) == 2
    (said,) = remarks(world, second, stackId=OTHER)
    assert first["title"] in said and "--prune" in said
    again = one.up(world, second, stackId=OTHER, rotation="now")
    assert {key.fingerprint for key in world.hub.keys.values()} == {
        first["fingerprint"],
        again["fingerprint"],
    }
    one.ACCESS.delete(world, one.INPUTS | {"stackId": OTHER}, again)
    assert titles(world) == [first["title"]]
    assert any(first["title"] in text for text in world.warned)
    world.cluster = first_cluster
    assert one.planned(world, first) == ()


def test_leftovers_of_its_own_are_removed_without_a_state(world):
    state = one.up(world)
    mine = one.pair("left over")
    title = keypair.title("kyrion", 7, mine.fingerprint, "homelabone")
    world.hub.add(title, mine.public, False)
    one.up(world)
    assert titles(world) == [state["title"]]


def test_a_stack_of_0_1_0_keeps_its_key_until_it_is_rotated(world):
    key = old_key(world, "before")
    one.put_secret(world, one.pair("before"))
    state = one.up(world, stackId="")
    world.calls.clear()
    assert one.planned(world, state) == ()
    after = one.up(world, state)
    assert (world.calls, after["fingerprint"]) == ([], key.fingerprint)
    assert remarks(world, after) == ()
    last = one.up(world, after, rotation="now")
    assert titles(world) == [last["title"]]
    assert last["title"].endswith("/homelabone")
    assert last["generation"] == 2


@pytest.mark.parametrize("number", range(1, 6))
def test_a_killed_rotation_of_a_0_1_0_key_leaves_one(world, number):
    old_key(world, "before")
    one.put_secret(world, one.pair("before"))
    state = one.up(world, stackId="")
    one.flux_uses_it(world)
    world.calls.clear()
    world.kill_at, world.kill_after = number, True
    with contextlib.suppress(fluxworld.Killed):
        one.up(world, state, rotation="now")
    world.kill_at = 0
    last = one.up(world, state)
    assert [key.fingerprint for key in world.hub.keys.values()] == [last["fingerprint"]]


def test_the_key_of_a_lost_secret_is_not_taken_for_anothers(world):
    old_key(world, "before")
    one.put_secret(world, one.pair("before"))
    state = one.up(world)
    del world.cluster.objects["Secret", "flux-system", "flux-system"]
    assert remarks(world, state) == ()
    assert one.up(world, state)["fingerprint"] == state["fingerprint"]


def test_only_the_keys_that_were_shown_are_pruned(world):
    state = one.up(world)
    shown, later = old_key(world, "shown"), old_key(world, "later", 2)
    world.hub.add("elysium/kyrion/1-abc", one.pair("a title like ours").public, False)
    assert one.planned(world, state) == ()
    (change,) = one.planned(world, state, prune=[shown.fingerprint])
    assert shown.title in change.summary
    one.up(world, state, prune=[shown.fingerprint])
    assert titles(world) == [state["title"], later.title, "elysium/kyrion/1-abc"]
    assert one.planned(world, state) == ()


def test_a_key_in_force_is_never_pruned(world):
    key = old_key(world, "before")
    one.put_secret(world, one.pair("before"))
    state = one.up(world)
    one.up(world, state, prune=[key.fingerprint])
    assert titles(world) == [key.title]
