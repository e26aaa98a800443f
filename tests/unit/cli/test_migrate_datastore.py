"""``elysium up --migrate-datastore``: a backup first, or nothing at all."""

from __future__ import annotations

import types
from typing import Any

import pytest

from provision import errors
from provision.operations import preflight
from provision.recovery.backup import backup

PASSPHRASE = "ELYSIUM_BACKUP_PASSPHRASE"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, operations: Any) -> dict[str, Any]:
    """What the backup is made with; `fails` makes it fail, `moves` is whether SQLite is there."""
    told: dict[str, Any] = {"moves": True}

    def make(_stack: Any, locks: Any, choice: Any, **_more: Any) -> Any:
        operations.calls.append(("backup", {"locks": locks, "choice": choice}))
        if "fails" in told:
            raise told["fails"]
        return types.SimpleNamespace(path="/backups/kyrion.age")

    monkeypatch.setattr(backup, "make", make)
    monkeypatch.setattr(preflight, "moves_datastore", lambda _stack: told["moves"])
    monkeypatch.setenv(PASSPHRASE, "correct horse battery")
    return told


def test_the_backup_with_the_datastore_comes_first(call, operations, made) -> None:
    outcome = call("up", "--migrate-datastore", "--yes")
    assert outcome.code == 0, outcome.err
    assert operations.names == ["open_stack", "preflight", "backup", "up"]
    given = dict(operations.calls)
    assert given["preflight"] == {"migrate_datastore": True}
    assert given["backup"]["choice"].datastore
    assert given["up"]["migrate_datastore"] is True
    assert "/backups/kyrion.age" in outcome.err


def test_without_a_backup_nothing_is_moved(call, operations, made) -> None:
    made["fails"] = errors.BundleError("no")
    assert call("up", "--migrate-datastore", "--yes").code == 3
    assert "up" not in operations.names


def test_without_a_passphrase_nothing_is_moved(call, operations, made, monkeypatch) -> None:
    monkeypatch.delenv(PASSPHRASE)
    outcome = call("up", "--migrate-datastore", "--yes")
    assert outcome.code == 2 and "--passphrase-file" in outcome.err
    assert not {"backup", "up"} & set(operations.names)


def test_the_plan_is_shown_and_may_be_declined(call, operations, made) -> None:
    outcome = call("up", "--migrate-datastore", answers="n\n")
    assert "nothing was changed" in outcome.err
    assert operations.names == ["open_stack", "preflight", "preview"]
    assert operations.calls[-1][1]["migrate_datastore"] is True


def test_with_nothing_to_move_no_backup_is_made(call, operations, made) -> None:
    made["moves"] = False
    outcome = call("up", "--migrate-datastore", "--yes")
    assert outcome.code == 0 and "no SQLite datastore to move" in outcome.err
    assert operations.names == ["open_stack", "preflight", "up"]
    assert "migrate_datastore" not in operations.calls[-1][1]


def test_it_is_asked_for_as_a_whole_and_never_by_the_way(call, operations, made) -> None:
    assert call("up", "--yes").code == 0
    assert "migrate_datastore" not in operations.calls[-1][1]
    assert "backup" not in operations.names
    operations.calls.clear()
    assert call("up", "--yes", "--migrate-datastore", "--target", "media").code == 2
    assert operations.names == []
