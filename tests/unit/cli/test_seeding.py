"""``up`` and ``preview`` with ``--no-seeds`` and ``--anyway``."""

from __future__ import annotations

import pytest

from provision.operations.repository import Seeding

VARIABLE = "ELYSIUM_NO_SEEDS"


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.mark.parametrize("command", [("preview",), ("up", "--yes")], ids=lambda words: words[0])
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--no-seeds",), Seeding.NONE),
        (("--anyway",), Seeding.POSSIBLE),
        (("--no-seeds", "--anyway"), Seeding.NONE),
        ((), None),
    ],
)
def test_the_options_reach_every_operation(call, operations, command, options, expected) -> None:
    assert call(*command, *options).code == 0
    given = dict(operations.calls)
    assert [given[name].get("seeding") for name in ("preflight", command[0])] == [expected] * 2


def test_the_plan_that_is_confirmed_is_the_one_that_is_done(call, operations) -> None:
    assert call("up", "--no-seeds", answers="y\n").code == 0
    given = dict(operations.calls)
    assert [given[name]["seeding"] for name in ("preview", "up")] == [Seeding.NONE] * 2


@pytest.mark.parametrize("command", [("preview",), ("up", "--yes")], ids=lambda words: words[0])
def test_the_variable_of_earlier_versions_is_not_passed_over(
    call, operations, monkeypatch, command
) -> None:
    monkeypatch.setenv(VARIABLE, "1")
    refused = call(*command)
    assert refused.code == 2 and operations.names == []
    assert VARIABLE in refused.err and "--no-seeds" in refused.err
    assert call(*command, "--no-seeds").code == 0
