"""Random programs, edits, drift, failures, targets, orders of calls: as a model says."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import engine_programs
import engine_random
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from provision import errors
from provision.engine.state import integrity

Things = dict[str, dict[str, Any]]


class Model:
    """What should exist: told of every run, it is compared with the world and the state.

    It knows nothing of steps, orders or dependencies between resources: only
    that a program's things exist, once each, with the inputs it gives them,
    and nothing else but what was to be retained.
    """

    def __init__(self, bench: Any) -> None:
        self._bench = bench
        self._left: set[str] = set()
        self._gone: set[str] = set()

    def run(self, change: engine_random.Change) -> None:
        bench, world = self._bench, self._bench.world
        before = self._records()
        self._drift(change, before)
        world.hooks.clear()
        world.turn = engine_random.Schedule(change.after).call
        for method, name in change.fails:
            world.fail(method, name)
        ended = True
        try:
            targets = tuple(f"**::{name}" for name in change.targets)
            bench.run("up", engine_programs.runnable(change.program), targets=targets)
        except errors.ElysiumError as error:
            ended = False
            # One target may need what is none, which is refused.
            assert change.fails or change.targets, f"though nothing was to fail: {error}"
        if bench.path.exists():
            assert integrity.check(bench.document()) == []
        self._compare(before)
        if ended and not change.targets:
            self._require(change.program, before)
            self._gone.clear()

    def _drift(self, change: engine_random.Change, before: Things) -> None:
        things = self._bench.world.things
        for id_, record in before.items():
            name = record["urn"].split("::")[-1]
            if name in change.gone and things.pop(id_, None) is not None:
                self._gone.add(id_)
                self._left.discard(id_)
            elif name in change.edited and id_ in things:
                things[id_]["value"] = "by hand"

    def _records(self) -> Things:
        """Return the things of the state by id, those marked for deletion too."""
        if not self._bench.path.exists():
            return {}
        found = self._bench.document()["checkpoint"]["latest"].get("resources", [])
        return {each["id"]: each for each in found if each["type"] == "mem:index:Thing"}

    def _compare(self, before: Things) -> None:
        """State and world hold the same, whatever happened."""
        now, things = self._records(), set(self._bench.world.things)
        self._left |= {
            id_
            for id_, record in before.items()
            if id_ not in now and record.get("retainOnDelete") and id_ not in self._gone
        }
        awaited = {id_ for id_, record in now.items() if record.get("pendingReplacement")}
        self._left |= {id_ for id_ in awaited & things if before[id_].get("retainOnDelete")}
        assert things == (set(now) - awaited - self._gone) | self._left

    def _require(self, program: engine_programs.Program, before: Things) -> None:
        """The program's things exist, once each, as it asks for them."""
        now, things = self._records(), self._bench.world.things
        ids = {record["urn"].split("::")[-1]: id_ for id_, record in now.items()}
        assert len(ids) == len(now)
        specs = {each.name: each for each in program.specs if each.kind == "thing"}
        assert set(ids) == set(specs)
        for name, spec in specs.items():
            wanted = {key: self._value(each, ids) for key, each in spec.inputs.items()}
            found = things[ids[name]]
            assert found == {"extra": "default", **wanted}
            old = [each for each in before.values() if each["urn"] == now[ids[name]]["urn"]]
            if ids[name] in before and ids[name] not in self._gone:
                assert old[0].get("inputs", {}).get("fixed") == wanted.get("fixed") or (
                    "fixed" not in wanted
                )

    def _value(self, value: Any, ids: dict[str, str]) -> Any:
        if not isinstance(value, str) or value[:1] not in ("$", "!"):
            return value
        if value[0] == "!":
            return value[1:]
        name, attribute = value[1:].split(".")
        if attribute == "echo":
            return f"echo of {name}"
        id_ = ids[name]
        if attribute == "made":
            return float(id_.rsplit("-")[1])
        return self._bench.world.things[id_]["value"]


@settings(
    max_examples=40,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking takes minutes
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(engine_random.changes(), min_size=1, max_size=4), engine_random.programs())
def test_what_exists_is_what_the_model_says(
    make_bench: Any, changes: list[engine_random.Change], last: engine_programs.Program
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        bench = make_bench(Path(folder))
        model = Model(bench)
        for change in changes:
            model.run(change)
        model.run(engine_random.Change(program=last))
        assert bench.up(engine_programs.runnable(last)).counts.keys() <= {"same"}
        assert bench.world.called("create", "update", "delete") == []
        model.run(engine_random.Change(program=engine_programs.Program()))
