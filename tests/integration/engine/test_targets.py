"""Runs limited to targets: what is left alone may need what is not, and the state stays whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pulumi
import pytest
from engine_provider import MemProvider, Thing

from provision import errors

Opts = pulumi.ResourceOptions


def nothing() -> None:
    pass


def before() -> None:
    a = Thing("a", value="1")
    Thing("c", value=a.echo)


def test_target_leaves_the_others_alone(bench: Any) -> None:
    def program(value: str, *, third: bool = False) -> Callable[[], None]:
        def run() -> None:
            Thing("a", value=value)
            b = Thing("b", value=value)
            if third:
                Thing("c", value=b.echo)
                Thing("d", value=value)

        return run

    bench.up(program("1"))
    target = bench.resources()["a"]["urn"]
    bench.up(program("2", third=True), targets=(target,))
    assert bench.ops() == {"a": "update", "b": "same"}
    assert set(bench.resources()) == {"proj-dev", "default", "a", "b"}
    bench.up(nothing, targets=(target,))
    assert bench.world.called("delete") == ["delete a"]
    assert "b" in bench.resources()


def test_target_that_needs_what_does_not_exist(bench: Any) -> None:
    def program() -> None:
        a = Thing("a")
        Thing("b", pulumi.ResourceOptions(depends_on=[a]))

    with pytest.raises(errors.StackError, match="not among the targets"):
        bench.run("up", program, targets=("**Thing::b",))


def test_target_whose_replacement_takes_another_with_it(bench: Any) -> None:
    def program(fixed: str) -> Callable[[], None]:
        def run() -> None:
            a = Thing("a", fixed=fixed, first=True)
            Thing("b", fixed=a.made)

        return run

    bench.up(program("1"))
    with pytest.raises(errors.StackError, match="is no target itself"):
        bench.run("up", program("2"), targets=("**Thing::a",))
    assert bench.world.called("create", "update", "delete") == []
    bench.up(program("2"), targets=("**Thing::a", "**Thing::b"))
    assert set(bench.world.things) == {"a-2", "b-2"}


def test_target_that_matches_nothing(bench: Any) -> None:
    with pytest.raises(errors.StackError, match="no resource matches"):
        bench.run("up", nothing, targets=("**::nope",))


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


def test_what_is_left_needs_a_target_by_way_of_what_is_not_registered(bench: Any) -> None:
    def old() -> None:
        a = Thing("a", value="1")
        e = Thing("e", value=a.echo)
        Thing("d", value=e.echo)

    def new() -> None:
        d = Thing("d", value="1")
        Thing("a", value=d.echo)

    bench.up(old)
    bench.up(new, targets=("**Thing::a",))
    bench.require_valid()
    assert set(bench.world.things) == {"a-1", "d-1", "e-1"}
    bench.up(new)
    assert set(bench.world.things) == {"a-1", "d-1"}
    assert bench.up(new).counts.keys() == {"same"}


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
