"""A run that says nothing for a while says what it waits for."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from provision.cli import settings
from provision.cli.render import reporter
from provision.engine import events

URN = "urn:pulumi:s::p::elysium:node:K3sServer::kyrion-k3s"


class Heard(settings.Settings):
    """The terminal of a call that keeps what it is to print."""

    def __init__(self, json: bool = False) -> None:
        super().__init__(json=json)
        self.lines: list[str] = []

    @property
    def terminal(self) -> Any:
        return self

    def say(self, text: str) -> None:
        self.lines.append(text)

    def event(self, data: dict[str, Any]) -> None:
        self.lines.append(json.dumps(data))


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporter, "_SAY_EVERY", 0.05)
    monkeypatch.setattr(reporter, "_LOOK_EVERY", 0.01)


def until(called: Heard, text: str, count: int) -> None:
    deadline = time.monotonic() + 10
    while "\n".join(called.lines).count(text) < count:
        assert time.monotonic() < deadline, called.lines
        time.sleep(0.01)


def test_a_log_says_again_what_is_under_way() -> None:
    called = Heard()
    with reporter.Lines(called) as listening:
        listening.on_event(events.ResourceStarted(urn=URN, op="create"))
        listening.on_event(events.ResourceProgress(urn=URN, message="waiting for the node"))
        until(called, "k3s kyrion-k3s: waiting for the node (for 0 s)", 2)
    assert "urn:pulumi" not in "".join(called.lines)


def test_a_machine_hears_the_last_progress_again() -> None:
    called = Heard(json=True)
    with reporter.JsonLines(called) as listening:
        listening.on_event(events.ResourceStarted(urn=URN, op="create"))
        listening.on_event(events.ResourceProgress(urn=URN, message="waiting"))
        until(called, '"waiting"', 3)
    last = json.loads(called.lines[-1])
    assert last == events.to_json(events.ResourceProgress(urn=URN, message="waiting"))


def test_a_question_is_not_talked_over() -> None:
    called = Heard()
    with reporter.Lines(called) as listening:
        listening.step("checking node, GitHub and repository")
        until(called, "(still)", 1)
        listening.pause()
        before = list(called.lines)
        time.sleep(0.3)
        assert called.lines == before
