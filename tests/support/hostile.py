"""A server on loopback that answers as a table says, and keeps what it was sent."""

from __future__ import annotations

import contextlib
import gzip
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One answer. `drip`: seconds between its bytes; `endless`: the body never ends."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict[str, str])
    drip: float = 0.0
    endless: bool = False


def reply(data: Any, status: int = 200, **headers: str) -> Reply:
    """Return an answer of JSON."""
    return Reply(status=status, body=json.dumps(data).encode(), headers=headers)


def redirect(status: int, location: str) -> Reply:
    """Return a redirect."""
    return Reply(status=status, body=b"{}", headers={"Location": location})


def bomb(size: int) -> Reply:
    """Return a small answer that unpacks to `size` bytes."""
    body = gzip.compress(b"[" + b" " * size + b"]")
    return Reply(body=body, headers={"Content-Encoding": "gzip"})


HTML = Reply(body=b"<html><body>Please log in</body></html>", headers={"Content-Type": "text/html"})

Answer = Callable[[str, str], Reply]
"""What to answer to a method and a path with its query."""


class Server:
    """Answers with `answer`; `calls` are the methods and paths, `tokens` the credentials sent."""

    def __init__(self, answer: Answer, tls: ssl.SSLContext | None = None) -> None:
        self.answer = answer
        self.connections = 0
        self.calls: list[str] = []
        self.tokens: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                outer.connections += 1
                super().setup()

            wbufsize = 1 << 16  # head and body in one packet, or each waits for an ACK

            def handle_one_request(self) -> None:
                with contextlib.suppress(ConnectionError, ssl.SSLError):
                    super().handle_one_request()

            def log_message(self, *_: object) -> None:
                pass

            def _any(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                self.rfile.read(length)
                outer.calls.append(f"{self.command} {self.path}")
                if self.headers.get("Authorization"):
                    outer.tokens.append(self.headers["Authorization"])
                found = outer.answer(self.command, self.path)
                self.send_response(found.status)
                for name, value in found.headers.items():
                    self.send_header(name, value)
                if not found.endless:
                    self.send_header("Content-Length", str(len(found.body)))
                self.end_headers()
                self._send(found)

            def _send(self, found: Reply) -> None:
                if found.endless:
                    self.close_connection = True
                    while True:
                        self.wfile.write(found.body)
                if not found.drip:
                    self.wfile.write(found.body)
                    return
                for byte in found.body:
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()
                    time.sleep(found.drip)

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _any  # noqa: N815

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        scheme = "http" if tls is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextlib.contextmanager
def serve(answer: Answer, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """Give a server that answers with `answer`; with `tls` over HTTPS."""
    server = Server(answer, tls)
    try:
        yield server
    finally:
        server.close()
