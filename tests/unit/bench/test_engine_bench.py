"""The benchmark of the engine: what counts as done, what is recorded, and one small run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench import figures, machine
from tests.bench_engine import contenders, measuring, recorded


@pytest.mark.parametrize(
    ("operation", "counts"),
    [
        ("first up", {"create": 2}),
        ("first up", {"create": 3, "update": 1}),
        ("no-op up", {"same": 2}),
        ("no-op up", {"same": 3, "update": 1}),
        ("destroy", {"delete": 2}),
        ("destroy", {}),
    ],
)
def test_who_did_less_or_more_is_not_measured(
    operation: contenders.Operation, counts: dict[str, int]
) -> None:
    with pytest.raises(machine.Failed):
        contenders.expect(operation, 3, counts)


def test_who_did_the_work_is() -> None:
    contenders.expect("first up", 3, {"create": 4, "same": 0})
    contenders.expect("refresh", 3, {"same": 4})
    contenders.expect("no-op preview", 0, {"same": 1})


def test_what_upstream_needed_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded, "_FILE", tmp_path / "recorded.json")
    table = figures.Table()
    table.series("no-op up, 25 chained", "pulumi 3.1").add(2.0)
    table.series("no-op up, 25 chained", figures.ELYSIUM).add(1.0)
    recorded.write(table, "pulumi 3.1", "3.1", "a machine")
    other = figures.Table()
    other.series("destroy, 25 chained", "pulumi 3.1").add(3.0)
    recorded.write(other, "pulumi 3.1", "3.1", "a machine")
    found = recorded.load()
    assert found["seconds"] == {"no-op up, 25 chained": 2.0, "destroy, 25 chained": 3.0}
    assert recorded.tool(found).startswith("pulumi 3.1, recorded 2")


def test_without_a_pulumi_the_recorded_times_are_compared_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    table = figures.Table()
    run = measuring.Run(table, tmp_path, lambda _: None)
    assert run.version == ""
    assert run.all([3], ["fanned out"], 1) == []
    tool = recorded.tool(recorded.load())
    seen = {(each.what, each.tool): each for each in table}
    assert ("first up, 3 fanned out", contenders.FLOOR) in seen
    assert seen["first up, 3 fanned out", tool].note == "not recorded"
    for operation in contenders.OPERATIONS:
        ours = seen[f"{operation}, 3 fanned out", figures.ELYSIUM]
        assert ours.memory
        assert len(ours.values) == 1
