"""Killed at every write and every provider call: the next run goes on from there."""

from __future__ import annotations

import json
import os
import shutil
from typing import Any

import engine_kill
import engine_provider
import pulumi
import pytest
from engine_provider import Group, Thing

from provision import errors
from provision.engine.state import checkpoint, integrity, journal


def first() -> None:
    group = Group("g")
    a = Thing("a", pulumi.ResourceOptions(parent=group), value="1", token="t")
    b = Thing("b", pulumi.ResourceOptions(parent=group), value=a.echo)
    Thing("c", value=b.made, fixed="1")
    Thing("d", value="1")


def second() -> None:
    group = Group("g")
    a = Thing("a", pulumi.ResourceOptions(parent=group), value="2", token="t")
    Thing("c", value=a.made, fixed="2")
    Thing("e", value="1")


def _child(bench: Any, program: Any, kill_at: int, what: engine_kill.What) -> int:
    """Run `up` in a child that is killed at the given write or call; return its status."""
    return engine_kill.run(
        lambda: bench.run("up", program, parallel=1),
        bench.world,
        kill_at,
        what,
        dying=lambda: _save_world(bench),
    )


def _save_world(bench: Any) -> None:
    text = json.dumps({"things": bench.world.things, "made": bench.world.made})
    (bench.root / "world.json").write_text(text)


def _load_world(bench: Any) -> None:
    found = json.loads((bench.root / "world.json").read_text())
    bench.world.things, bench.world.made = found["things"], found["made"]


@pytest.fixture
def adopting(bench: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A provider whose creation takes over what is there under the same name."""
    monkeypatch.setattr(engine_provider, "Memory", engine_provider.Adopting)
    return bench


def _require_readable(bench: Any) -> None:
    """What lies on disk is what another engine accepts, and what ours goes on from."""
    place = bench.engine()._place
    if bench.path.exists():
        document = checkpoint.parse(bench.path.read_text(), "x", "proj", "dev")
        assert integrity.check(document) == []
    loaded = journal.load(place)
    assert loaded.journal != "stale"


@pytest.mark.parametrize("what", ["write", "call"])
def test_killed_anywhere_the_next_run_converges(adopting: Any, what: str) -> None:
    bench = adopting
    points = 0
    for program, things in ((first, {"a-1", "b-1", "c-1", "d-1"}), (second, {"a-1", "c-2", "e-1"})):
        start = _snapshot(bench)
        for kill_at in range(1, 400):
            _restore(bench, start)
            status = _child(bench, program, kill_at, what)
            _load_world(bench)
            if status == 0:
                break
            assert status == 9
            points += 1
            _require_readable(bench)
            bench.up(program)
            assert set(bench.world.things) == things
            assert bench.up(program).counts.keys() == {"same"}
            assert bench.document()["checkpoint"]["latest"].get("pending_operations") is None
            ids = [each.get("id") for each in bench.resources().values() if each["custom"]]
            assert things <= set(ids)
        else:
            raise AssertionError("the run never came to its end")
        assert set(bench.world.things) == things
    assert points > 20


def _snapshot(bench: Any) -> tuple[dict[str, bytes], dict[str, Any], int]:
    state = bench.root / "state"
    found = {
        str(path.relative_to(state)): path.read_bytes()
        for path in (state.rglob("*") if state.exists() else ())
        if path.is_file()
    }
    return found, dict(bench.world.things), bench.world.made


def _restore(bench: Any, start: tuple[dict[str, bytes], dict[str, Any], int]) -> None:
    state = bench.root / "state"
    shutil.rmtree(state, ignore_errors=True)
    for name, data in start[0].items():
        path = state / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    bench.world.things, bench.world.made = dict(start[1]), start[2]
    _save_world(bench)


def test_a_pending_operation_is_told_and_settled(adopting: Any) -> None:
    bench = adopting
    assert _child(bench, first, 2, "call") == 9
    _load_world(bench)
    pending = journal.load(bench.engine()._place).document
    assert pending is not None
    kinds = [each["type"] for each in checkpoint.pending(pending)]
    assert kinds == ["creating"]
    bench.preview(first)
    assert "cut off while creating it" in bench.said()
    bench.up(first)
    assert "took away the lock" in bench.said()
    assert bench.up(first).counts.keys() == {"same"}
    assert bench.said() == ""


def test_a_stale_journal_is_set_aside(adopting: Any) -> None:
    bench = adopting
    bench.up(first)
    assert _child(bench, second, 6, "call") == 9
    _load_world(bench)
    assert bench.engine()._place.journal.exists()
    document = bench.document()
    document["checkpoint"]["latest"]["manifest"]["time"] = "2027-01-01T00:00:00Z"
    bench.path.write_bytes(checkpoint.dump(document))
    bench.up(second)
    assert "written by another engine" in bench.said()
    assert len(list(bench.path.parent.glob("*.aside"))) == 1


def test_a_journal_line_that_was_cut_off_does_not_count(adopting: Any) -> None:
    bench = adopting
    assert _child(bench, first, 6, "call") == 9
    _load_world(bench)
    path = bench.engine()._place.journal
    path.write_bytes(path.read_bytes() + b'{"do":"put","cell":99')
    bench.up(first)
    bench.require_valid()


def test_a_full_disk_stops_the_run_before_the_provider_is_called(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.up(first)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(errors.StackError, match="could not be saved"):
        bench.run("up", second)
    assert bench.world.called("create", "update", "delete") == []
    monkeypatch.undo()
    bench.up(second)
