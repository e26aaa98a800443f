"""Why sudo refused is told by what it does: sudo and sudo-rs, English and German, with a terminal.

The stand-ins copy sudo 1.9 (its German catalogue) and sudo-rs 0.2: what they print,
their status, and when they ask. They refuse options that they do not know.
"""

from __future__ import annotations

import os
import pathlib
import pty
import subprocess
from typing import Any

import pytest

from provision import errors, secret
from provision.host import elevate, scripts, sudo_probe

_ASK = """
prompt= interactive=yes
while :; do case "$1" in
  -n) interactive=; shift ;;
  -S) shift ;;
  -p) prompt=$2; shift 2 ;;
  -*) echo "sudo: unknown option $1" >&2; exit 1 ;;
  *) break ;;
esac; done
"""
SUDOS = {
    "sudo, German": {
        "password": _ASK
        + '[ "$interactive" ] || { echo "sudo: Passwort ist nötig" >&2; exit 1; }\n'
        'printf %s "$prompt" >&2; read word || { echo "sudo: kein Passwort" >&2; exit 1; }\n'
        'echo "sudo: 1 Fehlversuch bei der Passwort-Eingabe" >&2; exit 1\n',
        "denied": _ASK + 'echo "ops steht nicht in der sudoers-Datei." >&2; exit 1\n',
        "requiretty": _ASK + "if ! (: </dev/tty) 2>/dev/null; then\n"
        'echo "sudo: Entschuldigung, Sie benötigen ein TTY, um sudo auszuführen" >&2; exit 1; fi\n'
        '[ "$interactive" ] || exec "$@"\nprintf %s "$prompt" >&2; read word; exit 1\n',
        "command": _ASK + 'case $1 in echo) exec "$@" ;; esac\n'
        'echo "sudo: timeout: Befehl nicht gefunden" >&2; exit 1\n',
    },
    "sudo-rs": {
        "password": _ASK + '[ "$interactive" ] || {\n'
        'echo "sudo: interactive authentication is required" >&2; exit 1; }\n'
        'printf "[sudo: %s] Password: " "$prompt" >&2; read word || exit 1\n'
        'echo "sudo: maximum 1 incorrect authentication attempts" >&2; exit 1\n',
        "denied": _ASK + "echo \"sudo: I'm sorry ops. I'm afraid I can't do that\" >&2; exit 1\n",
    },
}
SAID = {
    "password": "asks ops for a password",
    "denied": "does not let ops become root",
    "requiretty": r"wants a terminal \(requiretty\)",
    "command": "lets ops become root, but not run our command",
    "absent": "there is no sudo",
}


class LocalChannel:
    """A session channel whose command runs here, as sshd would run it."""

    def __init__(self, environ: dict[str, str]) -> None:
        self._environ, self._terminal = environ, False
        self._process: subprocess.Popen[bytes] | None = None
        self._output = -1

    def settimeout(self, _seconds: float) -> None: ...

    def set_combine_stderr(self, combine: bool) -> None:
        assert combine

    def get_pty(self) -> None:
        self._terminal = True

    def exec_command(self, command: str) -> None:
        if self._terminal:
            pid, self._output = pty.fork()
            if pid == 0:
                os.execvpe("/bin/sh", ["sh", "-c", command], self._environ)  # noqa: S606
            self._pid = pid
            return
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", command], env=self._environ, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def shutdown_write(self) -> None:
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.close()

    def recv(self, size: int) -> bytes:
        if self._process is not None and self._process.stdout is not None:
            return self._process.stdout.read1(size)  # type: ignore[attr-defined]
        try:
            return os.read(self._output, size)
        except OSError:  # Linux: the terminal's other end is closed
            return b""

    def recv_exit_status(self) -> int:
        if self._process is not None:
            return self._process.wait(10)
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            assert self._process.stdout is not None
            self._process.stdout.close()
        elif self._output >= 0:
            os.close(self._output)


class Machine:
    """A machine with one stand-in of sudo."""

    def __init__(self, folder: pathlib.Path, sudo: str) -> None:
        if sudo:
            (folder / "sudo").write_text(f"#!/bin/sh\n{sudo}")
            (folder / "sudo").chmod(0o755)
        for name in ("env", "sh", "dd", "timeout", "echo"):
            (folder / name).symlink_to(f"/usr/bin/{name}")
        self.environ = {"PATH": str(folder), "LANG": "de_DE.UTF-8"}

    def open_session(self, timeout: float) -> Any:
        return LocalChannel(self.environ)

    def refuse(self, password: secret.Secret | None = None) -> errors.SudoError:
        elevation = elevate.Elevation(host="kyrion", user="ops", password=password)
        script = "echo never"
        # The stand-in is where real programs are looked for.
        command = elevation.command(script, timeout=5).replace(scripts.PATH, self.environ["PATH"])
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            input=(b"" if password is None else b"canary\n") + scripts.framed(script),
            env=self.environ, capture_output=True, timeout=20, check=False, start_new_session=True,
        )  # fmt: skip
        with pytest.raises(errors.SudoError) as caught:
            elevation.check(done.returncode, done.stderr, sudo_probe.of(self))
        assert caught.value.hint and "canary" not in str(caught.value)
        return caught.value


@pytest.mark.parametrize(
    ("kind", "case"), [(kind, case) for kind, cases in SUDOS.items() for case in cases]
)
def test_why_it_refused(tmp_path: pathlib.Path, kind: str, case: str):
    error = Machine(tmp_path, SUDOS[kind][case]).refuse()
    with pytest.raises(errors.SudoError, match=SAID[case]):
        raise error
    assert error.detail  # the node's own words, in its language


def test_there_is_none(tmp_path: pathlib.Path):
    with pytest.raises(errors.SudoError, match=SAID["absent"]):
        raise Machine(tmp_path, "").refuse()


@pytest.mark.parametrize("kind", SUDOS)
def test_one_try_and_a_refusal_in_any_language(tmp_path: pathlib.Path, kind: str):
    """Without a second question, a wrong password and a user who may not look alike."""
    error = Machine(tmp_path, SUDOS[kind]["password"]).refuse(secret.Secret("canary"))
    assert "refused the password, or does not let ops become root" in error.summary


@pytest.mark.parametrize("kind", SUDOS)
def test_a_password_that_nobody_asked_for_is_not_blamed(tmp_path: pathlib.Path, kind: str):
    error = Machine(tmp_path, SUDOS[kind]["denied"]).refuse(secret.Secret("canary"))
    assert error.summary.endswith("does not let ops become root")
    assert "password" not in error.summary


def test_what_sudo_says_before_the_command_is_not_the_commands():
    elevation = elevate.Elevation(host="h", user="ops", password=secret.Secret("canary"))
    said = f"[sudo: {elevate.PROMPT}] Password: \n{elevate.STARTED}\n{scripts.RUNNING}\nown\n"
    assert elevation.strip(said.encode()) == b"own\n"


def test_a_forced_command_is_not_taken_for_sudo(tmp_path: pathlib.Path):
    error = Machine(tmp_path, "echo welcome; exit 0\n").refuse()
    assert "does not let ops become root" in error.summary


@pytest.mark.parametrize("kind", SUDOS)
def test_the_gate_knows_each_prompt(tmp_path: pathlib.Path, kind: str):
    gate = elevate.Elevation(host="h", user="ops", password=secret.Secret("canary")).gate()
    assert gate is not None
    shown = "[sudo: {}] Password: " if kind == "sudo-rs" else "{}"
    asked = shown.format(elevate.PROMPT).encode()
    assert gate.feed(asked) == b"canary\n"
    with pytest.raises(errors.SudoError, match="refused the password"):
        gate.feed(asked + b"\nTut mir leid.\n" + asked)


class Session:
    """A session that prints `said` and ends with `status`."""

    def __init__(self, said: bytes, status: int) -> None:
        self.said, self.status = [said, b""], status

    def settimeout(self, _seconds: float) -> None: ...

    def set_combine_stderr(self, _on: bool) -> None: ...

    def exec_command(self, command: str) -> None:
        assert command == sudo_probe.COMMAND

    def shutdown_write(self) -> None: ...

    def recv(self, _size: int) -> bytes:
        return self.said.pop(0)

    def recv_exit_status(self) -> int:
        return self.status

    def close(self) -> None: ...


@pytest.mark.parametrize(("status", "works"), [(0, True), (1, False), (127, False)])
def test_sudo_works_only_where_the_command_succeeds(status: int, works: bool):
    said = f"not allowed: {sudo_probe._RAN}\n".encode()
    answer = sudo_probe.ask(Session(said, status), terminal=False)
    assert answer == sudo_probe.Answer(asks=False, works=works)
