"""HTTP to one API server: connections, and failures in our words.

The only module of this folder that knows the HTTP library.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from provision import errors, transfer
from provision.kube import answers, failures, kubeconfig

if TYPE_CHECKING:
    import httpx2

LIMIT = 64 * 1024 * 1024
"""Bytes of one answer, unpacked."""
BODY_TIME = 60.0
"""Seconds for a whole answer, beyond the timeout without a byte and what its bytes need."""


class Tunnel(Protocol):
    """What knows another way to an API server than a connection of its own."""

    def socket_for(self, server: str) -> str:
        """Return the path of a Unix socket that leads to `server`; empty: go directly."""
        ...

    def reason(self, server: str) -> str:
        """Return why there is no such way although it was looked for, or nothing."""
        ...


class Wire:
    """Kept connections to one endpoint. Safe in threads. Opened at the first request."""

    def __init__(
        self, endpoint: kubeconfig.Endpoint, *, timeout: float, tunnel: Tunnel | None = None
    ) -> None:
        """Bound each request by `timeout` seconds."""
        self._endpoint = endpoint
        self._timeout = timeout
        self._tunnel = tunnel
        self._lock = threading.Lock()
        self._http: httpx2.Client | None = None

    def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        with self._lock:
            if self._http:
                self._http.close()
                self._http = None

    def __del__(self) -> None:
        """Close what no one closed, so that no socket is left to the collector."""
        if getattr(self, "_http", None) is not None:
            self.close()

    def ask(
        self,
        method: str,
        url: str,
        what: str,
        *,
        params: Mapping[str, str | None] | None = None,
        body: str | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
        absent: bool = False,
        hide: tuple[str, ...] = (),
    ) -> answers.Answer | None:
        """Send one request and return the JSON answer; None for a 404 when `absent` is fine.

        `what` is the clause an error begins with; `hide` are texts that no
        error may quote. No redirect is followed: the credentials belong to this
        server. Raises `errors.KubeError`.
        """
        import httpx2

        # Compressed only in the way that `transfer` can bound.
        headers = {"Accept": accept, "Accept-Encoding": "gzip"}
        if body is not None:
            headers["Content-Type"] = content_type
        client = self._client(what)
        pace = transfer.Pace(self._timeout + BODY_TIME, size=len(body or ""))

        def exchange() -> tuple[int, Mapping[str, str], bytes]:
            try:
                with client.stream(
                    method, url, params=_present(params or {}), content=body, headers=headers
                ) as answer:
                    source = self._source(what, url, answer.status_code)
                    return answer.status_code, answer.headers, _body(answer, source, pace)
            finally:
                if pace.over:
                    client.close()

        try:
            status, received, content = transfer.within(pace, exchange)
        except httpx2.TransportError as error:
            words = str(error) or type(error).__name__
            tls = "CERTIFICATE_VERIFY_FAILED" in words
            if self._tunnel is not None and not tls:
                self._forget(client)  # the next request may find another way
            raise self._unreachable(what, words, tls=tls) from error
        except TimeoutError as error:
            self._forget(client)
            words = f"the answer was not complete after {pace.spent:.0f} s"
            raise self._unreachable(what, words) from error
        source = self._source(what, url, status)
        if status == 404 and absent and answers.is_absent(content):
            return None
        if status == 404 and absent:
            source.wrong("it is no 404 of the API", content.decode("utf-8", "replace"))
        if status >= 400:
            text = content.decode("utf-8", "replace")
            raise failures.refused(what, status, text, hide, address=source.address)
        if status not in answers.EXPECTED[method]:
            target = received.get("location", "").partition("?")[0]
            source.wrong(f"a redirect to {target}" if target else "the status is not expected")
        return answers.Answer(data=answers.parse(content, source), source=source)

    def _unreachable(self, what: str, words: str, *, tls: bool = False) -> errors.KubeError:
        server = self._endpoint.server
        if self._tunnel is not None and (reason := self._tunnel.reason(server)):
            words = f"{words}\nover SSH: {reason}"
        return failures.unreachable(what, server, words, tls=tls, proxy=self._endpoint.proxy)

    def _source(self, what: str, url: str, status: int) -> answers.Source:
        return answers.Source(what=what, address=self._endpoint.server + url, status=status)

    def _forget(self, client: httpx2.Client) -> None:
        """Open new connections for the next request: one of these is stuck."""
        with self._lock:
            if self._http is client:
                self._http = None

    def _client(self, what: str) -> httpx2.Client:
        with self._lock:
            if self._http is None:
                import httpx2

                try:
                    self._http = self._made()
                except (ImportError, ValueError, OSError, httpx2.InvalidURL) as error:
                    # The address of a proxy that cannot be read may hold a password anywhere.
                    words = "" if isinstance(error, httpx2.InvalidURL) else str(error)
                    raise failures.environment(what, self._endpoint.server, words) from error
            return self._http

    def _made(self) -> httpx2.Client:
        import httpx2

        # A connection that the server closed while idle is opened again by the
        # transport; retries concern connecting only, so nothing is sent twice.
        tls: Any = self._endpoint.tls if self._endpoint.tls else False
        server = self._endpoint.server
        path = self._tunnel.socket_for(server) if self._tunnel is not None else ""
        return httpx2.Client(
            base_url=server,
            headers={**self._endpoint.headers, "User-Agent": "elysium"},
            verify=tls,
            timeout=self._timeout,
            proxy=None if path else self._endpoint.proxy or None,
            # With a transport of its own no proxy of the environment is taken.
            transport=httpx2.HTTPTransport(verify=tls, uds=path) if path else None,
            event_hooks={"request": [_sni(self._endpoint.tls_server_name)]}
            if self._endpoint.tls_server_name
            else None,
        )


def _body(answer: httpx2.Response, source: answers.Source, pace: transfer.Pace) -> bytes:
    try:
        return transfer.read(
            answer.iter_raw(),
            encoding=answer.headers.get("content-encoding", ""),
            limit=LIMIT,
            pace=pace,
        )
    except transfer.TooLargeError as error:
        raise errors.KubeError(
            f"{source.what}: {source.address} answered {source.status} with {error},"
            " which is the limit",
            status=source.status,
            reason="TooLarge",
            hint="is another server or a proxy at this address?",
        ) from error
    except transfer.EncodingError as error:
        source.wrong(str(error))


def _sni(name: str) -> Callable[[Any], None]:
    def hook(request: Any) -> None:
        request.extensions = {**request.extensions, "sni_hostname": name}

    return hook


def _present(params: Mapping[str, str | None]) -> dict[str, str]:
    return {key: value for key, value in params.items() if value is not None}
