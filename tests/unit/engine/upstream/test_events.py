"""What the `pulumi` CLI reports, as our own events."""

from __future__ import annotations

import types
from typing import Any

import pytest

from provision import change
from provision.engine import events
from provision.engine.upstream import events as upstream_events

URN = "urn:pulumi:kyrion::elysium::elysium:node:K3sServer::k3s"
PLAN = (
    change.Change(property="files.a", action="create", summary="write a", diff="+a\n"),
    change.Change(property="units.b", action="restart", summary="restart b"),
)


def step(op: str) -> Any:
    state = types.SimpleNamespace(custom=True, parent="", inputs={}, outputs={})
    return types.SimpleNamespace(
        op=op, urn=URN, type="elysium:node:K3sServer", new=state, old=None, detailed_diff=None
    )


def event(**values: Any) -> Any:
    names = ("resource_pre_event", "res_outputs_event", "res_op_failed_event", "diagnostic_event")
    return types.SimpleNamespace(**dict.fromkeys(names) | values)


def said(message: str, severity: str = "info") -> Any:
    found = types.SimpleNamespace(message=message, severity=severity, urn=URN, ephemeral=True)
    return event(diagnostic_event=found)


def before(op: str, *, planning: bool) -> Any:
    return event(resource_pre_event=types.SimpleNamespace(metadata=step(op), planning=planning))


def after(op: str, *, planning: bool) -> Any:
    return event(res_outputs_event=types.SimpleNamespace(metadata=step(op), planning=planning))


@pytest.mark.parametrize(
    "reported",
    [
        [said(change.dump(PLAN) + "\n"), before("update", planning=True)],
        # A creation is announced, then previewed by its provider, then done.
        [
            before("create", planning=True),
            said(change.dump(PLAN)),
            after("create", planning=True),
        ],
        [
            before("create", planning=True),
            said(change.dump(PLAN)),
            event(res_op_failed_event=types.SimpleNamespace(metadata=step("create"))),
        ],
    ],
)
def test_the_plan_of_our_provider_is_in_the_event(reported: list[Any]) -> None:
    heard: list[events.Event] = []
    translator = upstream_events.Translator(heard.append, "preview")
    for each in reported:
        translator.take(each)
    (planned,) = [each for each in heard if isinstance(each, events.ResourcePlanned)]
    assert planned.changes == PLAN
    assert not [each for each in heard if isinstance(each, events.ResourceProgress)]


def test_what_is_no_plan_is_progress() -> None:
    heard: list[events.Event] = []
    upstream_events.Translator(heard.append, "up").take(said("starting k3s"))
    assert heard == [events.ResourceProgress(urn=URN, message="starting k3s")]


def test_a_step_that_is_taken_is_told_at_once() -> None:
    heard: list[events.Event] = []
    upstream_events.Translator(heard.append, "up").take(before("create", planning=False))
    assert [type(each) for each in heard] == [events.ResourcePlanned, events.ResourceStarted]
