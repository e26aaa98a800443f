"""``rotate``: what is asked, what is done, and how it is told."""

from __future__ import annotations

import dataclasses
import datetime
import json

import pytest

from provision.cli import durations
from provision.cli.commands import rotate
from provision.github.deploy_keys import DeployKey
from provision.operations.rotation import deploy_key

NOW = datetime.datetime.now(datetime.UTC)
OLD = deploy_key.InForce(
    title="elysium/kyrion/1-abc",
    fingerprint="SHA256:abc",
    algorithm="ed25519",
    created_at=NOW - datetime.timedelta(days=12, hours=1),
)
NEW = dataclasses.replace(OLD, title="elysium/kyrion/2-def", fingerprint="SHA256:def")


@pytest.fixture
def asked(monkeypatch, operations):
    """What the command asked of the operation, which plays a rotation from OLD to NEW."""
    calls = []

    def play(name, found=None):
        def called(stack, *given, on_event=None, **more):
            calls.append((name, *given, *more.values()))
            if on_event is not None:
                for event in operations.preview_events:
                    on_event(event)
            return found

        monkeypatch.setattr(deploy_key, name, called)

    play("look", OLD)
    play("check")
    play("rotate", deploy_key.Rotated(before=OLD, after=NEW, seconds=3.21))
    play("prune", OLD)

    def preview(stack, wish, *, on_event, others=()):
        calls.append(("preview", wish))
        return operations._play("preview", operations.preview_events, on_event)

    monkeypatch.setattr(deploy_key, "preview", preview)
    return calls


def names(asked):
    return [call[0] for call in asked]


def test_it_shows_the_plan_asks_and_does_it(call, asked):
    outcome = call("rotate", "deploy-key", answers="y\n")
    assert outcome.code == 0
    assert names(asked) == ["look", "check", "preview", "rotate"]
    assert "Do this? [y/N]" in outcome.err
    assert outcome.out == (
        "elysium/kyrion/2-def SHA256:def is in force after 3.2s; elysium/kyrion/1-abc is removed\n"
    )


def test_declined_it_changes_nothing(call, asked):
    outcome = call("rotate", "deploy-key", answers="n\n")
    assert outcome.code == 0
    assert "nothing was changed" in outcome.err
    assert names(asked) == ["look", "check", "preview"]


def test_without_a_terminal_it_needs_yes(call, asked):
    assert call("rotate", "deploy-key").code == 2
    assert asked == []
    assert call("rotate", "deploy-key", "--yes").code == 0
    assert names(asked) == ["look", "check", "rotate"]


def test_options_become_the_wish(call, asked):
    given = ("--algorithm", "rsa-4096", "--read-only", "--reason", "laptop\n lost")
    assert call("rotate", "deploy-key", "--yes", *given).code == 0
    wish = deploy_key.Wish(algorithm="rsa-4096", read_write=False, reason="laptop lost")
    assert ("rotate", wish, OLD) in asked
    assert call("rotate", "deploy-key", "--yes", "--read-write").code == 0
    assert ("rotate", deploy_key.Wish(read_write=True), OLD) in asked


def test_a_young_key_is_left_alone(call, asked):
    outcome = call("rotate", "deploy-key", "--yes", "--if-older-than", "90d")
    assert outcome.code == 0
    assert outcome.out == "nothing to do: elysium/kyrion/1-abc is 12 days old\n"
    assert names(asked) == ["look"]
    assert call("rotate", "deploy-key", "--yes", "--if-older-than", "12d").code == 0
    assert names(asked)[-1] == "rotate"


def test_a_key_that_needs_repair_is_never_young(call, asked, monkeypatch):
    broken = dataclasses.replace(OLD, repairs=("GitHub disabled it",))
    monkeypatch.setattr(deploy_key, "look", lambda stack: broken)
    assert call("rotate", "deploy-key", "--yes", "--if-older-than", "90d").code == 0
    assert names(asked) == ["check", "rotate"]


@pytest.mark.parametrize("age", ["90", "d", "-1d", "3 months", ""])
def test_what_is_no_age_is_refused(call, asked, age):
    outcome = call("rotate", "deploy-key", "--yes", "--if-older-than", age)
    assert outcome.code == 2
    assert "as in 90d" in outcome.err
    assert asked == []


OTHER = DeployKey(
    id=9,
    title="elysium/kyrion/4-xyz",
    fingerprint="SHA256:xyz",
    read_only=True,
    created_at=NOW - datetime.timedelta(days=40),
    last_used=NOW - datetime.timedelta(days=2),
)


@pytest.mark.parametrize("yes", [True, False])
def test_prune_shows_another_stacks_keys_before_it_removes_them(call, asked, monkeypatch, yes):
    monkeypatch.setattr(deploy_key, "look", lambda stack: dataclasses.replace(OLD, others=(OTHER,)))
    how = {"answers": "y\n"} if not yes else {}
    outcome = call("rotate", "deploy-key", "--prune", *(["--yes"] if yes else []), **how)
    assert outcome.code == 0
    assert "elysium/kyrion/4-xyz SHA256:xyz" in outcome.err
    assert "40 days ago" in outcome.err and "2 days ago" in outcome.err
    assert "cannot fetch any more" in outcome.err
    assert asked[-1] == ("prune", (OTHER,))


def test_a_rotation_leaves_another_stacks_keys_alone(call, asked, monkeypatch):
    monkeypatch.setattr(deploy_key, "look", lambda stack: dataclasses.replace(OLD, others=(OTHER,)))
    outcome = call("rotate", "deploy-key", "--yes")
    assert outcome.code == 0
    assert "SHA256:xyz" not in outcome.err
    assert names(asked) == ["check", "rotate"]


def test_prune_removes_what_is_left_over(call, asked, monkeypatch):
    outcome = call("rotate", "deploy-key", "--prune", "--yes")
    assert "nothing to do" in outcome.out
    assert names(asked) == ["look"]
    left = dataclasses.replace(OLD, left_over=("remove the deploy key 'x' SHA256:x",))
    monkeypatch.setattr(deploy_key, "look", lambda stack: left)
    outcome = call("rotate", "deploy-key", "--prune", answers="y\n")
    assert outcome.out == "elysium/kyrion/1-abc is the only key of ours\n"
    assert asked[-2:] == [("preview", None), ("prune",)]
    assert call("rotate", "deploy-key", "--prune", "--yes", "--reason", "x").code == 2


def test_for_a_machine_it_is_one_event(call, asked):
    out = call("rotate", "deploy-key", "--yes", "--json").out.splitlines()
    last = json.loads(out[-1])
    del last["time"]
    assert last == {
        "event": "rotation",
        "credential": "deploy-key",
        "changed": True,
        "before": "elysium/kyrion/1-abc SHA256:abc",
        "after": "elysium/kyrion/2-def SHA256:def",
        "seconds": 3.21,
    }
    out = call("rotate", "deploy-key", "--yes", "--json", "--if-older-than", "8w").out
    assert json.loads(out.splitlines()[-1])["changed"] is False


def test_each_credential_has_its_commands_own_first_line():
    for name, (_, text) in rotate.COMMANDS.items():
        command = rotate.rotate.get_command(None, name)  # type: ignore[arg-type]
        assert command is not None
        assert (command.help or "").strip().splitlines()[0] == text


@pytest.mark.parametrize(
    ("hours", "words"), [(0, "0 hours"), (1, "1 hour"), (24, "1 day"), (49, "2 days")]
)
def test_ages_in_words(hours, words):
    assert durations.words(datetime.timedelta(hours=hours)) == words
