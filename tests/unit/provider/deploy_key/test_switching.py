"""A new key in the place of the old one, and every place where a run can end."""

from __future__ import annotations

import contextlib
import pathlib

import pytest

from provision import errors
from provision.host import gitssh
from provision.provider.deploy_key import rotation as deploy_key_rotation
from tests.support import fluxworld
from tests.support.deploykeys import (
    flux_uses_it,
    ours,
    pair,
    planned,
    put_secret,
    secret_print,
    up,
)


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
