"""Drift: seen before every comparison, and by a refresh of its own."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest
from engine_provider import MemProvider, Thing

from provision import errors


def program() -> None:
    a = Thing("a", value="1")
    Thing("b", value=a.echo)


def test_drift_is_repaired(bench: Any) -> None:
    bench.up(program)
    bench.world.things["a-1"]["value"] = "changed by hand"
    bench.preview(program)
    assert bench.ops() == {"a": "update", "b": "same"}
    assert bench.world.things["a-1"]["value"] == "changed by hand"
    bench.up(program)
    assert bench.ops() == {"a": "update", "b": "same"}
    assert bench.world.things["a-1"]["value"] == "1"
    assert bench.up(program).counts == {"same": 3}


def test_what_is_gone_is_made_again(bench: Any) -> None:
    bench.up(program)
    bench.world.things.clear()
    bench.up(program)
    assert bench.ops() == {"a": "create", "b": "create"}
    assert len(bench.world.things) == 2
    assert "is gone" in bench.said()


def test_without_refresh_drift_is_not_seen(bench: Any) -> None:
    bench.up(program)
    bench.world.things["a-1"]["value"] = "changed by hand"
    assert bench.up(program, refresh=False).counts == {"same": 3}
    assert bench.world.called("read") == []


def test_refresh_takes_drift_into_the_state(bench: Any) -> None:
    bench.up(program)
    bench.world.things["a-1"]["value"] = "changed by hand"
    del bench.world.things["b-1"]
    result = bench.run("refresh", None)
    bench.require_valid()
    assert bench.ops() == {"a": "refresh", "b": "discard"}
    assert result.changed
    assert bench.resources()["a"]["outputs"]["value"] == "changed by hand"
    assert "b" not in bench.resources()
    assert bench.world.called("create", "update", "delete") == []
    bench.up(program)
    assert bench.ops() == {"a": "update", "b": "create"}


def test_a_refresh_can_be_shown_first(bench: Any) -> None:
    from provision.engine import api
    from provision.engine.state import lock

    bench.up(program)
    before = bench.path.read_bytes()
    bench.world.things["a-1"]["value"] = "changed by hand"
    del bench.world.things["b-1"]
    with lock.StackLock(bench.engine()._place.locks):  # it takes none
        bench.events.clear()
        shown = bench.engine().refresh(
            None, options=api.Options(), on_event=bench.events.append, dry_run=True
        )
    assert shown.changed
    assert bench.ops() == {"a": "refresh", "b": "discard"}
    assert bench.path.read_bytes() == before
    assert not bench.engine()._place.journal.exists()
    assert bench.run("refresh", None).counts == shown.counts
    assert bench.path.read_bytes() != before


def test_a_refresh_of_targets_reads_only_those(bench: Any) -> None:
    bench.up(program)
    for id_ in ("a-1", "b-1"):
        bench.world.things[id_]["value"] = "changed by hand"
    bench.run("refresh", None, targets=("**::b",))
    assert bench.world.called("read") == ["read b"]
    assert bench.resources()["a"]["outputs"]["value"] == "1"
    assert bench.resources()["b"]["outputs"]["value"] == "changed by hand"


def test_refresh_prunes_what_referred_to_the_gone(bench: Any) -> None:
    bench.up(program)
    bench.world.things.pop("a-1")
    bench.run("refresh", None)
    bench.require_valid()
    assert bench.resources()["b"].get("dependencies") is None
    assert bench.resources()["b"]["propertyDependencies"]["value"] == []


def test_refresh_that_fails_keeps_what_it_read(bench: Any) -> None:
    bench.up(program)
    bench.world.things["a-1"]["value"] = "changed by hand"
    bench.world.fail("read", "b")
    with pytest.raises(errors.StackError, match="read of mem:index:Thing 'b'"):
        bench.run("refresh", None)
    bench.require_valid()
    assert bench.resources()["b"]["outputs"]["value"] == "echo of a"


def test_unreachable_cluster_is_compared_with_the_state(bench: Any) -> None:
    bench.up(program)
    bench.world.fail("read", "a", errors.KubeError("the API does not answer", status=0))
    assert bench.up(program).counts == {"same": 3}
    assert "not reachable" in bench.said()
    bench.world.fail("diff", "a", errors.KubeError("the API does not answer", status=0))
    assert bench.preview(program).counts == {"same": 3}


def test_other_errors_of_a_read_fail(bench: Any) -> None:
    bench.up(program)
    bench.world.fail("read", "a", errors.KubeError("forbidden", status=403))
    with pytest.raises(errors.KubeError, match="forbidden"):
        bench.up(program)


def test_destroy_with_a_program_uses_its_fresh_configuration(bench: Any) -> None:
    def make(note: str) -> Any:
        def run() -> None:
            prov = MemProvider("p", place="x", note=note)
            Thing("a", pulumi.ResourceOptions(provider=prov))

        return run

    bench.up(make("old"))
    bench.world.configured.clear()
    bench.run("destroy", make("new"))
    assert bench.world.configured == [{"place": "x", "note": "new"}]
    assert bench.world.called() == ["delete a", "deleted a"]
    assert bench.resources() == {}


def test_refresh_with_a_program_uses_its_fresh_configuration(bench: Any) -> None:
    def make(note: str) -> Any:
        def run() -> None:
            prov = MemProvider("p", place="x", note=note)
            Thing("a", pulumi.ResourceOptions(provider=prov))
            Thing("never made")

        return run

    bench.up(lambda: _with_provider("old"))
    bench.world.configured.clear()
    bench.run("refresh", make("new"))
    assert {"place": "x", "note": "new"} in bench.world.configured
    assert bench.world.called() == ["read a"]


def _with_provider(note: str) -> None:
    prov = MemProvider("p", place="x", note=note)
    Thing("a", pulumi.ResourceOptions(provider=prov))
