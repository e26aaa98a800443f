"""Asking sudo why it refused, by what it does and not by what it says.

Implementations of sudo (sudo, sudo-rs) and languages differ in their words. All of
them show the prompt that they are given, and run the command when they allow it.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

PROMPT = "elysium-sudo-asks:"
_RAN = "elysium-sudo-ran:"
COMMAND = f"exec /usr/bin/env sudo -S -p {PROMPT} echo {_RAN}"
"""Words without anything that a login shell reads in its own way."""
_TIME = 15.0
_LIMIT = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What sudo did: asked for a password, or ran the command."""

    asks: bool
    works: bool


class Sessions(Protocol):
    """What opens sessions: a `transport.Transport`."""

    def open_session(self, timeout: float) -> Any:
        """Return a fresh session channel."""
        ...


def of(connection: Sessions) -> Callable[[bool], Answer]:
    """Return a function that asks over `connection`, with a terminal or without."""

    def answer(terminal: bool) -> Answer:
        try:
            channel = connection.open_session(_TIME)
        except Exception:  # noqa: BLE001 - such as a limit of sessions: sudo said nothing new
            return Answer(asks=False, works=False)
        return ask(channel, terminal=terminal)

    return answer


def ask(channel: Any, *, terminal: bool) -> Answer:
    """Ask sudo to run ``echo`` on the fresh session `channel`; no password is sent.

    An error of the connection means that sudo did neither: what it said before stands.
    """
    said, status = b"", -1
    deadline = time.monotonic() + _TIME
    # paramiko waits for the answers to requests as long as the connection stands.
    timer = threading.Timer(_TIME, channel.close)
    timer.daemon = True
    timer.start()
    with contextlib.closing(channel), contextlib.suppress(Exception):
        channel.settimeout(_TIME)
        if terminal:
            channel.get_pty()
        channel.set_combine_stderr(True)
        channel.exec_command(COMMAND)
        if not terminal:
            channel.shutdown_write()
        while PROMPT.encode() not in said and time.monotonic() < deadline:
            data = channel.recv(4096)
            if not data:
                status = channel.recv_exit_status()
                break
            said = (said + data)[-_LIMIT:]
    timer.cancel()
    return Answer(asks=PROMPT.encode() in said, works=status == 0 and _RAN.encode() in said)
