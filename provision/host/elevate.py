"""Becoming root: directly, by sudo without a password, or by sudo with one.

sudo's password goes over standard input, only after sudo asked for it, and
the command's own input only after the command itself runs: neither can be
taken for the other.
"""

from __future__ import annotations

import shlex

from provision import errors
from provision.secret import Secret

PROMPT = "elysium-sudo-asks:"
STARTED = "elysium-started:"


class SudoGate:
    """Answers sudo's prompt once, and opens when the command runs."""

    def __init__(self, host: str, password: Secret | None) -> None:
        self._host = host
        self._password = password
        self._answered = 0
        self.open = False

    def feed(self, stderr: bytes) -> bytes | None:
        """Take all of standard error so far; return the password when it is asked for.

        Raises `errors.SudoError` when sudo asks a second time: the password is wrong.
        """
        if STARTED.encode() in stderr:
            self.open = True
            return None
        asked = stderr.count(PROMPT.encode())
        if asked > self._answered:
            if self._answered or self._password is None:
                raise wrong_password(self._host)
            self._answered = asked
            return self._password.reveal().encode() + b"\n"
        return None


def wrong_password(host: str) -> errors.SudoError:
    """Return the error for a password that sudo refused."""
    return errors.SudoError(
        f"sudo on {host} refused the password",
        host=host,
        hint="set the right one: elysium config set --secret 'nodes[0].sudoPassword'",
    )


class Elevation:
    """How commands become root for one login."""

    def __init__(self, *, host: str, user: str, password: Secret | None) -> None:
        self._host = host
        self._user = user
        self._password = password

    @property
    def needed(self) -> bool:
        """Whether the login is not root already."""
        return self._user != "root"

    def command(self, script: str, *, timeout: float) -> str:
        """Return the command line that runs `script` as root under ``sh``.

        The node itself ends it after `timeout` seconds, so that nothing goes
        on behind the back of an operator who was told of a failure.
        """
        limit = f"timeout -k 5 {max(1, round(timeout))}"
        if not self.needed:
            return f"exec {limit} /bin/sh -c {shlex.quote(script)}"
        # The marker says that sudo is through: what follows is the script's own.
        script = f"printf '%s\\n' {STARTED} >&2\n{script}"
        how = "-n" if self._password is None else f"-S -p {PROMPT}"
        return f"exec sudo {how} {limit} /bin/sh -c {shlex.quote(script)}"

    def gate(self) -> SudoGate | None:
        """Return the gate for one command, None where no password is to be given."""
        if not self.needed or self._password is None:
            return None
        return SudoGate(self._host, self._password)

    def strip(self, stderr: bytes) -> bytes:
        """Return standard error without prompts and marker."""
        if not self.needed:
            return stderr
        return stderr.replace(PROMPT.encode(), b"").replace(STARTED.encode() + b"\n", b"")

    def check(self, status: int, stderr: bytes) -> None:
        """Raise `errors.SudoError` when sudo itself ended the command."""
        if not self.needed or STARTED.encode() in stderr:
            return
        said = self.strip(stderr).decode("utf-8", "replace").strip()
        lowered = said.lower()
        if status == 127 or "sudo: not found" in lowered or "command not found" in lowered:
            raise errors.SudoError(
                f"there is no sudo on {self._host}, and {self._user} is not root",
                host=self._host,
                detail=said,
                hint="install sudo, or log in as root",
            )
        if "password is required" in lowered:
            raise errors.SudoError(
                f"sudo on {self._host} asks {self._user} for a password",
                host=self._host,
                detail=said,
                hint="set it: elysium config set --secret 'nodes[0].sudoPassword'",
            )
        if "incorrect password" in lowered or "sorry, try again" in lowered:
            raise wrong_password(self._host)
        raise errors.SudoError(
            f"sudo on {self._host} does not let {self._user} become root",
            host=self._host,
            detail=said,
            hint=f"allow it: a line '{self._user} ALL=(ALL) ALL' in /etc/sudoers.d",
        )
