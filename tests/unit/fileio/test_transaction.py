"""The record of a switch decides which files are renamed: one that was damaged decides nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from provision import errors
from provision.fileio import transaction

ENTRY = {"path": "/nowhere/file", "before": ""}


@pytest.mark.parametrize(
    "found",
    [
        [1],
        {},
        {"state": "committed"},
        {"state": "committed", "files": None},
        {"state": "committed", "files": [{}]},
        {"state": "committed", "files": [ENTRY | {"path": 1}]},
        {"state": "committed", "files": [ENTRY | {"path": "a\0b"}]},
        {"state": "committed", "files": [ENTRY | {"path": "relative"}]},
        {"state": "preparing", "files": [ENTRY | {"path": "/"}]},
        {"state": "preparing", "files": {"path": "/x"}},
        {"state": "other", "files": []},
    ],
    ids=json.dumps,
)
def test_a_damaged_record_is_refused_and_stays(tmp_path: Path, found: Any) -> None:
    record = tmp_path / "switch.json"
    record.write_text(json.dumps(found))
    with pytest.raises(errors.StackError, match=r"switch\.json cannot be understood") as caught:
        transaction.finish(record)
    assert "remove the record" in caught.value.hint
    assert json.loads(record.read_text()) == found


def test_a_record_of_a_killed_process_is_finished(tmp_path: Path) -> None:
    old, record = tmp_path / "a", tmp_path / "switch.json"
    old.write_text("old")
    transaction.switch(record, [transaction.NewFile(path=old, content=b"new")])
    assert old.read_text() == "new"
    staged = tmp_path / ".a.switching"
    staged.write_text("newer")
    entry = transaction._entry(transaction.NewFile(path=old, content=b""))
    record.write_text(json.dumps({"state": "committed", "files": [entry]}))
    transaction.finish(record)
    assert (old.read_text(), record.exists()) == ("newer", False)
