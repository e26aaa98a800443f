"""Runs limited to targets: what is left alone may need what is not, and the state stays whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pulumi
import pytest
from engine_provider import MemProvider, Thing

from provision import errors

Opts = pulumi.ResourceOptions


def before() -> None:
    a = Thing("a", value="1")
    Thing("c", value=a.echo)


@pytest.mark.parametrize("first", [True, False])
def test_a_replacement_of_what_is_needed_that_needs_what_is_left(bench: Any, first: bool) -> None:
    def old() -> None:
        a = Thing("a", fixed="1", first=first)
        Thing("c", value=a.echo)

    def new() -> None:
        c = Thing("c", value="1")
        Thing("a", Opts(depends_on=[c]), fixed="2", first=first)

    bench.up(old)
    bench.up(new, targets=("**Thing::a",))
    assert set(bench.world.things) == {"a-2", "c-1"}
    bench.up(new)
    assert bench.up(new).counts.keys() == {"same"}


def test_what_is_needed_needs_something_new(bench: Any) -> None:
    def new() -> None:
        c = Thing("c", value="1")
        x = Thing("x", Opts(depends_on=[c]), value="1")
        Thing("a", value=x.echo)

    bench.up(before)
    bench.up(new, targets=("**Thing::a", "**Thing::x"))
    assert set(bench.world.things) == {"a-1", "c-1", "x-1"}


@pytest.mark.parametrize("later", [True, False])
def test_what_is_needed_has_another_name_now(bench: Any, later: bool) -> None:
    def renamed(*needs: Thing) -> Thing:
        return Thing("z", Opts(aliases=[pulumi.Alias(name="a")], depends_on=needs), value="1")

    def new() -> None:
        if later:
            renamed(Thing("c", value="1"))
        else:
            Thing("c", Opts(depends_on=[renamed()]), value="1")

    bench.up(before)
    bench.up(new, targets=("**Thing::z",))
    assert set(bench.resources()) >= {"z", "c"}
    assert set(bench.world.things) == {"a-1", "c-1"}


def test_the_provider_of_what_is_left_stays_until_it_is_replaced_too(bench: Any) -> None:
    def program(place: str) -> Callable[[], None]:
        def run() -> None:
            with_it = Opts(provider=MemProvider("p", place=place))
            Thing("c", with_it, value=Thing("a", with_it).echo)

        return run

    bench.up(program("x"))
    bench.up(program("y"), targets=("**Thing::a",))
    assert set(bench.world.things) == {"a-2", "c-1"}
    bench.up(program("y"))
    assert bench.up(program("y")).counts.keys() == {"same"}
    assert set(bench.world.things) == {"a-2", "c-2"}
    resources = bench.document()["checkpoint"]["latest"]["resources"]
    assert len([each for each in resources if each["urn"].endswith("::p")]) == 1


def test_a_target_that_goes_while_what_is_left_needs_it(bench: Any) -> None:
    def new() -> None:
        Thing("c", value="1")

    bench.up(before)
    with pytest.raises(errors.StackError, match="is no target itself"):
        bench.run("up", new, targets=("**Thing::a",))
    bench.require_valid()
    assert set(bench.world.things) == {"a-1", "c-1"}
    bench.up(new)
