"""``rotate k3s-token`` and ``rotate kubeconfig``: what is asked, what is done, how it is told."""

from __future__ import annotations

import dataclasses
import datetime
import json

import pytest

from provision.operations.rotation import k3s_token, kubeconfig
from provision.secret import Secret

PLACE = "/var/lib/rancher/k3s/server/token"
NOW = datetime.datetime.now(datetime.UTC)
TOKEN = k3s_token.Outlook(place=PLACE, unfinished=False, old="K10x::server:canary")
CONFIG = kubeconfig.Outlook(
    fingerprint="SHA256:old",
    expires=NOW + datetime.timedelta(days=40, hours=1),
    unfinished=False,
    old="canary",
)


@pytest.fixture
def asked(monkeypatch, operations):
    """What the commands asked of the operations."""
    calls = []

    def play(module, found, done):
        def look(stack):
            calls.append("look")
            return found

        def preview(stack, before, *, on_event):
            calls.append("preview")
            return operations._play("preview", operations.preview_events, on_event)

        def rotate(stack, before, *, on_event, progress, switched=None):
            calls.append("rotate")
            if switched is not None:
                switched(Secret("new"))
            return done

        monkeypatch.setattr(module, "look", look)
        monkeypatch.setattr(module, "preview", preview)
        monkeypatch.setattr(module, "rotate", rotate)

    play(k3s_token, TOKEN, k3s_token.Rotated(place=PLACE, seconds=9.87))
    done = kubeconfig.Rotated(
        fingerprint="SHA256:new",
        expires=datetime.datetime(2027, 11, 25, tzinfo=datetime.UTC),
        seconds=20.5,
    )
    play(kubeconfig, CONFIG, done)
    return calls


@pytest.mark.parametrize("name", ["k3s-token", "kubeconfig"])
def test_it_shows_the_plan_asks_and_does_it(call, asked, name) -> None:
    outcome = call("rotate", name, answers="n\n")
    assert outcome.code == 0
    assert "nothing was changed" in outcome.err
    assert asked == ["look", "preview"]
    outcome = call("rotate", name, answers="y\n")
    assert asked[2:] == ["look", "preview", "rotate"]
    assert "the old one is refused" in outcome.out
    assert "canary" not in outcome.out + outcome.err


@pytest.mark.parametrize("name", ["k3s-token", "kubeconfig"])
def test_without_a_terminal_it_needs_yes(call, asked, name) -> None:
    assert call("rotate", name).code == 2
    assert asked == []
    assert call("rotate", name, "--yes").code == 0
    assert asked == ["look", "rotate"]


@pytest.mark.parametrize(("name", "after"), [("k3s-token", PLACE), ("kubeconfig", "SHA256:new")])
def test_for_a_machine_it_is_one_event(call, asked, name, after) -> None:
    last = json.loads(call("rotate", name, "--yes", "--json").out.splitlines()[-1])
    assert (last["event"], last["credential"], last["changed"]) == ("rotation", name, True)
    assert last["after"] == after


def test_a_certificate_that_is_good_for_long_is_left_alone(call, asked, monkeypatch) -> None:
    outcome = call("rotate", "kubeconfig", "--yes", "--if-expires-within", "30d")
    assert outcome.out == "nothing to do: SHA256:old is good for 40 days\n"
    assert asked == ["look"]
    assert call("rotate", "kubeconfig", "--yes", "--if-expires-within", "60d").code == 0
    assert asked[-1] == "rotate"
    half = dataclasses.replace(CONFIG, unfinished=True)
    monkeypatch.setattr(kubeconfig, "look", lambda stack: half)
    asked.clear()
    assert call("rotate", "kubeconfig", "--yes", "--if-expires-within", "30d").code == 0
    assert asked == ["rotate"], "what was begun is finished"


def test_what_an_earlier_run_began_is_said(call, asked, monkeypatch) -> None:
    half = dataclasses.replace(TOKEN, unfinished=True)
    monkeypatch.setattr(k3s_token, "look", lambda stack: half)
    assert "this finishes it" in call("rotate", "k3s-token", answers="n\n").err
