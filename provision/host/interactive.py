"""Logging in with a password, also where the server asks for it as a question.

PAM asks through "keyboard-interactive", and may go on asking: for the second factor, for a new
password in place of an expired one, or without an end.
"""

from __future__ import annotations

from typing import Any, Final

from provision import secret as secrets
from provision.host import handshake
from provision.secret import Secret

_METHOD: Final = "keyboard-interactive"
_QUESTIONS: Final = 3
"""Questions that are answered with the password: two modules of PAM may each ask for it."""
_ROUNDS: Final = 10
"""Requests of the server, also those without a question."""


class AsksMoreError(Exception):
    """The server asks for something other than the password."""


def password(connection: Any, user: str, secret: Secret) -> Any:
    """Log `user` in with the password; return the methods that the server wants besides.

    Raises `AsksMoreError`, and what paramiko raises.
    """
    paramiko = handshake.library()
    try:
        return connection.auth_password(user, secret.reveal(), fallback=False)
    except paramiko.BadAuthenticationType as error:
        if _METHOD not in error.allowed_types:
            raise
    answers = _Answers(secret)
    try:
        return connection.auth_interactive(user, answers)
    except paramiko.SSHException as error:
        if answers.too_much:
            raise AsksMoreError(answers.too_much) from error
        raise


class _Answers:
    """Answers the server's questions; `too_much` says what it asked beyond a password."""

    def __init__(self, secret: Secret) -> None:
        self._secret = secret
        self._rounds = 0
        self._answered = 0
        self.too_much = ""

    def __call__(self, title: str, instructions: str, fields: list[tuple[str, bool]]) -> list[str]:
        self._rounds += 1
        self._answered += len(fields)
        asked = ", ".join(repr(prompt.strip()) for prompt, _ in fields)
        if len(fields) > 1 or self._answered > _QUESTIONS:
            self._stop(f"it asked: {asked}")
        if self._rounds > _ROUNDS:
            self._stop(f"it asked {self._rounds} times")
        return [self._secret.reveal()] * len(fields)

    def _stop(self, reason: str) -> None:
        """End the connection: paramiko hands on an exception of the thread that asks here."""
        self.too_much = secrets.mask(reason, [self._secret])
        raise handshake.library().SSHException(self.too_much)
