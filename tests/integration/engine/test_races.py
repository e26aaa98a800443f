"""Steps that meet: a replacement that deletes its dependents first, and those dependents.

No call is delayed by time: a hook holds one call of the provider until another step was taken.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pulumi
import pytest
from engine_provider import Thing

from provision import errors

_PATIENCE = 60.0
"""Seconds after which a test that waits in vain fails; nothing is measured with it."""


class Moment:
    """Something that happens once, and what waits for it."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def now(self, *_: object) -> None:
        self._event.set()

    def wait(self) -> None:
        assert self._event.wait(_PATIENCE), "it never happened"

    def before(self, value: str) -> pulumi.Output[str]:
        """Return an output that has `value` once the moment has come."""

        async def wait() -> str:
            await asyncio.to_thread(self.wait)
            return value

        return pulumi.Output.from_input(wait())


def before() -> None:
    e = Thing("e", fixed="1", first=True)
    d = Thing("d", fixed=e.made)
    Thing("c", fixed=d.made)


def test_a_dependent_that_is_updated_meanwhile_is_not_deleted_with_what_it_needed(
    bench: Any,
) -> None:
    """`c` is taken up while the replacement of `e` asks whether `c` would be replaced with it."""
    bench.up(before)
    asked, updated = Moment(), Moment()

    def hold() -> None:
        asked.now()
        bench.world.hooks.pop(("diff", "c"), None)
        updated.wait()

    bench.world.on("diff", "c", hold)

    def after() -> None:
        Thing("e", fixed="2", first=True)
        Thing("c", value=asked.before("2"), fixed=1).made.apply(updated.now)

    bench.up(after)
    assert bench.ops()["c"] == "update"
    assert bench.world.called("delete") == ["delete d", "delete e"]
    assert set(bench.world.things) == {"e-2", "c-1"}
    assert set(bench.resources()) >= {"e", "c"}


def test_a_dependent_waits_until_its_deletion_is_over(bench: Any) -> None:
    """`c` is registered while it is being deleted, so that `e` can be replaced."""
    bench.up(before)
    going, other = Moment(), Moment()

    def hold() -> None:
        going.now()
        other.wait()

    bench.world.on("delete", "c", hold)
    bench.world.on("create", "z", other.now)

    def after() -> None:
        Thing("e", fixed="2", first=True)
        Thing("c", value=going.before("2"))
        x = Thing("x", value=going.before("1"))
        Thing("z", value=Thing("y", value=x.echo).echo)

    bench.up(after)
    calls = [each for each in bench.world.calls if each[1] == "c" and each[0] in _EFFECTS]
    assert [method for method, _ in calls] == ["delete", "deleted", "create", "created"]
    assert set(bench.world.things) == {"e-2", "c-2", "x-1", "y-1", "z-1"}


_EFFECTS = ("create", "created", "update", "delete", "deleted")


def test_two_replacements_with_a_dependent_in_common(bench: Any) -> None:
    """It is deleted once, and neither of the two goes before it."""

    def program(fixed: str) -> None:
        e = Thing("e", fixed=fixed, first=True)
        f = Thing("f", fixed=fixed, first=True)
        Thing("c", fixed=pulumi.Output.all(e.made, f.made).apply(str))

    bench.up(lambda: program("1"))
    bench.up(lambda: program("2"))
    deletes = bench.world.called("delete", "deleted")
    assert deletes[:2] == ["delete c", "deleted c"]
    assert sorted(deletes[2:]) == ["delete e", "delete f", "deleted e", "deleted f"]
    assert set(bench.world.things) == {"e-2", "f-2", "c-2"}


def test_a_deletion_that_fails_sets_free_what_waits_for_it(bench: Any) -> None:
    bench.up(before)
    going = Moment()

    def fail() -> None:
        going.now()
        raise RuntimeError("it does not go")

    bench.world.on("delete", "c", fail)

    def after() -> None:
        Thing("e", fixed="2", first=True)
        Thing("c", value=going.before("2"))

    with pytest.raises(errors.StackError, match="does not go"):
        bench.run("up", after)
    bench.require_valid()
    assert "c-1" in bench.world.things
    bench.world.hooks.clear()
    bench.up(after)
    assert len(bench.world.things) == 2
