"""Runs of the media library on the node of these tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from provision.provider import resource


@pytest.fixture
def up(world: Any, kind: Any, make_inputs: Any) -> Callable[..., dict[str, Any]]:
    """Converge as a run does; return the state it leaves."""

    def converge(state: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
        inputs = make_inputs(**changes)
        world.session.invalidate()
        found, kept = resource.converge(kind, world, inputs, state or {})
        return kept | inputs | kind.outputs(found.facts, inputs, kept)

    return converge


@pytest.fixture
def planned(world: Any, kind: Any, make_inputs: Any) -> Callable[..., list[str]]:
    def plan(state: dict[str, Any], **changes: Any) -> list[str]:
        inputs = make_inputs(**changes)
        world.session.invalidate()
        facts = kind.observe(world, inputs, state).facts
        return [change.property for change in kind.plan(facts, inputs, state)]

    return plan
