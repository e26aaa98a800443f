"""The deploy key and its Secret: decisions, and every place where a run can end."""

from __future__ import annotations

import base64
import contextlib
import functools
import pathlib

import pytest

from provision import errors
from provision.host import gitssh
from provision.provider import resource
from provision.provider.deploy_key import access as deploy_key_access
from provision.provider.deploy_key import keypair
from provision.provider.deploy_key import rotation as deploy_key_rotation
from tests.support import fluxworld

INPUTS = {
    "kubeconfig": "kubeconfig",
    "cluster": "kyrion",
    "namespace": "flux-system",
    "secretName": "flux-system",
    "gitUrl": "ssh://git@github.com/me/home.git",
    "branch": "main",
    "readWrite": True,
    "algorithm": "ed25519",
    "hostKeys": [],
    "rotation": "",
    "stackId": "homelabone",
}
ACCESS = deploy_key_access.GitAccess()


@functools.cache
def pair(name: str, algorithm: str = "ed25519") -> keypair.KeyPair:
    return keypair.make_pair(algorithm)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> fluxworld.World:
    made = fluxworld.World()

    def registered(private):
        found = keypair.pair_of(private.reveal())
        assert found is not None
        return next((k for k in made.hub.keys.values() if k.fingerprint == found.fingerprint), None)

    def fetch_head(url, private, known_hosts, branch, timeout):
        made.calls.append("fetch")
        if registered(private) is None:
            raise errors.AuthError("refused", host="github.com")
        return "c0"

    def push_allowed(url, private, known_hosts, timeout):
        key = registered(private)
        return key is not None and not key.read_only

    monkeypatch.setattr(gitssh, "fetch_head", fetch_head)
    monkeypatch.setattr(gitssh, "push_allowed", push_allowed)
    return made


def put_secret(world: fluxworld.World, one: keypair.KeyPair, known_hosts: str = "") -> None:
    pins = known_hosts or keypair.known_hosts(INPUTS["gitUrl"], world.hub.server_keys)
    world.cluster.put(keypair.secret_manifest("flux-system", "flux-system", one, pins))


def secret_print(world: fluxworld.World) -> str:
    secret = world.cluster.objects["Secret", "flux-system", "flux-system"]
    found = keypair.pair_of(keypair.secret_field(secret, "identity"))
    assert found is not None
    return found.fingerprint


def up(world: fluxworld.World, state=None, **changed) -> dict:
    """One run as the provider does it; returns the state it would save."""
    inputs = INPUTS | changed
    observed, kept = resource.converge(ACCESS, world, inputs, state or {})
    return inputs | ACCESS.outputs(observed.facts, inputs, kept)


def planned(world: fluxworld.World, state=None, **changed):
    inputs = INPUTS | changed
    facts = ACCESS.observe(world, inputs, state or {}).facts
    return ACCESS.plan(facts, inputs, state or {})


def ours(world: fluxworld.World) -> list[str]:
    return [k.fingerprint for k in world.hub.keys.values() if k.title.startswith("elysium/kyrion/")]


def flux_uses_it(world: fluxworld.World, *, ready: bool = True) -> None:
    """A source-controller that acts on request, and fetches with what the Secret holds."""
    world.cluster.put(
        {
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "GitRepository",
            "metadata": {"name": "flux-system", "namespace": "flux-system", "generation": 1},
            "spec": {"secretRef": {"name": "flux-system"}},
            "status": {},
        }
    )

    def act() -> None:
        obj = world.cluster.objects["GitRepository", "flux-system", "flux-system"]
        stamp = (obj["metadata"].get("annotations") or {}).get("reconcile.fluxcd.io/requestedAt")
        good = ready and secret_print(world) in {k.fingerprint for k in world.hub.keys.values()}
        obj["status"] = {
            "observedGeneration": 1,
            "lastHandledReconcileAt": stamp,
            "conditions": [
                {
                    "type": "Ready",
                    "status": "True" if good else "False",
                    "reason": "Succeeded" if good else "GitOperationFailed",
                    "message": "stored artifact" if good else "permission denied",
                }
            ],
        }

    world.cluster.react = act


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


def test_a_rotation_adds_proves_switches_proves_and_removes(world):
    state = up(world)
    flux_uses_it(world)
    world.calls.clear()
    assert planned(world, state, rotation="now")[0].property == "publicKey"
    after = up(world, state, rotation="now")
    assert world.calls == [
        "create key",
        "fetch",
        "apply Secret",
        "patch GitRepository",
        "delete key",
    ]
    assert after["fingerprint"] != state["fingerprint"]
    assert ours(world) == [after["fingerprint"]] == [secret_print(world)]
    assert planned(world, after) == ()
    assert planned(world, after, rotation="now") == ()


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


@pytest.mark.parametrize("step", [step.name for step in deploy_key_rotation.STEPS])
def test_a_step_that_fails_leaves_the_old_key_in_force(world, monkeypatch, step):
    state = up(world)
    flux_uses_it(world)
    real = {one.name: one.do for one in deploy_key_rotation.STEPS}

    def fail(work):
        real[step](work)
        raise errors.CodeHostError("broken", operation=step, detail="their words")

    steps = tuple(
        deploy_key_rotation.Step(name=s.name, does=s.does, do=fail if s.name == step else s.do)
        for s in deploy_key_rotation.STEPS
    )
    monkeypatch.setattr(deploy_key_rotation, "STEPS", steps)
    with pytest.raises(errors.CodeHostError) as caught:
        up(world, state, rotation="now")
    assert "their words" in caught.value.detail
    if step == "remove":
        assert "in force" in caught.value.detail
        assert ours(world) == [secret_print(world)] != [state["fingerprint"]]
    else:
        assert "nothing changed" in caught.value.detail or "not changed" in caught.value.detail
        assert ours(world) == [state["fingerprint"]] == [secret_print(world)]


def test_the_page_about_it_has_every_step():
    text = (pathlib.Path(__file__).parents[4] / "docs" / "rotation.md").read_text()
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")]
    steps = {step.name: step.does for step in deploy_key_rotation.STEPS}
    told = {row[0].removeprefix("| "): row[1] for row in rows}
    assert [name for name in told if name in steps] == list(steps)
    assert [told[name][: len(does)] for name, does in steps.items()] == list(steps.values())


def test_a_switch_that_flux_cannot_use_is_taken_back(world, monkeypatch):
    from provision.provider.flux import objects as flux_objects

    monkeypatch.setattr(flux_objects, "_GRACE", 0.0)
    state = up(world)
    flux_uses_it(world, ready=False)
    with pytest.raises(errors.WaitError) as caught:
        up(world, state, rotation="now")
    assert "nothing changed" in caught.value.detail
    assert ours(world) == [state["fingerprint"]] == [secret_print(world)]


def test_a_push_that_is_refused_keeps_the_old_key(world, monkeypatch):
    state = up(world)
    monkeypatch.setattr(gitssh, "push_allowed", lambda *_: False)
    with pytest.raises(errors.CodeHostError) as caught:
        up(world, state, rotation="now")
    assert "push" in caught.value.summary
    assert ours(world) == [state["fingerprint"]] == [secret_print(world)]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("with_state", [False, True])
@pytest.mark.parametrize("number", range(1, 7))
def test_killed_anywhere_the_next_run_leaves_one_key_in_force(world, number, after, with_state):
    state = up(world)
    flux_uses_it(world)
    world.calls.clear()
    world.kill_at, world.kill_after = number, after
    with (
        pytest.raises(fluxworld.Killed) if number <= 5 and number != 2 else contextlib.nullcontext()
    ):
        up(world, state, rotation="now")
    world.kill_at = 0
    # Whatever happened: what the Secret holds is registered.
    assert secret_print(world) in ours(world)
    saved = state if with_state else {}
    last = up(world, saved)
    assert ours(world) == [secret_print(world)] == [last["fingerprint"]]
    assert planned(world, last) == ()


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("number", range(1, 6))
def test_killed_in_a_first_run_the_next_one_completes(world, number, after):
    world.kill_at, world.kill_after = number, after
    with pytest.raises(fluxworld.Killed) if number in (1, 3, 4) else contextlib.nullcontext():
        up(world)
    world.kill_at = 0
    last = up(world)
    assert ours(world) == [secret_print(world)] == [last["fingerprint"]]


def test_a_killed_rotation_of_an_adopted_key_removes_that_too(world):
    mine = pair("bootstrap")
    world.hub.add("flux-system-main", mine.public, False)
    put_secret(world, mine)
    state = up(world)
    world.calls.clear()
    world.kill_at, world.kill_after = 3, True  # after the Secret was written
    with pytest.raises(fluxworld.Killed):
        up(world, state, rotation="now")
    world.kill_at = 0
    last = up(world, state)
    assert [k.fingerprint for k in world.hub.keys.values()] == [last["fingerprint"]]


@pytest.mark.parametrize("algorithm", ["ed25519", "ecdsa-p384", "rsa-4096"])
def test_keys_are_what_they_say(algorithm):
    made = pair("any", algorithm)
    again = keypair.pair_of(made.private.reveal())
    assert again == made
    assert made.algorithm == algorithm
    assert "OPENSSH PRIVATE KEY" in made.private.reveal()


@pytest.mark.parametrize("text", ["", "nonsense", "-----BEGIN OPENSSH PRIVATE KEY-----\nx\n"])
def test_no_key_is_no_pair(text):
    assert keypair.pair_of(text) is None


@pytest.mark.parametrize("stack_id", ["", "homelabone"])
def test_titles_are_read_back_for_their_cluster_only(stack_id):
    fingerprint = "SHA256:ab/+cdefghijklmnop"
    text = keypair.title("kyrion", 12, fingerprint, stack_id)
    assert text == "elysium/kyrion/12-ab_-cdefghij" + ("/homelabone" if stack_id else "")
    assert keypair.stack_of("kyrion", text, fingerprint) == stack_id
    assert keypair.stack_of("kyrion", text, "SHA256:other") is None
    assert keypair.stack_of("kyrio", text, fingerprint) is None
    assert not keypair.is_ours("kyrion", "", text, fingerprint)
    assert keypair.generation_of("kyrion", text) == 12
    assert keypair.generation_of("kyrio", text) is None
    assert keypair.generation_of("kyrion", "elysium/kyrion/x-abc") is None
    assert keypair.generation_of("kyrion", "flux-system-main") is None


def test_known_hosts_name_a_port_and_the_bare_host():
    text = keypair.known_hosts("ssh://git@10.0.0.1:2222/o/r.git", ["ssh-ed25519 AA c", "ssh-rsa B"])
    assert text.splitlines() == [
        "[10.0.0.1]:2222 ssh-ed25519 AA",
        "[10.0.0.1]:2222 ssh-rsa B",
        "10.0.0.1 ssh-ed25519 AA",
        "10.0.0.1 ssh-rsa B",
    ]
    assert keypair.pins("# x\n" + text) == keypair.pins("\n".join(reversed(text.splitlines())))


def test_any_url_but_ssh_is_a_problem():
    _, problems = ACCESS.check(INPUTS | {"gitUrl": "https://github.com/me/home"})
    assert [problem.key for problem in problems] == ["gitUrl"]
