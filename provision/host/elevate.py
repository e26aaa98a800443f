"""Becoming root: directly, by sudo without a password, or by sudo with one.

sudo's password goes over standard input, only after sudo asked for it. The
script and its own input follow only after sudo let the shell run: neither can
be taken for the other.
"""

from __future__ import annotations

from collections.abc import Callable

from provision import errors
from provision.host import scripts, sudo_probe
from provision.secret import Secret

PROMPT = sudo_probe.PROMPT
_NOT_FOUND = 127
"""The status of env when there is no such program (POSIX)."""
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
        """Return standard error of the script; that of the login and sudo if it did not begin."""
        own = scripts.strip(stderr)
        if not self.needed or scripts.ran(stderr):
            return own
        # What comes before the marker is sudo's: prompts of all kinds, a lecture.
        before, started, after = own.partition(STARTED.encode() + b"\n")
        return after if started else before.replace(PROMPT.encode(), b"")

    def check_shell(self, status: int, stdout: bytes, stderr: bytes) -> None:
        """Raise `errors.RemoteError` when the login shell did not run the script.

        `stdout` is what was printed before the script: the greeting.
        """
        if not scripts.ran(stderr):
            said = (self.strip(stderr) or stdout).decode("utf-8", "replace")
            raise not_run(self._user, self._host, status, said)

    def check(
        self, status: int, stderr: bytes, ask: Callable[[bool], sudo_probe.Answer] | None = None
    ) -> None:
        """Raise `errors.SudoError` when sudo itself ended the command.

        `ask` asks sudo again, with a terminal or without, and tells what it did:
        sudo's own words are in the language of the node, and differ between its
        implementations. Without `ask` they decide, as far as they are English.
        """
        if not self.needed or STARTED.encode() in stderr:
            return
        said = self.strip(stderr).decode("utf-8", "replace").strip()
        raise self._refusal(status, said, ask, answered=PROMPT.encode() in stderr)

    def _refusal(
        self,
        status: int,
        said: str,
        ask: Callable[[bool], sudo_probe.Answer] | None,
        *,
        answered: bool,
    ) -> errors.SudoError:
        lowered = said.lower()
        if status == _NOT_FOUND or "sudo: not found" in lowered or "command not found" in lowered:
            return self._error(
                f"there is no sudo on {self._host}, and {self._user} is not root",
                said,
                "install sudo, or log in as root",
            )
        if ask is not None and not answered:
            without = ask(False)
            if without.asks and self._password is None:
                return self._asks(said)
            if without.works:
                return self._error(
                    f"sudo on {self._host} lets {self._user} become root, but not run our command",
                    said,
                    f"allow all commands: a line '{self._user} ALL=(ALL) ALL' in /etc/sudoers.d;"
                    " and look at secure_path there: timeout and sh are needed",
                )
            with_terminal = ask(True)
            if with_terminal.asks or with_terminal.works:
                return self._error(
                    f"sudo on {self._host} wants a terminal (requiretty)",
                    said,
                    f"add a line 'Defaults:{self._user} !requiretty' to /etc/sudoers.d",
                )
        elif "password is required" in lowered:
            return self._asks(said)
        if "incorrect password" in lowered or "sorry, try again" in lowered:
            return wrong_password(self._host)
        if ask is not None and answered:
            # One question, one answer, no second question: a single try is allowed, or the
            # password was right and the user may not. Only sudo's words tell, in any language.
            return self._error(
                f"sudo on {self._host} refused the password, or does not let {self._user}"
                " become root",
                said,
                "check the password: elysium config set --secret 'nodes[0].sudoPassword'; and"
                f" that a line '{self._user} ALL=(ALL) ALL' is in /etc/sudoers.d",
            )
        return self._error(
            f"sudo on {self._host} does not let {self._user} become root",
            said,
            f"allow it: a line '{self._user} ALL=(ALL) ALL' in /etc/sudoers.d",
        )

    def _asks(self, said: str) -> errors.SudoError:
        return self._error(
            f"sudo on {self._host} asks {self._user} for a password",
            said,
            "set it: elysium config set --secret 'nodes[0].sudoPassword'",
        )

    def _error(self, summary: str, said: str, hint: str) -> errors.SudoError:
        return errors.SudoError(summary, host=self._host, detail=said, hint=hint)
