"""How long elysium waits for an SSH server: all of it in one place, so that tests wait less.

`docs/adr/0016-a-dead-link-is-a-server-that-does-not-answer.md` says why these.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from provision import transfer


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Seconds, but for `rate`."""

    connect: float = 15.0
    """For each step of connecting: TCP, key exchange, one key or password."""
    login: float = 60.0
    """For all of it with one server: every address, connection, key and question of it."""
    ping: float = 7.0
    """Without a message from the server, after which it is asked for one."""
    silence: float = 28.0
    """Without a message from the server, after which the link is dead."""
    ask: float = 5.0
    """For an answer when a command is late: a slow node gives one, a dead link does not."""
    answer: float = 60.0
    """For a server that answers, to open a session or to start a command."""
    stall: float = 30.0
    """Without a byte of an upload taken, or of a download sent."""
    rate: float = transfer.RATE
    """Bytes a second: each byte to move gives a command that much more time."""

    def moving(self, size: int) -> float:
        """Return the seconds that `size` bytes may take, beyond the limit of the command."""
        return size / self.rate


DEFAULT = Limits()


class OverdueError(Exception):
    """The time for all steps together is up."""


class Deadline:
    """The time for several steps together, which begins now."""

    def __init__(self, seconds: float) -> None:
        """Allow `seconds` for all steps."""
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def step(self, most: float) -> float:
        """Return the seconds for the next step, `most` or what is left.

        Raises `OverdueError` where nothing is left.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise OverdueError
        return min(most, left)
