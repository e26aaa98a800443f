"""One way to GitHub: PyGithub, with the retries in one place.

`Api.call` is where every request passes: it retries what may be retried (rate
limits with the server's own delay, 5xx, lost connections) until a deadline,
says so, and turns what remains into an `errors.CodeHostError`. Below it,
`transport` checks every answer; `answers` checks the types of its fields.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlsplit

from provision import config, errors, progress, transfer
from provision.github import answers, authority, failures, installation
from provision.secret import Secret, mask

if TYPE_CHECKING:
    import github

    from provision.github import transport

T = TypeVar("T")

DEADLINE = 120.0
"""Seconds for one operation with all its retries."""
_ARCHIVE_LIMIT = 64 * 1024 * 1024
_ARCHIVE_TIME = 120.0
_READ_TIMEOUT = 20
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
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._sleep = sleep
        self.cfg = cfg
        self.deadline = deadline
        self.say = progress
        self._token = credential if isinstance(credential, Secret) else Secret("")
        self._exchange = (
            installation.Exchange(cfg, credential)
            if isinstance(credential, installation.Installation)
            else None
        )
        self._local = threading.local()
        self._lock = threading.Lock()
        self._clients: list[transport.Transport] = []

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

    def client(self) -> transport.Transport:
        """Return this thread's requester.

        Raises `errors.ConfigError` where it would send a token to an ``http://`` address, and
        for a CA file that cannot be used.
        """
        found: transport.Transport | None = getattr(self._local, "client", None)
        if found is None:
            from provision.github import transport

            require_tls(self.cfg)
            found = transport.Transport(
                _auth(self._exchange or self._token),
                self.cfg.base_url,
                authority.verify(self.cfg),
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
    ) -> answers.Answer:
        """Make one request and return its checked answer.

        `path` starts with ``/`` and is below the API's base URL; `segments` and
        `repository_path` make one with every name quoted.
        """
        headers, data = self.call(
            operation,
            lambda: self.client().requestJsonAndCheck(
                verb, path, parameters=parameters, input=body
            ),
        )
        status = {"POST": 201, "DELETE": 204}.get(verb, 200)
        source = answers.Source(operation=operation, address=self.address(path), status=status)
        return answers.Answer(headers=headers, data=data, source=source)

    def repository_path(self, *names: str) -> str:
        """Return the path of the repository, or of what `names` lead to below it, quoted.

        A ``/`` inside one of `names` separates, as in ``heads/feature/x``.
        """
        below = [part for name in names for part in name.split("/")]
        return segments("repos", self.cfg.owner, self.cfg.repository, *below)

    def address(self, path: str) -> str:
        """Return the whole address of `path`, for messages."""
        return self.cfg.base_url.rstrip("/") + path

    def download_archive(self, commit: str) -> bytes | None:
        """Return the tar.gz of `commit`, or None where it cannot be had (then read single files).

        The address GitHub redirects to carries its own short-lived right, so
        the token is not sent there.
        """
        import requests

        try:
            found = self.request("find the archive", "GET", self.repository_path("tarball", commit))
            address = found.headers.get("location", "")
            allowed = ("https://", "http://") if self.cfg.base_url.startswith("http:") else "https:"
            if not address.startswith(allowed):
                return None
            verify = authority.verify(self.cfg)
            pace = transfer.Pace(_ARCHIVE_TIME)
            return transfer.within(pace, lambda: _download(address, verify, pace))
        except (errors.CodeHostError, requests.RequestException, OSError, ValueError):
            return None

    def new_slug(self) -> str:
        """Return the name that the repository has now: another one after it was renamed.

        Empty where GitHub does not say. Raises nothing.
        """
        try:
            found = self.client().requestJsonAndCheck("GET", self.repository_path())[1]
        except Exception:  # noqa: BLE001 - it only explains another error
            return ""
        return str(found.get("full_name") or "") if isinstance(found, dict) else ""

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
            self._sleep(wait)
            return 0.0

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

        from provision.github import transport

        if isinstance(error, github.GithubException):
            found = failures.refusal(
                error.status,
                error.headers or {},
                error.data,
                operation=operation,
                slug=self.cfg.slug,
                address=getattr(error, "address", ""),
            )
        elif isinstance(error, transport.RedirectedError):
            found = self._redirected(error, operation)
        elif isinstance(error, transport.UnexpectedError):
            found = failures.AnswerError(
                f"{error.address} answered {error.status} in a way that GitHub does not,"
                f" so it is not possible to {operation}: {error.reason}",
                operation=operation,
                status=error.status,
                detail=error.body,
                hint="check github.baseUrl, and whether a proxy answers in GitHub's place",
            )
        elif isinstance(error, requests.exceptions.SSLError):
            found = failures.not_proven(
                error, operation=operation, base_url=self.cfg.base_url, ca_file=self.cfg.ca_file
            )
        elif isinstance(error, (requests.RequestException, OSError)):
            found = failures.unreachable(error, operation=operation, base_url=self.cfg.base_url)
        else:
            return None
        mine = self._exchange.last if self._exchange is not None else self._token
        found.detail = mask(found.detail, [mine])
        return found

    def _redirected(self, error: transport.RedirectedError, operation: str) -> errors.CodeHostError:
        new = self.new_slug()
        if new and new.lower() != self.cfg.slug.lower():
            return failures.renamed(
                self.cfg.slug,
                new,
                operation=operation,
                status=error.status,
                detail=f"{error.address} answered {error.status}",
            )
        target = error.location.partition("?")[0] or "nowhere"  # a query may hold a secret
        return failures.RedirectError(
            f"{error.address} answered {error.status} with a redirect to {target},"
            f" so it is not possible to {operation}",
            operation=operation,
            status=error.status,
            hint="nothing was sent there; correct github.baseUrl"
            " (for Enterprise it ends in /api/v3), github.owner and github.repository",
        )


def segments(*names: str) -> str:
    """Return the URL path whose segments are `names`, each quoted.

    Raises `errors.CodeHostError` for a name that would lead to another path.
    """
    if any(name in ("", ".", "..") for name in names):
        raise errors.CodeHostError(
            f"{'/'.join(names)!r} is no path on GitHub",
            operation="ask GitHub",
            hint="check github.owner, github.repository and github.branch",
        )
    return "".join(f"/{quote(part, safe='')}" for part in names)


def require_tls(cfg: config.GitHub) -> None:
    """Raise `errors.ConfigError` where a token would travel in clear and nothing allows it."""
    if cfg.base_url.lower().startswith("https://") or cfg.allow_http:
        return
    raise errors.ConfigError(
        f"the token is not sent to {cfg.base_url}, because everyone on the way could read it",
        [errors.Problem(message="the address is not https://", key="github.baseUrl")],
        hint="use the server's https:// address; only for a server that has none, in a network"
        " that you trust: elysium config set github.allowHttp true",
    )


def _download(address: str, verify: bool | str, pace: transfer.Pace) -> bytes | None:
    """Return the body of `address`, asked for without any credential; None for a refusal."""
    import requests

    from provision.github import transport

    with requests.Session() as session:
        transport.ignore_redirects(session)
        session.auth = lambda request: request  # otherwise requests takes one from ~/.netrc
        with session.get(
            address,
            timeout=_READ_TIMEOUT,
            stream=True,
            verify=verify,
            allow_redirects=False,
            headers={"Accept-Encoding": "identity"},
        ) as answer:
            if answer.status_code != 200:
                return None
            try:
                return transfer.read(
                    answer.raw.stream(1 << 16, decode_content=False),
                    encoding="identity",
                    limit=_ARCHIVE_LIMIT,
                    pace=pace,
                )
            except transfer.TooLargeError:
                return None


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
