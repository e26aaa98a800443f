"""Whether the server at the other end of an SSH connection still answers.

paramiko waits for ever on a link that went dead without a word. `Link` is the
stream below one connection. It counts the time without a message from the
server, and breaks the connection when that is too long. A thread asks a server
that is silent for an answer, with the request that OpenSSH's client sends for
``ServerAliveInterval``: RFC 4254 has every server answer it, whatever the node
is busy with.

Messages count, not bytes: after a damaged length, the rest of the stream is
one message that never ends.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from provision.host import limits

_REQUEST = "keepalive@openssh.com"
_STEP = 1.0
"""Seconds that one look may add: while this process was stopped, nobody listened."""


def words(error: Exception) -> str:
    """Return what an error of a connection says. An EOFError says nothing by itself."""
    silent = "the other end closed it" if isinstance(error, EOFError) else type(error).__name__
    return str(error) or silent


class DeadLinkError(ConnectionError):
    """The server did not answer for too long."""


class Link:
    """The stream of one connection, for paramiko to read and write.

    It fails by itself in both directions once the link is dead, so that no
    thread stays in paramiko. Other attributes are those of the stream.
    """

    def __init__(self, stream: Any, limit: limits.Limits) -> None:
        """Take over `stream`, a socket or a channel of a jump host."""
        self._stream = stream
        self._limit = limit
        self._guard = threading.Lock()
        self._looked = time.monotonic()
        self._silent = 0.0
        self._watched = False
        self._closing = threading.Event()
        self._beats: list[Callable[[], None]] = []
        self.dead = ""
        self.reason = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @property
    def silent(self) -> float:
        """Seconds since the last message of the server."""
        return self._silent

    def recv(self, size: int) -> bytes:
        """Return bytes of the server; raises `DeadLinkError`."""
        try:
            return self._stream.recv(size)  # type: ignore[no-any-return]
        finally:
            self._look()

    def send(self, data: bytes) -> int:
        """Send some of `data`, and return how much; raises `DeadLinkError`."""
        try:
            return self._stream.send(data)  # type: ignore[no-any-return]
        finally:
            self._look()

    def close(self) -> None:
        """Close the stream, and end the thread that watches it."""
        self._closing.set()
        with contextlib.suppress(Exception):  # through a jump host that is gone itself
            self._stream.close()

    def heard(self) -> None:
        """Note that a whole message of the server arrived."""
        with self._guard:
            self._looked, self._silent = time.monotonic(), 0.0

    def watch(self, connection: Any) -> None:
        """Watch the link from now on. `connection` is logged in: before, servers do not answer."""
        self.heard()
        self._watched = True
        threading.Thread(
            target=self._ask, args=(connection,), name="elysium-ssh-link", daemon=True
        ).start()

    def beat(self, signal: Callable[[], None]) -> None:
        """Call `signal` about as often as a silent server is asked, until it raises."""
        self._beats.append(signal)

    def answers(self, connection: Any, seconds: float) -> bool:
        """Return whether the server answers now; `seconds` bounds the wait."""
        heard = threading.Event()

        def ask() -> None:
            with contextlib.suppress(Exception):  # the connection tells those who use it
                connection.global_request(_REQUEST, wait=True)
                if connection.is_active():
                    heard.set()

        if not connection.is_active():
            return False
        threading.Thread(target=ask, name="elysium-ssh-answer", daemon=True).start()
        return heard.wait(seconds)

    def _look(self) -> None:
        now = time.monotonic()
        with self._guard:
            self._silent += min(now - self._looked, _STEP)
            self._looked = now
        if self.dead or (self._watched and self._silent >= self._limit.silence):
            if not self.dead:
                self.reason = _reason(self._stream)
                self.dead = f"no answer for {self._limit.silence:g} s"
            # Not ETIMEDOUT: paramiko tries again after a TimeoutError.
            raise DeadLinkError(errno.ECONNABORTED, self.dead)

    def _ask(self, connection: Any) -> None:
        """Ask the server for an answer whenever it is silent. Its own thread."""
        last = time.monotonic()
        while not self._closing.wait(min(self._limit.ping / 4, 1)) and connection.is_active():
            if time.monotonic() - last >= self._limit.ping:
                last = time.monotonic()
                self._signal()
            if self._silent >= self._limit.ping:
                with contextlib.suppress(Exception):
                    connection.global_request(_REQUEST, wait=True)

    def _signal(self) -> None:
        for signal in list(self._beats):
            try:
                signal()
            except Exception:  # noqa: BLE001 - its channel is closed
                self._beats.remove(signal)


def packetizer(paramiko: Any) -> Any:
    """Return paramiko's reader of messages, which tells its `Link` of each."""

    class Packetizer(paramiko.packet.Packetizer):  # type: ignore[misc, name-defined]
        def __init__(self, stream: Any) -> None:
            super().__init__(stream)
            self._link = stream

        def read_message(self) -> Any:
            message = super().read_message()
            self._link.heard()
            return message

    return Packetizer


def of(connection: Any) -> Link:
    """Return the link below a connection of `provision.host.handshake.negotiate`."""
    link: Link = connection.sock
    return link


def _reason(stream: Any) -> str:
    """Return what the kernel knows of a dead link, in a sentence.

    Nothing where the system does not tell, or the stream runs through a jump host.
    """
    option = getattr(socket, "TCP_INFO", None)
    if sys.platform != "linux" or option is None or not isinstance(stream, socket.socket):
        return ""
    try:
        info = stream.getsockopt(socket.IPPROTO_TCP, option, 8)
    except OSError:
        return ""
    # struct tcp_info: state, ca_state, retransmits, probes, …
    if info[2] or info[3]:
        return "no packet is acknowledged: the network or the machine is down"
    return "packets are acknowledged, so the machine, or a proxy on the way to it, hangs"
