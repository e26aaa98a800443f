"""An SSH server in this process, for what a login tries and in which order.

It does as OpenSSH's sshd: every refused key counts, and the connection ends with
`max_tries` of them. It serves no commands.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
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
    asks: Callable[[int], tuple[str, ...] | None] | None = None
    """The prompts of a round of questions instead of the password; None: let in."""
    pause: float = 0.0
    """Seconds before each answer to a key or password."""
    tried: list[list[str]] = field(default_factory=list[list[str]])

    @property
    def line(self) -> str:
        """The host key, as it is pinned."""
        return f"{self.key.get_name()} {self.key.get_base64()}"


class _Interface(paramiko.ServerInterface):
    def __init__(self, server: Server, transport: paramiko.Transport) -> None:
        self._server, self._transport = server, transport
        self._mine: list[str] = []
        self._rounds = 0
        server.tried.append(self._mine)

    def get_allowed_auths(self, username: str) -> str:
        if self._server.asks:
            return "publickey,keyboard-interactive"
        return "publickey,password" if self._server.password else "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        certified = "certificate " if getattr(key, "public_blob", None) is not None else ""
        self._mine.append(certified + key.fingerprint)
        return self._verdict(key.asbytes() in self._server.accepts)

    def check_auth_password(self, username: str, password: str) -> int:
        self._mine.append("password")
        return self._verdict(bool(self._server.password) and password == self._server.password)

    def check_auth_interactive(self, username: str, submethods: str) -> Any:
        return self._next()

    def check_auth_interactive_response(self, responses: list[str]) -> Any:
        self._mine += responses
        return self._next()

    def _next(self) -> Any:
        assert self._server.asks is not None
        prompts = self._server.asks(self._rounds)
        self._rounds += 1
        if prompts is None:
            return paramiko.AUTH_SUCCESSFUL
        time.sleep(self._server.pause)
        return paramiko.InteractiveQuery("", "", *((prompt, False) for prompt in prompts))

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED

    def _verdict(self, good: bool) -> int:
        time.sleep(self._server.pause)
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
