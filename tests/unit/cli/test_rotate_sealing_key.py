"""``rotate sealing-key``: what is asked, what is done, and how it is told."""

from __future__ import annotations

import dataclasses
import datetime
import json

import pytest

from provision import errors
from provision.operations.rotation import sealing_key

NOW = datetime.datetime.now(datetime.UTC)
FOUND = sealing_key.Outlook(
    keys=("SHA256:old",),
    unfinished="",
    made=NOW - datetime.timedelta(days=12, hours=1),
    certificate="etc/certs/pub-sealed-secrets.pem",
    reseal=("apps/a.yaml:1: SealedSecret media/a",),
    others=(),
    commits=True,
)
DONE = sealing_key.Rotated(
    before="SHA256:old",
    after="SHA256:new",
    resealed=1,
    opened=1,
    proven=True,
    pull="",
    seconds=3.21,
)


@pytest.fixture
def asked(monkeypatch, operations):
    """What the command asked of the operation."""
    calls = []

    def play(name, found=None):
        def called(stack, *given, on_event=None, progress=None):
            calls.append((name, *given))
            return found

        monkeypatch.setattr(sealing_key, name, called)

    play("look", FOUND)
    play("check")
    play("rotate", DONE)
    play("private_keys", [])

    def preview(stack, before, *, on_event):
        calls.append(("preview", before))
        return operations._play("preview", operations.preview_events, on_event)

    monkeypatch.setattr(sealing_key, "preview", preview)
    return calls


def names(asked):
    return [call[0] for call in asked]


def test_it_shows_what_is_committed_asks_and_does_it(call, asked):
    outcome = call("rotate", "sealing-key", answers="y\n")
    assert outcome.code == 0
    assert names(asked) == ["private_keys", "look", "check", "preview", "rotate"]
    assert "replace etc/certs/pub-sealed-secrets.pem" in outcome.err
    assert "seal anew apps/a.yaml:1: SealedSecret media/a" in outcome.err
    assert outcome.out == (
        "SHA256:new is in use after 3.2s; 1 SealedSecret is sealed for it,"
        " 1 seen open in the cluster; SHA256:old still opens what is older\n"
    )


def test_declined_it_changes_nothing(call, asked):
    outcome = call("rotate", "sealing-key", answers="n\n")
    assert outcome.code == 0
    assert "nothing was changed" in outcome.err
    assert "rotate" not in names(asked)


def test_without_a_terminal_it_needs_yes(call, asked):
    assert call("rotate", "sealing-key").code == 2
    assert asked == []
    assert call("rotate", "sealing-key", "--yes").code == 0
    assert names(asked) == ["private_keys", "look", "check", "rotate"]


def test_a_young_key_is_left_alone_unless_it_is_not_in_use_yet(call, asked, monkeypatch):
    outcome = call("rotate", "sealing-key", "--yes", "--if-older-than", "90d")
    assert outcome.out == "nothing to do: SHA256:old is 12 days old\n"
    assert "rotate" not in names(asked)
    half = dataclasses.replace(FOUND, keys=("SHA256:new", "SHA256:old"), unfinished="SHA256:new")
    monkeypatch.setattr(sealing_key, "look", lambda stack: half)
    assert call("rotate", "sealing-key", "--yes", "--if-older-than", "90d").code == 0
    assert names(asked)[-1] == "rotate"
    shown = call("rotate", "sealing-key", answers="n\n").err
    assert "Goes on with SHA256:new, which an earlier run made." in shown


def test_what_is_left_to_the_user_is_said(call, asked, monkeypatch):
    others = (errors.Problem(where="other/c.yaml:1", message="none of the keys opens it"),)
    found = dataclasses.replace(FOUND, others=others, commits=False)
    done = dataclasses.replace(DONE, proven=False, pull="https://pull/7")
    monkeypatch.setattr(sealing_key, "look", lambda stack: found)
    monkeypatch.setattr(sealing_key, "rotate", lambda stack, before, *, on_event, progress: done)
    err = " ".join(call("rotate", "sealing-key", "--yes").err.split())
    for words in (
        "no key at hand opens 1 values",
        "no controller runs yet",
        "https://pull/7",
        "elysium secret reseal",
    ):
        assert words in err
    assert "Nothing is committed" in call("rotate", "sealing-key", answers="n\n").err


def test_for_a_machine_it_is_one_event(call, asked):
    out = call("rotate", "sealing-key", "--yes", "--json").out.splitlines()
    last = json.loads(out[-1])
    del last["time"]
    assert last == {
        "event": "rotation",
        "credential": "sealing-key",
        "changed": True,
        "before": "SHA256:old",
        "after": "SHA256:new",
        "seconds": 3.21,
    }
    out = call("rotate", "sealing-key", "--yes", "--json", "--if-older-than", "8w").out
    assert json.loads(out.splitlines()[-1])["changed"] is False


def test_what_is_left_alone_is_listed(call, asked, monkeypatch):
    unread = errors.Problem(where="b.yaml:3", message="not YAML")
    found = dataclasses.replace(FOUND, templates=("chart/templates/a.yaml",), unreadable=(unread,))
    monkeypatch.setattr(sealing_key, "look", lambda stack: found)
    err = call("rotate", "sealing-key", answers="y\n").err
    assert "only Helm can read it:\n  chart/templates/a.yaml\n" in err
    assert "cannot be read:\n  b.yaml:3: not YAML\n" in err
    assert "not looked through, since it cannot be read: b.yaml:3" in err
