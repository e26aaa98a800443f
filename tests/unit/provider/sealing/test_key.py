"""SealingKey against GitHub and a cluster in memory."""

from __future__ import annotations

import base64
import json

import pytest

from provision import errors
from provision.gitops.sealing import keyring
from provision.gitops.sealing import keys as sealing_keys
from provision.provider import resource
from provision.provider.sealing import key as sealing_key
from tests.support import fluxworld

CERTIFICATE = "etc/certs/pub-sealed-secrets.pem"
KIND = sealing_key.SealingKey()
INPUTS = {
    "kubeconfig": "kubeconfig",
    "namespace": "flux-system",
    "branch": "main",
    "path": "clusters/kyrion",
    "commit": "push",
    "certificatePath": CERTIFICATE,
    "keys": "",
    "rotation": "",
}


@pytest.fixture(autouse=True)
def short_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tested does not depend on the keys' length."""
    monkeypatch.setattr(sealing_keys, "KEY_BITS", 1024)


@pytest.fixture
def world() -> fluxworld.World:
    return fluxworld.World()


def run(world, inputs=None, state=None) -> dict:
    inputs = INPUTS | (inputs or {})
    observed, kept = resource.converge(KIND, world, inputs, state or {})
    return inputs | KIND.outputs(observed.facts, inputs, kept)


def planned(world, state=None, inputs=None) -> list[str]:
    inputs = INPUTS | (inputs or {})
    facts = KIND.observe(world, inputs, state or {}).facts
    return [change.summary for change in KIND.plan(facts, inputs, state or {})]


def in_cluster(world, namespace="flux-system") -> list[str]:
    """Fingerprints of the labelled keys in a namespace."""
    found = world.cluster.list("v1", "Secret", namespace, label_selector=sealing_keys.KEY_LABEL)
    return [key.fingerprint for key in keyring.from_secrets(found)[0]]


def test_the_first_run_makes_installs_and_publishes_a_key(world) -> None:
    state = run(world)
    (fingerprint,) = state["fingerprints"]
    assert in_cluster(world) == [fingerprint]
    head = world.hub.branches["main"]
    committed = world.hub.commits[head][CERTIFICATE]
    assert committed == state["certificate"]
    assert sealing_keys.certificate_fingerprint(committed) == fingerprint
    (key,) = keyring.load(state["keys"])
    assert sealing_keys.certificate_belongs(committed, [key])
    assert world.calls == ["create Namespace", "create Secret", "commit"]


def test_a_second_run_changes_nothing(world) -> None:
    state = run(world)
    world.calls.clear()
    again = run(world, state=state)
    assert world.calls == []
    assert again == state


def test_every_key_that_the_controller_makes_is_remembered(world) -> None:
    state = run(world)
    newer = sealing_keys.make_key(after=keyring.load(state["keys"])[0])
    world.cluster.put(
        sealing_keys.key_secret(newer, namespace="flux-system", name="sealed-secrets-keyx1z2")
    )
    world.calls.clear()
    state = run(world, state=state)
    assert state["fingerprints"][0] == newer.fingerprint
    assert len(state["fingerprints"]) == 2
    assert keyring.load(state["keys"])[0].name == "sealed-secrets-keyx1z2"
    assert world.calls == [], "the certificate in Git still opens"


def test_a_new_cluster_gets_every_key_back(world) -> None:
    state = run(world)
    newer = sealing_keys.make_key(after=keyring.load(state["keys"])[0])
    world.cluster.put(sealing_keys.key_secret(newer, namespace="flux-system", name="newer"))
    state = run(world, state=state)
    world.cluster.objects.clear()
    observed = KIND.observe(world, INPUTS, state)
    assert observed.exists, "else the engine would forget the keys"
    again = run(world, state=state)
    assert sorted(in_cluster(world)) == sorted(state["fingerprints"])
    assert again["fingerprints"] == state["fingerprints"]
    assert again["revision"] == state["revision"]


def test_given_keys_are_installed_and_none_is_made(world) -> None:
    key = sealing_keys.make_key()
    text = keyring.dump([key], "kube-system")
    world.hub.write("main", "certificate", {CERTIFICATE: key.certificate_pem})
    state = run(world, {"keys": text})
    assert state["fingerprints"] == [key.fingerprint]
    assert in_cluster(world) == [key.fingerprint]
    assert "commit" not in world.calls


def test_keys_of_another_namespace_are_given_to_the_controllers_own(world) -> None:
    key = sealing_keys.make_key()
    world.cluster.put(sealing_keys.key_secret(key, namespace="kube-system", name="old"))
    state = run(world)
    assert state["fingerprints"] == [key.fingerprint]
    assert in_cluster(world) == [key.fingerprint]


def test_a_key_is_used_as_its_label_says(world) -> None:
    key = sealing_keys.make_key()
    obj = sealing_keys.key_secret(key, namespace="flux-system", name="leaked")
    obj["metadata"]["labels"][sealing_keys.KEY_LABEL] = "compromised"
    world.cluster.put(obj)
    state = run(world, {"rotation": "1"})
    assert state["fingerprints"][1] == key.fingerprint
    world.cluster.objects.clear()
    run(world, {"rotation": "1"}, state)
    back = world.cluster.get("v1", "Secret", "leaked", "flux-system")
    assert back["metadata"]["labels"] == {sealing_keys.KEY_LABEL: "compromised"}


@pytest.mark.parametrize("certificate", ["other", "not a certificate\n"])
def test_a_certificate_of_another_key_is_an_error_and_stays(world, certificate: str) -> None:
    text = sealing_keys.make_key().certificate_pem if certificate == "other" else certificate
    world.hub.write("main", "certificate", {CERTIFICATE: text})
    with pytest.raises(errors.PreflightError) as caught:
        run(world)
    assert CERTIFICATE in str(caught.value)
    assert world.calls == []
    assert world.hub.commits[world.hub.branches["main"]][CERTIFICATE] == text


def test_flux_operator_means_no_commit(world) -> None:
    state = run(world, {"commit": "none"})
    assert state["fingerprints"] and state["certificate"]
    assert "commit" not in world.calls
    assert planned(world, state, {"commit": "none"}) == []


def test_a_pull_request_is_opened_once(world) -> None:
    wanted = {"commit": "pull-request"}
    state = run(world, wanted)
    assert [pull.state for pull in world.hub.pulls] == ["open"]
    assert planned(world, state, wanted) == []
    world.hub.merge(world.hub.pulls[0].branch)
    assert planned(world, state, wanted) == []


def test_a_rotation_adds_a_key_once_and_leaves_the_certificate(world) -> None:
    state = run(world)
    before = world.hub.commits[world.hub.branches["main"]][CERTIFICATE]
    rotated = run(world, {"rotation": "2026-11-25"}, state)
    assert len(rotated["fingerprints"]) == 2
    assert rotated["fingerprints"][1:] == state["fingerprints"]
    assert rotated["rotated"] == "2026-11-25"
    assert world.hub.commits[world.hub.branches["main"]][CERTIFICATE] == before
    assert planned(world, rotated, {"rotation": "2026-11-25"}) == []


def test_killed_anywhere_the_next_run_ends_with_one_key(world) -> None:
    run(world)
    steps = len(world.calls)
    assert steps == 3
    for step in range(1, steps + 1):
        for after in (False, True):
            fresh = fluxworld.World(kill_at=step, kill_after=after)
            with pytest.raises(fluxworld.Killed):
                run(fresh)
            fresh.kill_at = 0
            state = run(fresh)
            assert in_cluster(fresh) == state["fingerprints"]
            assert len(state["fingerprints"]) == 1
            committed = fresh.hub.commits[fresh.hub.branches["main"]][CERTIFICATE]
            assert sealing_keys.certificate_fingerprint(committed) == state["fingerprints"][0]


def test_preview_names_what_is_to_come_without_a_cluster(world) -> None:
    inputs = {"kubeconfig": resource.UNKNOWN}
    first, second = planned(world, inputs=inputs)
    assert "make a sealing key (RSA 1024, ten years)" in first
    assert second == f"commit the public certificate {CERTIFICATE} to main"
    assert world.calls == []


def test_nothing_tells_a_private_key(world) -> None:
    state = run(world)
    pem = keyring.load(state["keys"])[0].private_pem.reveal()
    inputs = dict(INPUTS)
    facts = KIND.observe(world, inputs, state).facts
    world.cluster.objects.clear()
    lost = KIND.observe(world, inputs, state).facts
    told = repr(facts) + repr(KIND.plan(lost, inputs, state)) + "".join(world.said)
    for line in pem.splitlines()[1:-1]:
        assert line not in told
        assert base64.b64encode(line.encode()).decode() not in told
    assert "keys" in KIND.secret_outputs and "keys" in KIND.secret_inputs


def test_keys_that_cannot_be_read_are_named(world) -> None:
    _, problems = KIND.check(INPUTS | {"keys": "apiVersion: v1\nkind: Secret\n"})
    assert [problem.where for problem in problems] == ["sealing.keys"]
    _, problems = KIND.check(INPUTS | {"keys": keyring.dump([sealing_keys.make_key()], "x")})
    assert problems == []


def test_the_dump_is_what_the_commands_read(world) -> None:
    state = run(world)
    (key,) = sealing_keys.read_keys(state["keys"])
    assert key.fingerprint == state["fingerprints"][0]
    assert json.loads(state["keys"])["items"][0]["metadata"]["namespace"] == "flux-system"
