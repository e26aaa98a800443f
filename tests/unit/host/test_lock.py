"""The script that holds the node's lock, run by the shells that may be a node's /bin/sh."""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import time
import types
from collections.abc import Callable, Iterator

import pytest

from provision.host import lock

SHELLS = ("dash", "bash --posix", "busybox ash", "mksh", "ksh93", "zsh --emulate sh", "yash")
MARK = "mark-1"


@pytest.fixture(autouse=True)
def place(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """The lock's file, in a folder of the test."""
    path = tmp_path / "run" / "lock"
    monkeypatch.setattr(lock, "_FOLDER", str(path.parent))
    monkeypatch.setattr(lock, "PATH", str(path))
    monkeypatch.setattr(lock, "_TRIES", 2)
    return path


Hold = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def hold() -> Iterator[Hold]:
    """Start the script; returns once it says that it holds the lock, or ends."""
    started: list[subprocess.Popen[str]] = []

    def start(shell: str = "dash", mark: str = MARK, before: str = "") -> subprocess.Popen[str]:
        words = shell.split()
        if shutil.which(words[0]) is None:
            pytest.skip(f"{words[0]} is not installed")
        process = subprocess.Popen(
            [*words, "-c", before + lock.holding("anna@desk", mark)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def first(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def lost(mark: str = MARK, shell: str = "dash") -> bool:
    """Return whether a change is refused by its guard."""
    on = types.SimpleNamespace(link=types.SimpleNamespace(beat=lambda signal: None))
    guard = lock.Held(on, None, mark).guard()  # type: ignore[arg-type]
    done = subprocess.run(
        [*shell.split(), "-c", f"{guard}exit 0"], capture_output=True, check=False
    )
    assert done.returncode in (0, lock.STATUS)
    return done.returncode == lock.STATUS


def send(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdin is not None
    process.stdin.write(text)
    process.stdin.flush()


@pytest.mark.parametrize("shell", SHELLS)
def test_it_is_held_until_the_input_ends(shell: str, hold: Hold, place: pathlib.Path) -> None:
    process = hold(shell)
    assert first(process) == lock.HELD, process.communicate()
    send(process, "..")
    assert not lost(shell=shell)
    assert place.read_text().startswith("anna@desk, since ")
    # Someone else waits in vain, and is told who has it.
    other = hold(shell, "mark-2")
    out, _ = other.communicate(timeout=20)
    assert lock.TAKEN in out and "anna@desk" in out
    assert not lost(shell=shell)
    process.communicate(timeout=20)
    assert lost(shell=shell) and place.read_text() == ""


@pytest.mark.parametrize("shell", SHELLS)
def test_it_is_free_when_its_holder_was_killed(shell: str, hold: Hold) -> None:
    process = hold(shell)
    assert first(process) == lock.HELD
    process.kill()
    process.communicate(timeout=20)
    assert lost()
    assert first(hold(shell, "mark-2")) == lock.HELD
    assert lost() and not lost("mark-2")


def test_silence_lets_go(hold: Hold, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "LEASE", 1)
    process = hold()
    assert first(process) == lock.HELD and not lost()
    assert process.wait(timeout=20) == 0
    assert lost()


def test_it_is_waited_for(hold: Hold, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "_TRIES", 200)
    before = hold()
    assert first(before) == lock.HELD
    after = hold(mark="mark-2")
    time.sleep(0.5)
    assert after.poll() is None
    before.communicate(timeout=20)
    assert first(after) == lock.HELD


def test_a_flock_without_w_is_enough(hold: Hold, tmp_path: pathlib.Path) -> None:
    """BusyBox' applet knows -s, -x, -n, -u and -c only."""
    fake = tmp_path / "flock"
    fake.write_text(
        '#!/bin/sh\ncase "$1" in -[sxnu]) exec /usr/bin/flock "$@" ;; esac\n'
        "echo \"flock: invalid option -- 'w'\" >&2; exit 1\n"
    )
    fake.chmod(0o755)
    process = hold(before=f'flock() {{ {fake} "$@"; }}\n')
    assert first(process) == lock.HELD


def test_a_flock_that_fails_is_not_taken_for_a_lock_that_is_held(hold: Hold) -> None:
    process = hold(before="flock() { echo 'flock: No locks available' >&2; return 71; }\n")
    out, err = process.communicate(timeout=20)
    assert lock.TAKEN not in out
    assert process.returncode == 3 and "No locks available" in err


def test_a_full_run_is_told_when_the_lock_is_taken(hold: Hold, tmp_path: pathlib.Path) -> None:
    """Without the mark in the file, every change would be refused as "the lock is lost"."""
    script = (
        f"mount -t tmpfs -o size=4k tmpfs {tmp_path}/run\n"
        f"head -c 4096 /dev/zero >{tmp_path}/run/full\n"
    )
    (tmp_path / "run").mkdir()
    if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs mount namespaces")
    process = hold("unshare -m dash", before=script)
    out, err = process.communicate(timeout=20)
    assert lock.HELD not in out and process.returncode == 3
    assert "cannot be written" in err
