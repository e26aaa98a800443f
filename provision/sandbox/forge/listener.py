"""HTTP: parsing, authentication, limits, faults, the answer and the call log.

Standard library's threading server with HTTP/1.1 keep-alive and without
Nagle's delay. Headers of every answer: "Getting started with the REST API"
(``X-GitHub-Request-Id``, ``X-GitHub-Media-Type``), "API Versions", "Rate limits
for the REST API", "Troubleshooting the REST API".
"""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import json
import socket
import ssl
import struct
import sys
import time
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

from provision.sandbox.forge import (
    access,
    admin,
    app,
    authority,
    callers,
    faults,
    githttp,
    incoming,
    media,
    messages,
    routing,
)
from provision.sandbox.forge.routes import TABLE, archives

_VERSIONS = ("2022-11-28", "2026-03-10")
_ENTERPRISE = "/api/v3"


class Server(http.server.ThreadingHTTPServer):
    """The listening server of one forge."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, forge: app.Forge) -> None:
        self.forge = forge
        host = forge.options.api_host
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, forge.options.api_port), Handler)
        self.scheme = "https" if forge.options.tls else "http"
        name = f"[{host}]" if ":" in host else host
        self.address = f"{name}:{self.server_address[1]}"
        if forge.options.tls:
            # The handshake is at the first read, in the connection's own thread.
            self.socket = authority.context(forge.root, host).wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore connections that the client broke; log the rest as calls."""
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError | TimeoutError | ValueError | ssl.SSLError):
            self.forge.calls.append(method="", path="", status=500, error=repr(error))


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Server  # pyright: ignore[reportIncompatibleVariableOverride]
    _no_content: ClassVar[frozenset[int]] = frozenset({204, 304})

    def version_string(self) -> str:
        """Return the ``Server`` header."""
        return "github.com"

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the call log has it."""

    def _handle(self) -> None:
        started = time.monotonic()
        split = urlsplit(self.path)
        if githttp.is_git(split.path):
            self._git(split.path, split.query)
            return
        try:
            data = incoming.read(self.rfile, self.headers)
        except messages.ApiError as error:
            self._refuse(error, split.path, started)
            return
        if split.path.startswith(admin.PREFIX):
            secret = self.headers.get("X-Forge-Admin", "")
            answer = admin.handle(self.server.forge, self.command, split.path, secret, data)
            self._send(answer, {})
            return
        prefix, path = _located(split.path)
        shown = f"{path}?{split.query}" if split.query else path
        # The answer to HEAD is that to GET, without its body (RFC 9110, section 9.3.2).
        method = "GET" if self.command == "HEAD" else self.command
        call = _Call(self.server.forge, method, path, dict(parse_qsl(split.query)))
        fault = self.server.forge.faults.match(self.command, shown)
        answer: messages.Response | None = None
        if fault is None or fault.when == "after" or fault.action == "delay":
            if fault is not None and fault.action == "delay":
                self.server.forge.stopping.wait(fault.seconds)
            answer = call.answer(f"{self._site()}{prefix}", self.headers, data)
        if fault is not None and fault.action == "respond":
            answer = messages.Response(
                status=fault.status, body=fault.answer(), headers=fault.headers
            )
        broken = fault is not None and fault.action in ("hang", "reset", "close")
        self.server.forge.calls.append(
            method=self.command,
            path=shown,
            status=0 if broken or answer is None else answer.status,
            seconds=round(time.monotonic() - started, 4),
            token=call.kind,
            **({"unknown": True} if call.unknown else {}),
            **({"fault": fault.id, "action": fault.action} if fault else {}),
        )
        if fault is not None and broken:
            self._break(fault)
        elif answer is not None:
            self._send(answer, call.headers)

    def _git(self, path: str, query: str) -> None:
        """Answer a Git client. The log of Git has it, not that of the API's calls."""
        forge = self.server.forge
        try:
            found = githttp.answer(forge, self.command, path, query, self.headers, self.rfile)
        except messages.ApiError as error:
            self.close_connection = True
            found = githttp.Answer(status=error.status, content=f"{error}\n".encode())
        self._send(
            messages.Response(status=found.status, content=found.content, headers=found.headers), {}
        )

    def _site(self) -> str:
        """Return the forge's address as the caller wrote it, with the scheme of this server."""
        written = urlsplit(self.path)
        host = written.netloc or self.headers.get("Host") or self.server.address
        return f"{self.server.scheme}://{host}"

    def _refuse(self, error: messages.ApiError, path: str, started: float) -> None:
        """Answer a request whose body could not be read; the connection ends with it."""
        self.close_connection = True
        self.server.forge.calls.append(
            method=self.command,
            path=path,
            status=error.status,
            seconds=round(time.monotonic() - started, 4),
            error=str(error),
        )
        self._send(
            messages.Response(
                status=error.status, body=error.body, headers={"Connection": "close"}
            ),
            {},
        )

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = do_HEAD = _handle  # noqa: N815

    def _break(self, fault: faults.Fault) -> None:
        if fault.action == "hang":
            self.server.forge.stopping.wait(fault.seconds)
        if fault.action == "reset":
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()
        self.close_connection = True

    def _send(self, answer: messages.Response, extra: dict[str, str]) -> None:
        data = answer.content if answer.body is None else json.dumps(answer.body).encode()
        status = answer.status
        headers = {**extra, **answer.headers}
        if status == 200 and data and self.command in ("GET", "HEAD") and extra:
            tag = f'W/"{hashlib.sha256(data).hexdigest()}"'
            headers["ETag"] = tag
            if self.headers.get("If-None-Match") == tag:
                status, data = 304, b""
        self.send_response(status)
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        if status not in self._no_content:
            if "Content-Type" not in headers:
                self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
        with contextlib.suppress(ConnectionError):
            self.wfile.flush()


class _Call:
    """One API call on its way to its answer; `kind` and `unknown` are for the log."""

    def __init__(self, forge: app.Forge, method: str, path: str, query: dict[str, str]) -> None:
        self._forge = forge
        self._method = method
        self._path = path
        self._query = query
        self.kind = "none"
        self.unknown = False
        self.headers = {
            "X-GitHub-Media-Type": media.Media().header,
            "Vary": "Accept, Authorization, Cookie, X-GitHub-OTP, Accept-Encoding",
        }

    def answer(self, base: str, headers: Any, data: bytes) -> messages.Response:
        number = hashlib.sha256(f"{time.time_ns()}{id(self)}".encode()).hexdigest()[:16].upper()
        self.headers["X-GitHub-Request-Id"] = number
        try:
            return self._answer(base, headers, data)
        except messages.ApiError as error:
            return messages.Response(status=error.status, body=error.body)
        except Exception as error:  # noqa: BLE001  one bad call must not end the forge
            self._forge.calls.append(method=self._method, path=self._path, error=repr(error))
            return messages.Response(status=500, body={"message": "Server Error"})

    def _answer(self, base: str, headers: Any, data: bytes) -> messages.Response:
        forge = self._forge
        if self._path.startswith(archives.PREFIX):
            return archives.download(forge, self._query.get("token", ""))
        version = headers.get("X-GitHub-Api-Version") or _VERSIONS[0]
        if version not in _VERSIONS:
            raise messages.ApiError(400, f"{version} is not a valid API version")
        self.headers["X-GitHub-Api-Version-Selected"] = version
        found = TABLE.find(self._method, self._path)
        self.unknown = found is None
        authorization = headers.get("Authorization") or ""
        if found is not None and found[0].app:
            caller, self.kind = callers.Caller(), "jwt"
        else:
            self.kind = "bad"
            caller = forge.tokens.caller(authorization)
            self.kind = caller.kind
        self.headers |= caller.headers()
        identity = caller.token.id if caller.token else ""
        if self._path != "/rate_limit":
            try:
                forge.limits.count(identity)
            finally:
                self.headers |= forge.limits.window(identity).headers()
        if found is None:
            raise messages.not_found()
        route, names = found
        wanted = self._media(route, headers)
        self.headers["X-GitHub-Media-Type"] = wanted.header
        self.headers |= access.accepted_headers(
            caller, permission=route.permission, scopes=route.scopes
        )
        request = messages.Request(
            path=self._path,
            base=base,
            query=self._query,
            body=_body(data, route),
            caller=caller,
            media=wanted,
            names={**names, **({"authorization": authorization} if route.app else {})},
        )
        if route.repository_handler is None:
            if route.handler is None:
                raise messages.not_found()
            return route.handler(forge, request)
        target = forge.target(names["owner"], names["repo"].removesuffix(".git"))
        if target is None:
            raise messages.not_found(route.documentation)
        access.check(
            caller, target.record, permission=route.permission, documentation=route.documentation
        )
        if target.record.archived and self._method != "GET":
            raise messages.ApiError(
                403, "Repository was archived so is read-only.", documentation=route.documentation
            )
        return route.repository_handler(forge, request, target)

    def _media(self, route: routing.Route, headers: Any) -> media.Media:
        """Return what the caller accepts; in the log, what GitHub serves here is unknown."""
        accept = ", ".join(headers.get_all("Accept") or ())
        try:
            return media.choose(accept, route.media, route.unrendered)
        except media.NotAcceptableError as error:
            with contextlib.suppress(media.NotAcceptableError):
                media.choose(accept, (*route.media, *route.unrendered))
                self.unknown = True
            raise messages.ApiError(415, str(error), documentation=media.DOCUMENTATION) from error


def _located(path: str) -> tuple[str, str]:
    """Return the prefix of an address and the call's path behind it."""
    if path == _ENTERPRISE or path.startswith(_ENTERPRISE + "/"):
        return _ENTERPRISE, path.removeprefix(_ENTERPRISE) or "/"
    return "", path or "/"


def _body(data: bytes, route: routing.Route) -> dict[str, Any]:
    if not data:
        return {}
    try:
        body = json.loads(data)
    except ValueError as error:
        raise messages.ApiError(
            400, "Problems parsing JSON", documentation=route.documentation
        ) from error
    if body is None:  # Flux' login as an App sends `null`, and GitHub takes it for no body
        return {}
    if not isinstance(body, dict):
        raise messages.ApiError(
            400, "Body should be a JSON object", documentation=route.documentation
        )
    return body
