"""HTTP and HTTPS in front of a `Catalog`, with a certificate for every host of it."""

from __future__ import annotations

import http.server
import socket
import ssl
import threading
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from provision.sandbox.charts.catalog import Catalog
from provision.sandbox.forge import authority


class Certificates:
    """The certificates for the hosts of `catalog`, signed by the authority in `root`."""

    def __init__(self, root: Path, address: str, catalog: Catalog) -> None:
        self._root = root
        self._catalog = catalog
        self._lock = threading.Lock()
        self._made: dict[str, ssl.SSLContext] = {}
        self.default = authority.context(root, address)
        self.default.sni_callback = self._choose

    def _choose(self, connection: Any, host: str | None, _: ssl.SSLContext) -> int | None:
        if host is None or host not in self._catalog.hosts():
            return None  # the certificate for the address, which no client takes for the host
        with self._lock:
            if host not in self._made:
                self._made[host] = authority.context(self._root, host)
            connection.context = self._made[host]
        return None


class Server(http.server.ThreadingHTTPServer):
    """A listener at `at`; with `certificates`, over TLS."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(
        self, at: tuple[str, int], catalog: Catalog, certificates: Certificates | None
    ) -> None:
        self.catalog = catalog
        self.scheme = "https" if certificates else "http"
        super().__init__(at, _Handler)
        if certificates:
            # The handshake is at the first read, in the connection's own thread.
            self.socket: socket.socket = certificates.default.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a connection that the client broke."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    timeout = 60
    server: Server  # pyright: ignore[reportIncompatibleVariableOverride]

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the catalog lists what was fetched."""

    def _answer(self) -> None:
        host = (self.headers.get("Host") or "").rpartition(":")[0] or self.headers.get("Host") or ""
        path = unquote(urlsplit(self.path).path)
        answer = self.server.catalog.answer(self.server.scheme, host.lower(), path)
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.body)))
        for name, value in answer.headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def do_GET(self) -> None:
        """Answer a request."""
        self._answer()

    def do_HEAD(self) -> None:
        """Answer a request without the body."""
        self._answer()
