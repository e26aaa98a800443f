"""Real SDK programs against the embedded engine and a provider in memory."""

from __future__ import annotations

from typing import Any

import pulumi
from engine_provider import Group, MemProvider, Thing


def two() -> None:
    a = Thing("a", value="1")
    Thing("b", value=a.echo)
    pulumi.export("echo", a.echo)


def test_create_then_nothing(bench: Any) -> None:
    result = bench.up(two)
    assert bench.ops() == {"a": "create", "b": "create"}
    assert result.outputs == {"echo": "echo of a"}
    assert len(bench.world.things) == 2
    before = bench.path.read_bytes()

    again = bench.up(two)
    assert again.counts == {"same": 3}
    assert not again.changed
    assert bench.world.called("create", "update", "delete") == []
    assert bench.path.read_bytes() == before
