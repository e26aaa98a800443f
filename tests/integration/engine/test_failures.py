"""What goes wrong on the way: steps, programs, locks. The state stays usable."""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

import pulumi
import pytest
from engine_provider import Thing

from provision import errors
from provision.engine import events
from provision.engine.state import lock


def two() -> None:
    a = Thing("a", value="1")
    Thing("b", value=a.echo)


def test_a_failed_step_stops_what_depends_on_it_and_deletes_nothing(bench: Any) -> None:
    bench.up(lambda: Thing("old") and None)
    bench.world.fail("create", "a")
    with pytest.raises(errors.StackError, match="create of mem:index:Thing 'a' failed") as caught:
        bench.run("up", two)
    assert "create of a went wrong" in caught.value.detail
    bench.require_valid()
    assert "old" in bench.resources()
    assert "b" not in bench.resources()
    failed = [e for e in bench.events if isinstance(e, events.ResourceFailed)]
    assert [e.urn.split("::")[-1] for e in failed] == ["a"]
    summary = bench.events[-1]
    assert isinstance(summary, events.Summary)
    assert not summary.ok

    bench.world.hooks.clear()
    bench.up(two)
    assert bench.ops() == {"a": "create", "b": "create", "old": "delete"}


def test_our_own_errors_come_through_as_they_are(bench: Any) -> None:
    error = errors.WaitError("k3s did not become ready", what="k3s", hint="look at the journal")
    bench.world.fail("create", "a", error)
    with pytest.raises(errors.WaitError) as caught:
        bench.run("up", two)
    assert caught.value is error


def test_a_half_made_resource_is_kept_and_tried_again(bench: Any) -> None:
    class HalfError(errors.WaitError):
        resource_id = "a-half"
        reasons = ("not ready yet",)

        @property
        def properties(self) -> Any:
            from engine_provider import wrap

            made = {"made": wrap(1.0), "echo": wrap("1")}
            return {"value": wrap("1"), "extra": wrap("default"), **made}

    bench.world.fail("create", "a", HalfError("not ready", what="a"))
    with pytest.raises(errors.WaitError):
        bench.run("up", two)
    bench.require_valid()
    assert bench.resources()["a"]["initErrors"] == ["not ready yet"]
    bench.world.things["a-half"] = {"value": "1", "extra": "default"}

    bench.world.hooks.clear()
    bench.up(two)
    assert bench.ops() == {"a": "update", "b": "create"}
    assert "initErrors" not in bench.resources()["a"]
    assert bench.up(two).counts == {"same": 3}


def test_other_steps_under_way_are_finished_and_saved(bench: Any) -> None:
    both = threading.Barrier(2, timeout=10)
    bench.world.on("create", "slow", both.wait)

    def fail() -> None:
        both.wait()
        raise RuntimeError("no")

    bench.world.on("create", "bad", fail)

    def program() -> None:
        Thing("slow")
        Thing("bad")

    with pytest.raises(errors.StackError):
        bench.run("up", program)
    assert "slow" in bench.resources()


def test_a_failed_delete_is_tried_again(bench: Any) -> None:
    bench.up(two)
    bench.world.fail("delete", "b")
    with pytest.raises(errors.StackError, match="delete of mem:index:Thing 'b'"):
        bench.destroy()
    bench.require_valid()
    assert {"a", "b"} <= set(bench.resources())
    bench.world.hooks.clear()
    bench.destroy()
    assert bench.world.things == {}


def test_a_failed_delete_of_the_replaced_is_tried_again(bench: Any) -> None:
    def program(fixed: str) -> Any:
        return lambda: Thing("a", fixed=fixed) and None

    bench.up(program("1"))
    bench.world.fail("delete", "a")
    with pytest.raises(errors.StackError):
        bench.run("up", program("2"))
    bench.require_valid()
    assert len(bench.world.things) == 2
    bench.world.hooks.clear()
    bench.up(program("2"))
    assert bench.world.called("create", "delete") == ["delete a"]
    assert len(bench.world.things) == 1


def test_a_cut_off_delete_before_replace_goes_on(bench: Any) -> None:
    def program(fixed: str) -> Any:
        return lambda: Thing("a", fixed=fixed, first=True) and None

    bench.up(program("1"))
    bench.world.fail("create", "a")
    with pytest.raises(errors.StackError):
        bench.run("up", program("2"))
    assert bench.resources()["a"]["pendingReplacement"] is True
    bench.require_valid()
    bench.world.hooks.clear()
    bench.up(program("2"))
    assert bench.world.called("create", "delete") == ["create a"]
    assert "pendingReplacement" not in bench.resources()["a"]


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (lambda: 1 / 0, "ZeroDivisionError"),
        (lambda: sys.exit(0), "sys.exit"),
        (lambda: sys.exit("bye"), "bye"),
        (lambda: (_ for _ in ()).throw(pulumi.RunError("no good")), "no good"),
    ],
)
def test_a_program_that_ends_badly_deletes_nothing(bench: Any, end: Any, words: str) -> None:
    def exporting() -> None:
        Thing("a")
        Thing("b")
        pulumi.export("x", 1)
        pulumi.export("y", 1)

    bench.up(exporting)

    def program() -> None:
        pulumi.export("x", 2)
        Thing("a")
        end()

    with pytest.raises(errors.StackError, match="the program") as caught:
        bench.run("up", program)
    assert words in str(caught.value)
    bench.require_valid()
    assert {"a", "b"} <= set(bench.resources())
    assert bench.engine().outputs() == {"x": 2, "y": 1}


def test_an_error_in_an_apply_fails_the_program(bench: Any) -> None:
    def program() -> None:
        def bad(_value: Any) -> None:
            raise ValueError("bad apply")

        pulumi.export("x", Thing("a").echo.apply(bad))

    with pytest.raises(errors.StackError, match="bad apply"):
        bench.run("up", program)


def test_our_own_errors_from_the_program(bench: Any) -> None:
    def program() -> None:
        raise errors.ConfigError("wrong", [errors.Problem(message="x")])

    with pytest.raises(errors.ConfigError, match="wrong"):
        bench.run("up", program)


def test_what_a_program_prints_is_reported(bench: Any, capsys: Any) -> None:
    def program() -> None:
        print("hello", "there")  # noqa: T201
        print("and to you", file=sys.stderr)  # noqa: T201
        pulumi.log.warn("careful")

    bench.up(program)
    assert "hello there" in bench.said()
    assert "and to you" in bench.said()
    assert "careful" in bench.said()
    assert capsys.readouterr() == ("", "")
    print("after")  # noqa: T201
    assert capsys.readouterr().out == "after\n"


def test_a_program_that_forks(bench: Any) -> None:
    def program() -> None:
        child = os.fork()
        if child:
            os.waitpid(child, 0)
        Thing("a")

    bench.up(program)
    assert bench.world.made == 1


def test_the_salt_of_the_configuration_is_used(bench: Any) -> None:
    from provision import crypter

    made = crypter.PassphraseCrypter.new(bench.passphrase)
    (bench.root / "Pulumi.dev.yaml").write_text(f"encryptionsalt: {made.salt}\nconfig: {{}}\n")
    bench.up(two)
    state = bench.document()["checkpoint"]["latest"]["secrets_providers"]
    assert state == {"type": "passphrase", "state": {"salt": made.salt}}


def test_a_held_lock_stops_up_but_not_preview(bench: Any) -> None:
    bench.up(two)
    with lock.StackLock(bench.engine()._place.locks):
        with pytest.raises(errors.StackError, match="the stack is locked by"):
            bench.run("up", two)
        bench.preview(two)
    bench.up(two)


def test_a_foreign_lock_stops_up(bench: Any) -> None:
    bench.up(two)
    folder = bench.engine()._place.locks
    (folder / "x.json").write_text(
        '{"pid": 1, "username": "me", "hostname": "elsewhere", "timestamp": "2026-01-01T00:00:00Z"}'
    )
    with pytest.raises(errors.StackError, match="me@elsewhere"):
        bench.run("up", two)


def test_what_is_left_of_a_replacement_does_not_need_its_successor_s_dependents(
    bench: Any,
) -> None:
    """`d` needed `e`; their successors need each other the other way round, and all have to go."""

    def before() -> None:
        Thing("d", value=Thing("e", value="1").echo)

    def after() -> None:
        Thing("e", value=Thing("d", fixed="1").echo, fixed="1")

    bench.up(before)
    bench.world.fail("delete", "d")
    with pytest.raises(errors.StackError, match="delete of d went wrong"):
        bench.run("up", after)
    bench.require_valid()
    bench.world.hooks.clear()
    bench.destroy()
    assert bench.world.things == {}
