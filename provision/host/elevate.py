"""Becoming root: directly, by sudo without a password, or by sudo with one.

sudo's password goes over standard input, only after sudo asked for it. The
script and its own input follow only after sudo let the shell run: neither can
be taken for the other.
"""

from __future__ import annotations

from provision import errors
from provision.host import scripts
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


def not_run(user: str, host: str, status: int, said: str) -> errors.RemoteError:
    """Return the error for a login whose shell does not run our scripts."""
    return errors.RemoteError(
        f"the login shell of {user} on {host} runs no scripts, and nothing was done",
        host=host,
        detail=said.strip() or f"it ended with status {status} and said nothing",
        hint=f"give {user} a login shell without restrictions (on {host}: chsh -s /bin/sh {user}), "
        "take a forced command from its SSH server, or log in as another user; "
        "the host needs /usr/bin/env, /bin/sh, dd and timeout",
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
        """Return the command line that reads `script` from standard input and runs it as root.

        The input is `scripts.framed`, after the gate. The node itself ends the
        script after `timeout` seconds, so that nothing goes on behind the back
        of an operator who was told of a failure.
        """
        limit = ("timeout", "-k", "5", str(max(1, round(timeout))))
        if not self.needed:
            return scripts.command(script, *limit)
        how = ("-n",) if self._password is None else ("-S", "-p", PROMPT)
        # The marker says that sudo is through: what follows is the script's own.
        return scripts.command(script, "sudo", *how, *limit, before=f"echo {STARTED} >&2")

    def gate(self) -> SudoGate | None:
        """Return the gate for one command, None where no password is to be given."""
        if not self.needed or self._password is None:
            return None
        return SudoGate(self._host, self._password)

    def strip(self, stderr: bytes) -> bytes:
        """Return standard error without prompts and markers."""
        stderr = scripts.strip(stderr)
        if not self.needed:
            return stderr
        return stderr.replace(PROMPT.encode(), b"").replace(STARTED.encode() + b"\n", b"")

    def check_shell(self, status: int, stdout: bytes, stderr: bytes) -> None:
        """Raise `errors.RemoteError` when the login shell did not run the script."""
        if not scripts.ran(stderr):
            said = (self.strip(stderr) or stdout).decode("utf-8", "replace")
            raise not_run(self._user, self._host, status, said)

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
