"""The deploy key and its Secret: what is decided, done and left alone."""

from __future__ import annotations

import base64

import pytest

from provision import errors
from provision.provider import resource
from tests.support.deploykeys import (
    ACCESS,
    INPUTS,
    ours,
    pair,
    planned,
    put_secret,
    secret_print,
    up,
)


def test_a_first_run_makes_registers_proves_and_writes(world):
    assert [change.property for change in planned(world)] == ["publicKey", "secret"]
    state = up(world)
    assert world.calls == ["create key", "fetch", "create Namespace", "apply Secret"]
    (key,) = world.hub.keys.values()
    assert key.read_only is False
    assert key.title.startswith("elysium/kyrion/1-")
    assert state["fingerprint"] == key.fingerprint == secret_print(world)
    assert state["keyId"] == key.id
    assert state["generation"] == 1
    secret = world.cluster.objects["Secret", "flux-system", "flux-system"]
    assert set(secret["data"]) == {"identity", "identity.pub", "known_hosts"}
    text = base64.b64decode(secret["data"]["known_hosts"]).decode()
    assert text == "github.com ssh-ed25519 AAAAhost\n"


def test_a_second_run_plans_and_does_nothing(world):
    state = up(world)
    world.calls.clear()
    assert planned(world, state) == ()
    assert up(world, state) == state
    assert world.calls == []


def test_no_change_holds_a_secret(world):
    state = up(world)
    world.cluster.objects.clear()
    secret = state["privateKey"]
    for change in planned(world, state, readWrite=False):
        assert secret.splitlines()[1] not in f"{change}"
    assert all(secret.splitlines()[1] not in text for text in world.said)


def test_a_registered_key_in_the_cluster_is_adopted_and_proven(world):
    mine = pair("bootstrap", "ecdsa-p384")
    world.hub.add("flux-system-main-flux-system-./clusters/kyrion", mine.public, False)
    put_secret(world, mine)
    assert [change.property for change in planned(world)] == ["proven"]
    state = up(world)
    assert world.calls == ["fetch"]
    assert state["fingerprint"] == mine.fingerprint
    assert planned(world, state) == ()


def test_an_adopted_key_outlives_its_cluster(world):
    """A node was replaced: the state has the key still, and no cluster to look for it in."""
    world.hub.add("my laptop made this", pair("adopted").public, False)
    put_secret(world, pair("adopted"))
    state = up(world)
    world.cluster.objects.clear()
    del state["kubeconfig"]
    known = resource.remembered(ACCESS, {k: v for k, v in INPUTS.items() if k != "kubeconfig"})
    world.kube = lambda _kubeconfig: pytest.fail("a cluster was asked")
    seen = ACCESS.observe(world, known, state)
    assert seen.exists
    kept = ACCESS.outputs(seen.facts, known, state)
    assert kept["privateKey"] == state["privateKey"]
    del world.kube
    again = up(world, kept)
    assert again["fingerprint"] == state["fingerprint"] == secret_print(world)
    assert len(world.hub.keys) == 1


def test_an_adopted_key_is_replaced_when_its_mode_is_wrong(world):
    mine = pair("bootstrap")
    world.hub.add("flux-system-main", mine.public, True)
    put_secret(world, mine)
    state = up(world)
    assert [k.read_only for k in world.hub.keys.values()] == [False]
    assert state["fingerprint"] == secret_print(world) != mine.fingerprint


def test_a_key_removed_on_github_is_replaced_by_a_new_one(world):
    state = up(world)
    world.hub.keys.clear()
    assert "GitHub does not know" in planned(world, state)[0].summary
    after = up(world, state)
    assert after["fingerprint"] != state["fingerprint"]
    assert ours(world) == [secret_print(world)]
    assert after["generation"] == 2


def test_a_lost_secret_is_written_again_with_the_same_key(world):
    state = up(world)
    del world.cluster.objects["Secret", "flux-system", "flux-system"]
    assert [change.property for change in planned(world, state)] == ["secret"]
    after = up(world, state)
    assert after == state
    assert ours(world) == [secret_print(world)]


def test_a_secret_with_a_strangers_key_goes_back_to_ours(world):
    state = up(world)
    put_secret(world, pair("stranger"))
    after = up(world, state)
    assert secret_print(world) == after["fingerprint"] == state["fingerprint"]


def test_changed_host_keys_are_shown_and_written(world):
    state = up(world)
    world.hub.server_keys = ("ssh-ed25519 AAAAother",)
    (change,) = planned(world, state)
    assert "+github.com ssh-ed25519 AAAAother" in change.diff
    assert "-github.com ssh-ed25519 AAAAhost" in change.diff
    after = up(world, state)
    assert after["knownHosts"] == "github.com ssh-ed25519 AAAAother\n"
    assert after["fingerprint"] == state["fingerprint"]


def test_the_algorithm_changes_on_request_only(world):
    mine = pair("bootstrap", "ecdsa-p384")
    world.hub.add("flux", mine.public, False)
    put_secret(world, mine)
    state = up(world)
    assert state["fingerprint"] == mine.fingerprint
    same = up(world, state, algorithm="ecdsa-p384")
    assert same["fingerprint"] == mine.fingerprint
    other = up(world, same, algorithm="ed25519")
    assert other["publicKey"].startswith("ssh-ed25519 ")
    assert len(world.hub.keys) == 1


def test_keys_of_others_are_never_touched(world):
    world.hub.add("a person's", pair("person").public, True)
    world.hub.add("elysium/other/1-abc", pair("other cluster").public, False)
    world.hub.add("elysium/kyrion-two/1-abc", pair("similar").public, False)
    world.hub.add("elysium/kyrion/1-abc", pair("a title like ours").public, False)
    state = up(world)
    up(world, state, rotation="now")
    assert len(world.hub.keys) == 5
    ACCESS.delete(world, INPUTS, up(world, state))
    assert len(world.hub.keys) == 4
    assert ("Secret", "flux-system", "flux-system") not in world.cluster.objects


def test_delete_leaves_a_secret_that_is_not_ours(world):
    state = up(world)
    put_secret(world, pair("stranger"))
    ACCESS.delete(world, INPUTS, state)
    assert world.hub.keys == {}
    assert secret_print(world) == pair("stranger").fingerprint


def test_delete_removes_the_key_when_the_cluster_is_gone(world):
    state = up(world)
    world.cluster.down = True
    ACCESS.delete(world, INPUTS, state)
    assert world.hub.keys == {}


def test_an_unknown_cluster_is_planned_without_asking_it(world):
    changes = planned(world, kubeconfig=resource.UNKNOWN)
    assert [change.property for change in changes] == ["publicKey", "secret"]
    assert world.cluster.reads == 0


def test_an_unreachable_cluster_stays_an_error_of_the_cluster(world):
    state = up(world)
    world.cluster.down = True
    with pytest.raises(errors.KubeError) as caught:
        ACCESS.observe(world, INPUTS, state)
    assert caught.value.status == 0


def test_any_url_but_ssh_is_a_problem():
    _, problems = ACCESS.check(INPUTS | {"gitUrl": "https://github.com/me/home"})
    assert [problem.key for problem in problems] == ["gitUrl"]
