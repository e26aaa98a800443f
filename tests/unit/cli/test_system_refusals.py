"""A full disk, a read-only folder, a closed stream: a sentence with the place, no defect."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from provision.fileio import atomic

ROOT = Path(__file__).parents[3]


def run(folder: Path, arguments: str, redirections: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = f"'{sys.executable}' -m provision.cli {arguments} {redirections}"
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("arguments", ["--help", "config show", "config show --json"])
@pytest.mark.parametrize(
    ("redirection", "why"), [(">/dev/full", "No space left"), (">&-", "Bad file descriptor")]
)
def test_standard_output_that_takes_nothing(
    folder: Path, arguments: str, redirection: str, why: str
) -> None:
    done = run(folder, arguments, redirection)
    assert done.returncode == 1, done.stderr
    assert f"error: standard output cannot be written: {why}" in done.stderr
    assert "Traceback" not in done.stderr and "unforeseen" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&-", "<&- 2>&-"])
def test_standard_error_that_takes_nothing(folder: Path, redirection: str) -> None:
    fine = run(folder, "config show", redirection)
    assert fine.returncode == 0
    assert "cluster: kyrion" in fine.stdout
    wrong = run(folder, "config nonsense", redirection)
    assert (wrong.returncode, wrong.stderr) == (2, "")


def test_a_closed_descriptor_is_not_taken_by_a_file_of_ours(folder: Path) -> None:
    done = run(folder, "config set k3s.version v1.34.4+k3s1", ">&- 2>&-")
    assert done.returncode in (0, 1)
    assert "version: v1.34.4+k3s1" in (folder / "Pulumi.kyrion.yaml").read_text()
    assert "error" not in (folder / "Pulumi.kyrion.yaml").read_text()


@pytest.mark.parametrize(
    ("number", "why"),
    [
        (errno.ENOSPC, "No space left on device"),
        (errno.EROFS, "Read-only file system"),
        (errno.EACCES, "Permission denied"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_a_file_that_cannot_be_written_is_named(call, operations, number: int, why: str) -> None:
    operations.fails["status"] = OSError(number, os.strerror(number), "/srv/state/kyrion.json")
    done = call("status")
    assert done.code == 1
    assert f"error: /srv/state/kyrion.json cannot be used: {why}" in done.err
    assert "hint:" in done.err and "defect" not in done.err


def test_a_full_disk_names_the_file_although_the_system_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        atomic.write(tmp_path / "state.json", "x")
    assert caught.value.filename == str(tmp_path / "state.json")
    assert list(tmp_path.iterdir()) == []
