"""How long elysium waits for an SSH server: all of it in one place, so that tests wait less.

`docs/adr/0016-a-dead-link-is-a-server-that-does-not-answer.md` says why these.
"""

from __future__ import annotations

from dataclasses import dataclass

from provision import transfer


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Seconds, but for `rate`."""

    connect: float = 15.0
    """For each step of connecting: TCP, handshake, login."""
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
