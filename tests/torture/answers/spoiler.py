"""A server between elysium and the forge: passes calls on, and spoils the answer to one."""

from __future__ import annotations

import contextlib
import http.client
import threading
import time
import urllib.parse
from collections.abc import Callable, Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.torture.answers.kinds import Answer

Spoil = Callable[[Answer], Answer]
_PIECE = 64


class Spoiler:
    """`calls` are the calls so far. `spoil` makes the answer to the call number `at`.

    With `unheard` the forge does not get that call: the answer comes before any effect.
    """

    def __init__(self, forge: str) -> None:
        self.calls: list[str] = []
        self.statuses: list[int] = []
        self.at = -1
        self.spoil: Spoil | None = None
        self.unheard = False
        self._lock = threading.Lock()
        self._to = urllib.parse.urlsplit(forge)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def _any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                with outer._lock:
                    number = len(outer.calls)
                    outer.calls.append(f"{self.command} {self.path.partition('?')[0]}")
                spoiled = number == outer.at and outer.spoil is not None
                answer = Answer(status=200, body=b"{}")
                if not (spoiled and outer.unheard):
                    answer = outer._pass(self.command, self.path, body, dict(self.headers))
                if spoiled and outer.spoil is not None:
                    answer = outer.spoil(answer)
                self.close_connection = True
                with contextlib.suppress(ConnectionError):
                    self._send(answer)

            def _send(self, answer: Answer) -> None:
                data = answer.encoded()
                if not answer.pause:
                    self.wfile.write(data)
                    return
                for start in range(0, len(data), max(_PIECE, len(data) // 10)):
                    self.wfile.write(data[start : start + max(_PIECE, len(data) // 10)])
                    self.wfile.flush()
                    time.sleep(answer.pause)

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _any  # noqa: N815

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"http://{self.host}{self._to.path}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def _pass(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        connection = http.client.HTTPConnection(self._to.netloc, timeout=60)
        kept = {k: v for k, v in headers.items() if k.lower() not in ("host", "connection")}
        try:
            connection.request(method, path, body or None, {**kept, "Accept-Encoding": "identity"})
            found = connection.getresponse()
            content = found.read()
        finally:
            connection.close()
        dropped = ("content-length", "connection", "transfer-encoding", "date", "server")
        answered = {k: v for k, v in found.getheaders() if k.lower() not in dropped}
        return Answer(status=found.status, headers=answered, body=content)

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextlib.contextmanager
def before(forge: str) -> Generator[Spoiler]:
    """Give a server before the forge whose API is at the address `forge`."""
    made = Spoiler(forge)
    try:
        yield made
    finally:
        made.close()
