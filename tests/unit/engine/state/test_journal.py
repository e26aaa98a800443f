"""Reading the state while another run writes it."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from provision.engine.state import backend, checkpoint, journal, store


def raw(number: int) -> dict[str, Any]:
    return {
        "urn": f"urn:pulumi:dev::proj::mem:index:Thing::{number}",
        "custom": False,
        "type": "mem:index:Thing",
    }


def test_a_reader_never_mixes_two_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_SHARE", 0)  # a checkpoint after every few entries
    place = backend.FileBackend("file://state", tmp_path, "proj", "dev")
    place.write(checkpoint.empty("proj", "dev", ""))
    base = place.read()
    assert base is not None
    keeper = store.Store(place, base)
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set() and number < 500:
            keeper.put(raw(number), None)
            keeper.commit()
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    seen = reads = 0
    deadline = time.monotonic() + 60
    try:
        # The reader and the writer may get their turns as unevenly as they like.
        while (reads < 300 or seen < 10) and time.monotonic() < deadline:
            reads += 1
            document = journal.load(place).document
            assert document is not None
            found = len(checkpoint.resources(document))
            assert found >= seen
            seen = found
    finally:
        stop.set()
        writer.join()
        keeper.close()
    assert seen >= 10


def test_a_checkpoint_replaced_between_two_looks_is_read_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = backend.FileBackend("file://state", tmp_path, "proj", "dev")
    old = checkpoint.dump(checkpoint.empty("proj", "dev", ""))
    document = checkpoint.empty("proj", "dev", "")
    checkpoint.latest(document)["resources"] = [raw(1)]
    new = checkpoint.dump(document)
    answers = [old, new, new]
    monkeypatch.setattr(place, "read_bytes", lambda: answers.pop(0))
    loaded = journal.load(place).document
    assert loaded is not None
    assert [each["urn"] for each in checkpoint.resources(loaded)] == [raw(1)["urn"]]
    assert answers == []
