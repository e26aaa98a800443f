"""Real SDK programs against the embedded engine and a provider in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pulumi
import pytest
from engine_provider import Group, MemProvider, Thing

from provision import errors
from provision.engine import events


def two() -> None:
    a = Thing("a", value="1")
    Thing("b", value=a.echo)
    pulumi.export("echo", a.echo)


def one(opts: pulumi.ResourceOptions | None = None, **inputs: Any) -> Callable[[], None]:
    def program() -> None:
        Thing("a", opts, **inputs)

    return program


def nothing() -> None:
    pass


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


def test_update_keeps_the_id(bench: Any) -> None:
    bench.up(one(value="1"))
    id_ = bench.resources()["a"]["id"]
    bench.up(one(value="2"))
    assert bench.ops() == {"a": "update"}
    assert bench.resources()["a"]["id"] == id_
    assert bench.world.things[id_]["value"] == "2"


def test_planned_says_what_differs(bench: Any) -> None:
    bench.up(one(value="1"))
    bench.preview(one(value="2"))
    planned = [e for e in bench.events if isinstance(e, events.ResourcePlanned) and e.name == "a"]
    assert planned[0].diffs == (
        events.PropertyDiff(path="value", kind="update", old='"1"', new='"2"'),
    )


def test_preview_writes_nothing(bench: Any) -> None:
    result = bench.preview(two)
    assert bench.ops() == {"a": "create", "b": "create"}
    assert result.counts["create"] == 3
    assert bench.world.things == {}
    assert not (bench.root / "state").exists()
    bench.up(two)
    before = bench.path.read_bytes()
    bench.preview(one(value="9"))
    assert bench.ops() == {"a": "update", "b": "delete"}
    assert bench.path.read_bytes() == before
    assert not list(bench.path.parent.glob("*.journal"))


def test_replace_creates_first_and_deletes_last(bench: Any) -> None:
    def program(fixed: str) -> Callable[[], None]:
        def run() -> None:
            a = Thing("a", fixed=fixed)
            Thing("b", value=a.made)

        return run

    bench.up(program("1"))
    old = bench.resources()["a"]["id"]
    bench.up(program("2"))
    changes = bench.world.called("create", "update", "delete")
    assert changes == ["create a", "update b", "delete a"]
    assert bench.resources()["a"]["id"] != old
    assert old not in bench.world.things
    assert [e.op for e in bench.events if isinstance(e, events.ResourceDone)] == [
        "create-replacement",
        "update",
        "delete-replaced",
    ]


def test_delete_before_replace_takes_replaced_dependents_along(bench: Any) -> None:
    def program(fixed: str) -> Callable[[], None]:
        def run() -> None:
            a = Thing("a", fixed=fixed, first=True)
            Thing("b", fixed=a.made, first=True)
            Thing("c", value=a.made)

        return run

    bench.up(program("1"))
    bench.up(program("2"))
    assert bench.world.called("create", "update", "delete") == [
        "delete b",
        "delete a",
        "create a",
        *sorted(["create b", "update c"]),
    ] or bench.world.called("create", "update", "delete")[3:] == ["update c", "create b"]
    assert len(bench.world.things) == 3


def test_the_option_overrides_the_provider_on_the_order(bench: Any) -> None:
    opts = pulumi.ResourceOptions(delete_before_replace=True)
    bench.up(one(opts, fixed="1"))
    bench.up(one(opts, fixed="2"))
    assert bench.world.called("create", "delete") == ["delete a", "create a"]


def test_deletes_go_in_reverse_order(bench: Any) -> None:
    def chain() -> None:
        a = Thing("a")
        b = Thing("b", value=a.echo)
        Thing("c", pulumi.ResourceOptions(depends_on=[b]))

    bench.up(chain)
    bench.up(nothing)
    assert bench.world.called("delete") == ["delete c", "delete b", "delete a"]
    assert set(bench.resources()) == {"proj-dev"}


def test_destroy_leaves_an_empty_stack(bench: Any) -> None:
    bench.up(two)
    result = bench.destroy()
    assert bench.world.called("delete") == ["delete b", "delete a"]
    assert bench.world.things == {}
    assert bench.resources() == {}
    assert result.counts["delete"] == 3
    assert bench.destroy().counts == {}


def test_protect_stops_a_delete_before_anything_is_deleted(bench: Any) -> None:
    def program() -> None:
        Thing("a", pulumi.ResourceOptions(protect=True))
        Thing("b")

    bench.up(program)
    with pytest.raises(errors.StackError, match="protected"):
        bench.destroy()
    assert bench.world.called("delete") == []
    with pytest.raises(errors.StackError, match="protected"):
        bench.preview(nothing)

    def unprotected() -> None:
        Thing("a")
        Thing("b")

    bench.up(unprotected)
    bench.destroy()
    assert bench.world.things == {}


def test_protect_stops_a_replacement(bench: Any) -> None:
    opts = pulumi.ResourceOptions(protect=True)
    bench.up(one(opts, fixed="1"))
    with pytest.raises(errors.StackError, match="protected"):
        bench.up(one(opts, fixed="2"))
    assert bench.world.called("create", "delete") == []


def test_retain_on_delete_leaves_the_thing(bench: Any) -> None:
    bench.up(one(pulumi.ResourceOptions(retain_on_delete=True)))
    bench.up(nothing)
    assert bench.ops() == {"a": "delete"}
    assert len(bench.world.things) == 1
    assert "a" not in bench.resources()


def test_deleted_with_skips_the_call(bench: Any) -> None:
    def program() -> None:
        a = Thing("a")
        Thing("b", pulumi.ResourceOptions(deleted_with=a))

    bench.up(program)
    bench.destroy()
    assert bench.world.called("delete") == ["delete a"]


def test_ignore_changes(bench: Any) -> None:
    opts = pulumi.ResourceOptions(ignore_changes=["value"])
    bench.up(one(opts, value="1", other="1"))
    bench.up(one(opts, value="2", other="2"))
    thing = next(iter(bench.world.things.values()))
    assert (thing["value"], thing["other"]) == ("1", "2")
    bench.up(one(opts, value="3", other="2"))
    assert bench.ops() == {"a": "same"}


def test_replace_on_changes(bench: Any) -> None:
    opts = pulumi.ResourceOptions(replace_on_changes=["value"])
    bench.up(one(opts, value="1"))
    bench.up(one(opts, value="2"))
    assert bench.ops()["a"] in ("replace", "delete-replaced")
    assert bench.world.called("create", "update", "delete") == ["create a", "delete a"]


def test_replacement_trigger(bench: Any) -> None:
    bench.up(one(pulumi.ResourceOptions(replacement_trigger="1")))
    bench.up(one(pulumi.ResourceOptions(replacement_trigger="1")))
    assert bench.world.called("create") == []
    bench.up(one(pulumi.ResourceOptions(replacement_trigger="2")))
    assert bench.world.called("create", "delete") == ["create a", "delete a"]


def test_alias_renames_without_touching(bench: Any) -> None:
    def before() -> None:
        a = Thing("a")
        Thing("x", value=a.echo)

    def after() -> None:
        a = Thing("b", pulumi.ResourceOptions(aliases=[pulumi.Alias(name="a")]))
        Thing("x", value=a.echo)

    bench.up(before)
    id_ = bench.resources()["a"]["id"]
    bench.up(after)
    assert bench.world.called("create", "update", "delete") == []
    assert bench.resources()["b"]["id"] == id_
    assert "a" not in bench.resources()
    assert bench.resources()["x"]["dependencies"] == [bench.resources()["b"]["urn"]]


def test_a_component_renamed_by_alias_takes_its_children_along(bench: Any) -> None:
    def make(name: str, *aliases: str) -> Callable[[], None]:
        def run() -> None:
            opts = pulumi.ResourceOptions(aliases=[pulumi.Alias(name=each) for each in aliases])
            group = Group(name, opts)
            Thing(f"{name}-child", pulumi.ResourceOptions(parent=group))

        return run

    bench.up(make("one"))
    id_ = bench.resources()["one-child"]["id"]
    bench.up(make("two", "one"))
    assert bench.world.called("create", "delete") == []
    assert bench.resources()["two-child"]["id"] == id_


def test_components_pass_options_on(bench: Any) -> None:
    def program() -> None:
        group = Group("g", pulumi.ResourceOptions(protect=True, retain_on_delete=True))
        Thing("a", pulumi.ResourceOptions(parent=group))
        group.register_outputs({"done": True})

    bench.up(program)
    found = bench.resources()
    assert found["a"]["protect"] is True
    assert found["a"]["retainOnDelete"] is True
    assert found["a"]["urn"].endswith("::test:index:Group$mem:index:Thing::a")
    assert found["g"]["outputs"] == {"done": True}
    assert "id" not in found["g"]


def test_explicit_provider_has_state_of_its_own(bench: Any) -> None:
    def program(place: str, note: str = "") -> Callable[[], None]:
        def run() -> None:
            prov = MemProvider("p", place=place, note=note)
            Thing("a", pulumi.ResourceOptions(provider=prov))

        return run

    bench.up(program("here"))
    found = bench.resources()
    assert found["a"]["provider"] == f"{found['p']['urn']}::{found['p']['id']}"
    assert bench.world.configured[-1] == {"place": "here", "note": ""}

    bench.up(program("here", "new"))
    assert bench.ops() == {"p": "update", "a": "same"}
    assert bench.resources()["p"]["id"] == found["p"]["id"]

    bench.up(program("there"))
    assert bench.ops()["p"] in ("replace", "delete-replaced")
    assert bench.world.called("create", "delete") == ["create a", "delete a"]
    assert bench.resources()["p"]["id"] != found["p"]["id"]


def test_configuration_of_a_provider_that_a_preview_does_not_know(bench: Any) -> None:
    def program() -> None:
        a = Thing("a")
        prov = MemProvider("p", place=a.echo)
        Thing("b", pulumi.ResourceOptions(provider=prov), value="1")

    bench.preview(program)
    assert bench.ops() == {"a": "create", "p": "create", "b": "create"}
    assert {"place": "<unknown>"} not in bench.world.configured
    bench.up(program)
    assert {"place": "echo of a"} in bench.world.configured


def test_read_only_resource(bench: Any) -> None:
    bench.world.things["outside"] = {"value": "seen"}

    def program() -> None:
        opts = pulumi.ResourceOptions(id="outside")
        pulumi.export("value", Thing("a", opts).value)

    assert bench.up(program).outputs == {"value": "seen"}
    assert bench.resources()["a"]["external"] is True
    bench.destroy()
    assert "outside" in bench.world.things


def test_reading_what_is_not_there_fails(bench: Any) -> None:
    with pytest.raises(errors.StackError, match="does not exist"):
        bench.run("up", one(pulumi.ResourceOptions(id="nowhere")))


def test_import_takes_over_what_is_there(bench: Any) -> None:
    bench.world.things["outside"] = {"value": "seen", "extra": "default"}
    opts = pulumi.ResourceOptions(import_="outside")
    bench.preview(one(opts, value="seen"))
    assert bench.ops()["a"] in ("import", "same")
    bench.up(one(opts, value="seen"))
    assert bench.world.called("create", "update") == []
    assert bench.resources()["a"]["id"] == "outside"
    bench.up(one(opts, value="seen"))
    assert bench.ops() == {"a": "same"}
    bench.up(one(value="seen"))
    bench.destroy()
    assert bench.world.things == {}


def test_importing_what_is_not_there_fails(bench: Any) -> None:
    with pytest.raises(errors.StackError, match="cannot be imported"):
        bench.run("up", one(pulumi.ResourceOptions(import_="nowhere")))


def test_timeouts_reach_state_and_provider(bench: Any) -> None:
    timeouts = pulumi.CustomTimeouts(create="1h30m", delete="90s")
    bench.up(one(pulumi.ResourceOptions(custom_timeouts=timeouts)))
    assert bench.resources()["a"]["customTimeouts"] == {"create": 5400, "delete": 90}


def test_stack_outputs_are_replaced(bench: Any) -> None:
    bench.up(lambda: pulumi.export("one", 1))
    result = bench.up(lambda: pulumi.export("two", [1, {"x": None}]))
    assert result.outputs == {"two": [1, {"x": None}]}
    assert bench.engine().outputs() == {"two": [1, {"x": None}]}


def test_parallel_is_bounded(bench: Any) -> None:
    inside, most = 0, 0
    lock = threading.Lock()
    gate = threading.Barrier(3, timeout=5)

    def enter() -> None:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        gate.wait()
        with lock:
            inside -= 1

    bench.world.on("create", "*", enter)

    def program() -> None:
        for index in range(6):
            Thing(f"t{index}")

    bench.up(program, parallel=3)
    assert most == 3


def test_program_sees_its_configuration(bench: Any) -> None:
    from provision.secret import Secret

    def program() -> None:
        config = pulumi.Config()
        pulumi.export("plain", config.require("plain"))
        pulumi.export("hidden", config.require_secret("hidden"))
        pulumi.export("stack", f"{pulumi.get_project()}/{pulumi.get_stack()}")

    result = bench.up(
        program, config={"proj:plain": "x"}, secret_config={"proj:hidden": Secret("y")}
    )
    assert result.outputs == {"plain": "x", "hidden": Secret("y"), "stack": "proj/dev"}
    assert bench.engine().outputs(show_secrets=True)["hidden"] == "y"


def test_async_program(bench: Any) -> None:
    async def program() -> None:
        Thing("a")

    bench.up(program)
    assert bench.ops() == {"a": "create"}
