"""How scripts travel: their mark, and what is taken for a greeting."""

from __future__ import annotations

import subprocess
import sys

import pytest

from provision.host import limits, pump, scripts


def started(tail: bytes) -> bytes:
    return scripts.started() + tail


@pytest.mark.parametrize(
    ("stderr", "own"),
    [
        (b"", b""),
        (b"sudo: no", b"sudo: no"),
        (started(b""), b""),
        (b"stty: not a terminal\n" + started(b"failed"), b"failed"),
        (started(started(b"twice")), started(b"twice")),
    ],
    ids=["nothing", "no mark", "mark alone", "before the mark", "two marks"],
)
def test_what_was_printed_before_the_mark_is_not_the_scripts(stderr: bytes, own: bytes) -> None:
    assert scripts.strip(stderr) == own


def test_the_mark_is_another_in_each_process() -> None:
    code = "from provision.host import scripts; print(scripts.RUNNING)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    other = done.stdout.strip()
    assert other.startswith("elysium-runs-") and other != scripts.RUNNING


class Channel:
    """What a pump reads of a channel: pieces of standard output."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces

    def recv_ready(self) -> bool:
        return bool(self.pieces)

    def recv(self, size: int) -> bytes:
        del size
        return self.pieces.pop(0)

    def recv_stderr_ready(self) -> bool:
        return False


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
@pytest.mark.parametrize("greeting", [b"", b"Welcome\n", b"no newline", b"\0\xff" * 300])
def test_a_greeting_in_pieces_of_any_size(size: int, greeting: bytes) -> None:
    output = b"mine\n" + scripts.started() + b"also mine"
    sent = greeting + scripts.started() + output
    channel = Channel([sent[at : at + size] for at in range(0, len(sent), size)])
    heard: list[bytes] = []
    moving = pump.Pump(
        channel,  # type: ignore[arg-type]
        script=b"",
        stdin=b"",
        start=scripts.started(),
        gate=None,
        on_output=heard.append,
        limit=1000,
        download=False,
        times=limits.DEFAULT,
    )
    moving._drain()
    assert (bytes(moving.greeting), bytes(moving.stdout)) == (greeting, output)
    assert b"".join(heard) == output


def test_a_script_runs_without_the_environment_of_its_caller() -> None:
    script = "env | cut -d= -f1 | sort"
    odd = {"LD_X": "1", "GREP_OPTIONS": "-v", "BASH_ENV": "/x", "LANG": "de_DE.UTF-8"}
    done = subprocess.run(
        ["/bin/sh", "-c", scripts.command(scripts.PRELUDE + script)],
        input=scripts.framed(scripts.PRELUDE + script),
        env={"PATH": "/usr/bin:/bin", **odd},
        capture_output=True,
        check=True,
    )
    names = set(done.stdout.partition(scripts.started())[2].decode().split())
    assert names <= {"PATH", "LC_ALL", "HOME", "PWD", "OLDPWD", "SHLVL", "_"}
