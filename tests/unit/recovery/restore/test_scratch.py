"""What a killed run left in the way of folders, the next one removes."""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path

import pytest

from provision.recovery.restore import scratch


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_killed_runs_folder_goes_and_a_living_ones_stays(temporary: Path) -> None:
    child = os.fork()
    if child == 0:
        try:
            with scratch.folder("restore") as mine:
                (mine / "state.json").write_text("x")
                os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(1)
    os.waitpid(child, 0)
    (left,) = temporary.iterdir()
    with scratch.folder("drill"):
        assert left.exists()  # another kind is not ours
    with scratch.folder("restore") as first, scratch.folder("restore") as second:
        assert not left.exists()
        assert sorted(temporary.iterdir()) == sorted([first, second])
        assert first.stat().st_mode & 0o777 == 0o700
    assert list(temporary.iterdir()) == []
