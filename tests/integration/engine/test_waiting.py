"""A long program: what the SDK waits for at a time, and a failure among it."""

from __future__ import annotations

import asyncio
from typing import Any

import pulumi
import pytest
from engine_provider import Thing

from provision import errors
from provision.engine.embedded import outputs


def test_only_some_outputs_are_waited_for_at_a_time(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    wait = asyncio.wait

    async def counted(awaited: Any, **options: Any) -> Any:
        seen.append(len(awaited))
        return await wait(awaited, **options)

    def program() -> None:
        first = Thing("first", value="1")
        for number in range(100):
            Thing(f"t{number}", value=first.echo)

    monkeypatch.setattr(asyncio, "wait", counted)
    bench.up(program)
    assert len(bench.world.things) == 101
    assert max(seen) == outputs.AT_A_TIME + 1


@pytest.mark.parametrize("early", [True, False])
def test_a_failure_is_heard_of_among_many_that_never_come(bench: Any, early: bool) -> None:
    """Also one that comes before the SDK begins to wait for outputs at all."""

    async def program() -> None:
        for _ in range(outputs.AT_A_TIME * 20):
            never: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            pulumi.Output.from_input(never)
        made = Thing("a", value="1").echo
        failing = pulumi.Output.from_input("there") if early else made
        failing.apply(lambda _: [][0])
        for _ in range(20):  # turns of the loop
            await asyncio.sleep(0)

    with pytest.raises(errors.ElysiumError, match="list index out of range"):
        bench.run("up", program)
