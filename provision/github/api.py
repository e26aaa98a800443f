"""One way to GitHub: PyGithub, with the retries in one place.

`Api.call` is where every request passes: it retries what may be retried (rate
limits with the server's own delay, 5xx, lost connections) until a deadline,
says so, and turns what remains into an `errors.CodeHostError`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from provision import config, errors, progress
from provision.github import failures, installation
from provision.secret import Secret, mask

if TYPE_CHECKING:
    import github

T = TypeVar("T")

DEADLINE = 120.0
"""Seconds for one operation with all its retries."""
_REQUEST_TIMEOUT = 20
_ARCHIVE_LIMIT = 64 * 1024 * 1024
_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)


class Api:
    """PyGithub for one repository. Safe to use from several threads.

    A PyGithub client keeps the request under way in itself, so each thread
    has one of its own; their connections stay open between calls.
    """

    def __init__(
        self,
        cfg: config.GitHub,
        credential: Secret | installation.Installation,
        *,
        deadline: float = DEADLINE,
        progress: progress.Progress = progress.silent,
    ) -> None:
        self.cfg = cfg
        self.deadline = deadline
        self.say = progress
        self._token = credential if isinstance(credential, Secret) else Secret("")
        self._exchange = (
            installation.Exchange(cfg, credential, timeout=_REQUEST_TIMEOUT)
            if isinstance(credential, installation.Installation)
            else None
        )
        self._local = threading.local()
        self._lock = threading.Lock()
        self._clients: list[github.Github] = []

    def close(self) -> None:
        """Close the connections of all threads. The next call opens new ones."""
        with self._lock:
            clients, self._clients = self._clients, []
            self._local = threading.local()
        for client in clients:
            client.close()

    @property
    def host(self) -> str:
        """The API's host name, for messages."""
        return urlsplit(self.cfg.base_url).netloc

    def granted(self) -> Mapping[str, str] | None:
        """Return what an app's installation may do (``contents`` to ``write``).

        None for tokens: there, only GitHub's refusals tell.
        """
        if self._exchange is None:
            return None
        exchange = self._exchange
        return self.call("log in as the GitHub App", exchange.permissions)

    def client(self) -> github.Github:
        """Return this thread's PyGithub client."""
        found: github.Github | None = getattr(self._local, "client", None)
        if found is None:
            import github

            found = github.Github(
                auth=_auth(self._exchange or self._token),
                base_url=self.cfg.base_url.rstrip("/"),
                timeout=_REQUEST_TIMEOUT,
                user_agent="elysium",
                per_page=100,
                retry=None,
                seconds_between_requests=None,
                seconds_between_writes=None,
                lazy=True,
            )
            self._local.client = found
            with self._lock:
                self._clients.append(found)
        return found

    def request(
        self,
        operation: str,
        verb: str,
        path: str,
        *,
        parameters: dict[str, Any] | None = None,
        body: Any = None,
    ) -> tuple[dict[str, Any], Any]:
        """Make one request that PyGithub has no method for; return headers and data.

        `path` starts with ``/`` and is below the API's base URL.
        """
        return self.call(
            operation,
            lambda: self.client().requester.requestJsonAndCheck(
                verb, path, parameters=parameters, input=body
            ),
        )

    def download_archive(self, commit: str) -> bytes | None:
        """Return the tar.gz of `commit`, or None where it cannot be had (then read single files).

        The address GitHub redirects to carries its own short-lived right, so
        the token is not sent there.
        """
        import requests

        try:
            headers, _ = self.request(
                "find the archive", "GET", f"/repos/{self.cfg.slug}/tarball/{commit}"
            )
            address = headers.get("location", "")
            if not address.startswith(("https://", "http://")):
                return None
            with requests.get(address, timeout=_REQUEST_TIMEOUT, stream=True) as answer:
                if answer.status_code != 200:
                    return None
                data = bytearray()
                for chunk in answer.iter_content(1 << 20):
                    data += chunk
                    if len(data) > _ARCHIVE_LIMIT:
                        return None
                return bytes(data)
        except (errors.CodeHostError, requests.RequestException):
            return None

    def call(self, operation: str, ask: Callable[[], T]) -> T:
        """Return what `ask` returns, retried until the deadline.

        `operation` is an infinitive phrase for messages. A request may arrive
        twice when its answer was lost, so callers treat "is there already" and
        "is gone already" as success.

        Raises:
            errors.CodeHostError: GitHub refused, or did not answer in time.
        """
        import stamina
        import stamina.instrumentation

        # Its default hook logs every retry; `pause` below says it in our own words.
        stamina.instrumentation.set_on_retry_hooks(())
        started = time.monotonic()
        tries = 0

        def pause(error: Exception) -> bool | float:
            nonlocal tries
            wait = _wait_before_retry(error, tries)
            left = self.deadline - (time.monotonic() - started)
            if wait is None or wait >= left:
                return False
            tries += 1
            when = f"in {wait:.0f} s" if wait >= 1 else "at once"
            self.say(f"GitHub: {_reason(error)}; asking again {when}")
            return wait

        try:
            for attempt in stamina.retry_context(on=pause, attempts=None, timeout=self.deadline):
                with attempt:
                    return ask()
        except Exception as error:
            translated = self._translate(error, operation)
            if translated is None:
                raise
            raise translated from error
        raise errors.CodeHostError(  # unreachable: the loop returns or raises
            f"GitHub did not {operation}", operation=operation
        )

    def _translate(self, error: Exception, operation: str) -> errors.CodeHostError | None:
        import github
        import requests

        if isinstance(error, github.GithubException):
            found = failures.refusal(
                error.status,
                error.headers or {},
                error.data,
                operation=operation,
                slug=self.cfg.slug,
            )
        elif isinstance(error, (requests.RequestException, OSError)):
            found = failures.unreachable(error, operation=operation, host=self.host)
        elif isinstance(error, RuntimeError) and "redirect" in str(error):
            found = errors.CodeHostError(
                f"GitHub redirects elsewhere when asked to {operation}",
                operation=operation,
                status=301,
                detail=str(error),
                hint="correct github.baseUrl; for Enterprise it ends in /api/v3",
            )
        else:
            return None
        mine = self._exchange.last if self._exchange is not None else self._token
        found.detail = mask(found.detail, [mine])
        return found


def _auth(source: Secret | installation.Exchange) -> github.Auth.Auth:
    """Return PyGithub's way to log in; an installation's token is asked for at each request."""
    import github

    if isinstance(source, Secret):
        return github.Auth.Token(source.reveal())

    class _Installed(github.Auth.Auth):
        @property
        def token_type(self) -> str:
            return "token"

        @property
        def token(self) -> str:
            return source.token().reveal()

    return _Installed()


def _wait_before_retry(error: Exception, tries: int) -> float | None:
    """Return the seconds to wait before the next try, or None if there is to be none."""
    import github
    import requests

    pause = _PAUSES[min(tries, len(_PAUSES) - 1)]
    if isinstance(error, github.GithubException):
        asked = failures.retry_after(error.status, error.headers or {}, error.data)
        if asked is not None:
            return max(asked, 0.1)
        return pause if error.status >= 500 else None
    if isinstance(error, requests.exceptions.SSLError):
        return None
    if isinstance(error, (requests.ConnectionError, requests.Timeout)):
        return pause
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return pause
    return None


def _reason(error: Exception) -> str:
    import github

    if isinstance(error, github.GithubException):
        if failures.retry_after(error.status, error.headers or {}, error.data) is not None:
            return "rate limit"
        return f"answer {error.status}"
    return "no answer"
