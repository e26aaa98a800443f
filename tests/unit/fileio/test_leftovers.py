"""What killed runs left is removed by the next one, and nothing else."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

import pytest

from provision.fileio import atomic, leftovers
from provision.gitops import tree
from provision.gitops.build import workspace

KILLED = """
import os, signal, sys
from pathlib import Path
from provision.fileio import atomic
real = Path.replace
Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
atomic.write(Path(sys.argv[1]), "new")
"""


def aged(path: Path, seconds: float) -> Path:
    then = time.time() - seconds
    os.utime(path, (then, then))
    return path


def test_a_temporary_file_of_a_killed_write_goes_with_the_next(tmp_path: Path) -> None:
    target = tmp_path / "state.json"
    done = subprocess.run([sys.executable, "-c", KILLED, str(target)], check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert left.suffix == ".tmp"
    aged(left, 5)
    atomic.write(target, "newer")
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


def test_only_what_nobody_holds_and_elysium_named_is_removed(tmp_path: Path) -> None:
    import fcntl

    for name in (".a.0123abcd.tmp", ".b.0123abcd.tmp", ".a.x.tmp", "a.0123abcd.tmp", ".a.tmp"):
        (tmp_path / name).write_text("x")
        aged(tmp_path / name, 9)
    (tmp_path / ".a.ffffffff.tmp").symlink_to(tmp_path / "a.0123abcd.tmp")
    held = tmp_path / ".a.99999999.tmp"
    held.write_text("x")
    aged(held, 9)
    with held.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        atomic.write(tmp_path / "a", "new")
    assert {path.name for path in tmp_path.iterdir()} == {
        *("a", ".b.0123abcd.tmp", ".a.x.tmp", "a.0123abcd.tmp", ".a.tmp"),
        *(".a.ffffffff.tmp", ".a.99999999.tmp"),
    }


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_the_copy_of_a_killed_build_goes_with_the_next(temporary: Path) -> None:
    left = temporary / "elysium-gitops-abcd_123"
    (left / "tree").mkdir(parents=True)
    leftovers.claim(left).close()
    old = temporary / "elysium-gitops-00000000"  # an earlier version left it, without a lock
    old.mkdir()
    aged(old, 2 * 3600)
    for name in ("elysium-gitops-mine", "elysium-gitops-11111111", "elysium-other-abcd_123"):
        (temporary / name).mkdir()
    space = workspace.Workspace(tree.Tree(files={"a.yaml": "a: b\n"}))
    assert (space.root / "a.yaml").exists()
    second = workspace.Workspace(tree.Tree(files={}))
    assert second.root.exists() and space.root.exists(), "one that is used stays"
    second.close()
    space.close()
    assert {path.name for path in temporary.iterdir()} == {
        *("elysium-gitops-mine", "elysium-gitops-11111111", "elysium-other-abcd_123"),
    }


def test_a_folder_that_is_being_claimed_stays(tmp_path: Path, monkeypatch) -> None:
    """Another program may look between the creation of the lock and its being taken."""
    folder = Path(tempfile.mkdtemp(prefix="elysium-test-", dir=tmp_path))
    real = fcntl.flock
    began: list[int] = []

    def flock(file: IO[str], flags: int) -> None:
        if not began:
            began.append(flags)
            leftovers.sweep(tmp_path, "elysium-test-")
        real(file, flags)

    monkeypatch.setattr("fcntl.flock", flock)
    with leftovers.claim(folder):
        assert folder.exists()
        leftovers.sweep(tmp_path, "elysium-test-")
        assert folder.exists()
    leftovers.sweep(tmp_path, "elysium-test-")
    assert not folder.exists()
