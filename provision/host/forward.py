"""A port of a node, brought here over its SSH connection as a Unix socket.

Only the user of this process can open the socket: its folder is private. Bytes
are passed on as they are; who speaks through it proves itself at both ends.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import socket
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provision import errors
from provision.host import handshake

if TYPE_CHECKING:
    from provision.host import transport

_LOG = logging.getLogger("elysium.host")
_TIME = 10.0
_CHUNK = 64 * 1024
_PATH_MAX = 90
"""Characters of a socket's path; the kernel's limit is 104 to 108 with the name."""


class Forward:
    """One forwarded port. Safe in threads; `path` is the socket to connect to."""

    def __init__(self, connection: transport.Transport, hosts: tuple[str, ...], port: int) -> None:
        """Forward to the first of `hosts`, as the node sees them, that answers on `port`.

        Raises `errors.ConnectError` where none does, or the server forwards nothing, and
        the errors of connecting.
        """
        self._connection = connection
        self._target, first = self._answering(hosts, port)
        first.close()
        self._folder = Path(tempfile.mkdtemp(prefix="elysium-tunnel-"))
        if len(str(self._folder)) > _PATH_MAX:
            self._folder.rmdir()
            self._folder = Path(tempfile.mkdtemp(prefix="elysium-tunnel-", dir="/tmp"))
        self.path = str(self._folder / "api")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(64)
        threading.Thread(target=self._serve, name="elysium-tunnel", daemon=True).start()

    def close(self) -> None:
        """Take no more connections and remove the socket; safe to call twice."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _answering(self, hosts: tuple[str, ...], port: int) -> tuple[tuple[str, int], Any]:
        refusal: Exception | None = None
        for host in hosts:
            try:
                return (host, port), self._open((host, port))
            except (handshake.library().SSHException, EOFError, OSError) as error:
                refusal = error
        raise errors.ConnectError(
            f"port {port} does not answer through the SSH connection to {self._connection.host}",
            host=self._connection.host,
            detail=str(refusal),
            hint="check that k3s runs there, and AllowTcpForwarding of its SSH server",
        )

    def _open(self, target: tuple[str, int]) -> Any:
        connected = self._connection.connected()
        return connected.open_channel("direct-tcpip", target, ("127.0.0.1", 0), timeout=_TIME)

    def _serve(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._pass_on, args=(accepted,), daemon=True).start()

    def _pass_on(self, accepted: socket.socket) -> None:
        """Carry one connection until both directions have ended."""
        try:
            channel = self._open(self._target)
        except (errors.ElysiumError, handshake.library().SSHException, EOFError, OSError) as error:
            _LOG.debug("nothing is forwarded to %s: %s", self._target, error)
            accepted.close()
            return
        back = threading.Thread(target=_copy, args=(channel, accepted), daemon=True)
        back.start()
        _copy(accepted, channel)
        back.join()
        channel.close()
        accepted.close()


def _copy(source: Any, target: Any) -> None:
    """Copy until `source` ends, then end what is sent to `target`."""
    with contextlib.suppress(OSError, EOFError):
        while data := source.recv(_CHUNK):
            target.sendall(data)
    with contextlib.suppress(OSError, EOFError):
        target.shutdown(socket.SHUT_WR)
