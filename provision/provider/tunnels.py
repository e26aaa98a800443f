"""Whether the Kubernetes API is reached directly or over the node's SSH connection."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from provision import config, errors
from provision.kube import proxies

if TYPE_CHECKING:
    from provision.host.forward import Forward
    from provision.host.session import NodeSession

PATIENCE = 3.0
"""Seconds for a direct connection before the SSH connection is tried."""


class Tunnels:
    """The tunnels of one run, each opened when it is first needed. Safe in threads."""

    def __init__(
        self, settings: Callable[[], config.Config], session: Callable[[str], NodeSession]
    ) -> None:
        """`settings` returns the configuration, `session` the shared session of a node."""
        self._settings = settings
        self._session = session
        self._lock = threading.Lock()
        self._open: dict[str, Forward] = {}
        self._reasons: dict[str, str] = {}

    def socket_for(self, server: str, *, unanswered: bool = False) -> str:
        """Return the socket that leads to the API `server`; empty: it is reached directly.

        Only the API of a node of the configuration has a tunnel. `unanswered`: the caller
        knows already that it does not answer from here.
        """
        mode = self._settings().kube.tunnel
        if mode == "never":
            return ""
        with self._lock:
            if server in self._open:
                return self._open[server].path
            host, port = _address(server)
            node = node_at(self._settings(), host)
            if node is None:
                return ""
            decided = unanswered or mode == "always"
            if not decided and (proxies.of(server) or answers(host, port)):
                return ""
            from provision.host import forward

            try:
                made = forward.Forward(self._session(node).transport, ("127.0.0.1", host), port)
            except errors.RemoteError as error:
                self._reasons[server] = f"{error.summary}: {error.detail}".rstrip(": ")
                return ""
            self._open[server] = made
            return made.path

    def reason(self, server: str) -> str:
        """Return why there is no tunnel to `server` although one was tried."""
        return self._reasons.get(server, "")

    def close(self) -> None:
        """Close all tunnels. Later uses open them again."""
        with self._lock:
            for made in self._open.values():
                made.close()
            self._open.clear()


def node_at(cfg: config.Config, host: str) -> str | None:
    """Return the name of the node that is reached at `host`."""
    from provision.host import reach

    for node in cfg.nodes:
        names = {reach.api_address(node), node.host}
        if host.lower() in {name.lower() for name in names}:
            return node.name
    return None


def answers(host: str, port: int) -> bool:
    """Return whether something takes connections there, from here, within `PATIENCE`."""
    with contextlib.suppress(OSError):
        socket.create_connection((host, port), timeout=PATIENCE).close()
        return True
    return False


def _address(server: str) -> tuple[str, int]:
    parts = urlsplit(server)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
