"""An SSH server in this process, for what a login tries and in which order.

It does as OpenSSH's sshd: every refused key counts, and the connection ends with
`max_tries` of them. It serves no commands.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import paramiko


@dataclass
class Server:
    """A running server. `tried` are fingerprints of keys and "password", one list a connection."""

    port: int
    key: paramiko.PKey
    accepts: frozenset[bytes] = frozenset()
    password: str = ""
    max_tries: int = 6
    tried: list[list[str]] = field(default_factory=list[list[str]])

    @property
    def line(self) -> str:
        """The host key, as it is pinned."""
        return f"{self.key.get_name()} {self.key.get_base64()}"


class _Interface(paramiko.ServerInterface):
    def __init__(self, server: Server, transport: paramiko.Transport) -> None:
        self._server, self._transport = server, transport
        self._mine: list[str] = []
        server.tried.append(self._mine)

    def get_allowed_auths(self, username: str) -> str:
        return "publickey,password" if self._server.password else "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        self._mine.append(key.fingerprint)
        return self._verdict(key.asbytes() in self._server.accepts)

    def check_auth_password(self, username: str, password: str) -> int:
        self._mine.append("password")
        return self._verdict(bool(self._server.password) and password == self._server.password)

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED

    def _verdict(self, good: bool) -> int:
        if good:
            return paramiko.AUTH_SUCCESSFUL
        if len(self._mine) >= self._server.max_tries:
            self._transport.close()  # sshd: "Too many authentication failures"
        return paramiko.AUTH_FAILED


@contextlib.contextmanager
def running(**options: Any) -> Iterator[Server]:
    """Yield a server with `options`; it ends with the block."""
    listener = socket.create_server(("127.0.0.1", 0))
    key = paramiko.ECDSAKey.generate()
    server = Server(port=listener.getsockname()[1], key=key, **options)
    opened: list[paramiko.Transport] = []

    def serve() -> None:
        while True:
            try:
                accepted, _ = listener.accept()
            except OSError:
                return
            transport = paramiko.Transport(accepted)
            transport.add_server_key(key)
            opened.append(transport)
            with contextlib.suppress(paramiko.SSHException, EOFError):
                transport.start_server(
                    server=_Interface(server, transport), event=threading.Event()
                )

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for transport in opened:
            transport.close()
        thread.join(5)
