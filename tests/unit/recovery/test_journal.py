"""The record of a restore: readable at any time, and never further than what was done."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provision import errors
from provision.recovery import journal

STEPS = ("place", "files", "k3s", "keys", "up", "compare")


def run(**changes: str) -> journal.Run:
    values = {
        "cluster": "kyrion",
        "bundle": "ab" * 32,
        "file": "kyrion.age",
        "created": "2026-03-01T02:03:04Z",
        "mode": "rebuild",
        "host": "10.0.0.9",
        "began": "2026-03-02T02:03:04Z",
    }
    return journal.Run.model_validate({**values, "port": 22, **changes})


class Killed(BaseException):
    pass


@given(cuts=st.lists(st.integers(0, 2 * len(STEPS)), max_size=8))
@settings(max_examples=30, deadline=None)
def test_cut_off_anywhere_each_step_is_done_in_order(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int]
) -> None:
    root = tmp_path_factory.mktemp("root")
    done: list[str] = []

    def attempt(budget: int) -> None:
        keeper = journal.Keeper(root, "kyrion", journal.load(root, "kyrion").open or run())
        keeper.begin()
        for step in STEPS:

            def do(step: str = step) -> None:
                nonlocal budget
                for half in ("begun", "done"):
                    if budget == 0:
                        raise Killed
                    budget -= 1
                    if half == "done":
                        done.append(step)

            keeper.carry_out(step, do)
        keeper.end()

    for budget in [*cuts, 10 * len(STEPS)]:
        found = journal.load(root, "kyrion")
        if found.last is not None:
            break
        try:
            attempt(budget)
        except Killed:
            assert journal.load(root, "kyrion").open is not None
    assert done == list(STEPS)
    found = journal.load(root, "kyrion")
    assert found.open is None
    assert found.last is not None and found.last.steps == STEPS


def test_a_step_that_is_done_is_not_done_again(tmp_path: Path) -> None:
    keeper = journal.Keeper(tmp_path, "kyrion", run())
    calls: list[str] = []
    assert keeper.carry_out("place", lambda: calls.append("place"))
    assert not keeper.carry_out("place", lambda: calls.append("again"))
    assert calls == ["place"]


def test_another_node_file_or_mode_is_another_restore() -> None:
    assert run().same(run(began="later"))
    for name, value in (("host", "10.0.0.8"), ("bundle", "cd" * 32), ("mode", "datastore")):
        assert not run().same(run(**{name: value}))


def test_an_unreadable_record_is_told_and_can_be_set_aside(tmp_path: Path) -> None:
    path = journal.path_of(tmp_path, "kyrion")
    path.parent.mkdir()
    path.write_text('{"schema": 2, "runs": []}')
    with pytest.raises(errors.ElysiumError, match="cannot be read") as caught:
        journal.load(tmp_path, "kyrion")
    assert "--anew" in caught.value.hint
    journal.set_aside(tmp_path, "kyrion")
    assert journal.load(tmp_path, "kyrion") == journal.Journal()
    assert path.with_name(path.name + ".broken").exists()
