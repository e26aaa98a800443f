"""The sessions on one SSH connection. The server limits how many are open (MaxSessions).

A refused session says nothing of the connection, on which other threads work.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from provision import errors
from provision.host import handshake, limits, link, preflight

if TYPE_CHECKING:
    import paramiko

_PAUSE = 0.25
_GRACE = 6.0
"""Seconds in which a server frees the session of a command that has ended."""


class Sessions:
    """Opens sessions on `connection`, waiting for one where the server allows no more."""

    def __init__(self, connection: paramiko.Transport, host: str, limit: limits.Limits) -> None:
        self.connection = connection
        self.link = link.of(connection)
        self._host = host
        self._limit = limit
        self._change = threading.Condition()
        self._passing = 0
        self._lasting = 0

    @property
    def active(self) -> bool:
        """Whether the connection stands."""
        return bool(self.connection.is_active())

    def open(self, *, lasting: bool = False) -> paramiko.Channel:
        """Return a session, to be given back to `close`.

        `lasting`: it stays open, as the one that holds the lock, so nobody waits
        for its end. Raises `errors.ConnectError`, and what paramiko raises on a
        connection that is gone.
        """
        paramiko = handshake.library()
        alone_since: float | None = None
        while True:
            try:
                channel = self.connection.open_session(timeout=self._limit.answer)
            except paramiko.SSHException as error:
                # When two are refused at once, paramiko has the reason for one only.
                timeout = "timeout" in str(error).lower()
                if timeout or not self.active:
                    raise
                with self._change:
                    if self._passing:
                        alone_since = None
                        self._change.wait(self._limit.answer)
                    else:
                        alone_since = alone_since or time.monotonic()
                        if time.monotonic() - alone_since > _GRACE:
                            raise self._refused(error) from error
                        self._change.wait(_PAUSE)
                continue
            with self._change:
                if lasting:
                    self._lasting += 1
                else:
                    self._passing += 1
            return channel

    def close(self, channel: paramiko.Channel, *, lasting: bool = False) -> None:
        """Close a session of `open`."""
        try:
            channel.close()
        finally:
            with self._change:
                if lasting:
                    self._lasting -= 1
                else:
                    self._passing -= 1
                self._change.notify_all()

    def another(self) -> bool:
        """Return whether the server opens one more session now."""
        try:
            self.connection.open_session(timeout=self._limit.answer).close()
        except handshake.library().SSHException as error:
            if not self.active:
                raise
            return "timeout" in str(error).lower()  # else it is refused
        return True

    def _refused(self, error: Any) -> errors.ConnectError:
        if self._lasting:
            summary = f"{self._host} opens no second session beside the one that holds the lock"
        else:
            summary = f"{self._host} accepted the login but opens no session"
        return errors.ConnectError(
            summary,
            host=self._host,
            detail=str(error),
            hint=preflight.max_sessions(self._host) + ", then run the same command again",
        )
