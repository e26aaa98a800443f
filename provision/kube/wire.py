"""HTTP to one API server: connections, and failures in our words.

The only module of this folder that knows the HTTP library.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from provision import errors
from provision.kube import failures, kubeconfig

if TYPE_CHECKING:
    import httpx2


class Wire:
    """Kept connections to one endpoint. Safe in threads. Opened at the first request."""

    def __init__(self, endpoint: kubeconfig.Endpoint, *, timeout: float) -> None:
        """Bound each request by `timeout` seconds."""
        self._endpoint = endpoint
        self._timeout = timeout
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
    ) -> Any:
        """Send one request and return the JSON answer; None for a 404 when `absent` is fine.

        `what` is the clause an error begins with; `hide` are texts that no
        error may quote. Raises `errors.KubeError`.
        """
        import httpx2

        headers = {"Accept": accept}
        if body is not None:
            headers["Content-Type"] = content_type
        try:
            answer = self._client().request(
                method, url, params=_present(params or {}), content=body, headers=headers
            )
        except httpx2.TransportError as error:
            words = str(error) or type(error).__name__
            tls = "CERTIFICATE_VERIFY_FAILED" in words
            raise failures.unreachable(what, self._endpoint.server, words, tls=tls) from error
        if answer.status_code == 404 and absent:
            return None
        if answer.status_code >= 400:
            raise failures.refused(what, answer.status_code, answer.text, hide)
        try:
            return answer.json()
        except ValueError as error:
            raise errors.KubeError(
                f"{what}: {self._endpoint.server} does not answer as a Kubernetes API",
                status=answer.status_code,
                reason="NotKubernetes",
                detail=answer.text[:200],
            ) from error

    def _client(self) -> httpx2.Client:
        with self._lock:
            if self._http is None:
                import httpx2

                # A connection that the server closed while idle is opened again by the
                # transport; retries concern connecting only, so nothing is sent twice.
                tls: Any = self._endpoint.tls if self._endpoint.tls else False
                self._http = httpx2.Client(
                    base_url=self._endpoint.server,
                    headers={**self._endpoint.headers, "User-Agent": "elysium"},
                    verify=tls,
                    timeout=self._timeout,
                    proxy=self._endpoint.proxy or None,
                    event_hooks={"request": [_sni(self._endpoint.tls_server_name)]}
                    if self._endpoint.tls_server_name
                    else None,
                )
            return self._http


def _sni(name: str) -> Callable[[Any], None]:
    def hook(request: Any) -> None:
        request.extensions = {**request.extensions, "sni_hostname": name}

    return hook


def _present(params: Mapping[str, str | None]) -> dict[str, str]:
    return {key: value for key, value in params.items() if value is not None}
