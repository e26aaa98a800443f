"""PyGithub's requests, with limits, and with every answer checked before it is used.

PyGithub takes a 3xx for success, follows a 301 with any method, asks again for
ever after a 202, and returns a page of HTML as data. `Transport` puts a
connection below it that passes on only what GitHub documents: the status of
the method, a JSON body of bounded size, within a bounded time.

Redirects (GitHub REST documentation, "Follow redirects"): a GET is followed
where a renamed repository is redirected to its number, on the same server. The
address of an archive is returned as it is; nothing else is followed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

import github
import requests
from github.Requester import (
    HTTPRequestsConnectionClass,
    HTTPSRequestsConnectionClass,
    Requester,
)

from provision import transfer

JSON_LIMIT = 64 * 1024 * 1024
"""Bytes of one answer. GitHub cuts a tree at 7 MB; a file in Git is one answer."""
REQUEST_TIME = 60.0
"""Seconds for one request with its answer, beyond what their bytes need at `transfer.RATE`."""
READ_TIMEOUT = 20
"""Seconds without a byte."""

_EXPECTED = {"GET": 200, "POST": 201, "PATCH": 200, "PUT": 200, "DELETE": 204}
_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_ANY_BODY = frozenset((401, 403, 429))
"""Refusals that nothing takes for success, whoever they are from."""
_HOPS = 3
_REPOSITORY = re.compile(r"(?P<base>.*?)/(?:repos/[^/]+/[^/]+|repositories/\d+)(?P<rest>(?:/.*)?)")
_ARCHIVE = re.compile(r".*/(?:repos/[^/]+/[^/]+|repositories/\d+)/tarball/[^/]+")
_QUOTED = 200


class RedirectedError(Exception):
    """GitHub answered `address` with a redirect that is not followed."""

    def __init__(self, *, address: str, status: int, location: str) -> None:
        super().__init__(f"{address} answered {status} with a redirect to {location or 'nowhere'}")
        self.address = address
        self.status = status
        self.location = location


class UnexpectedError(Exception):
    """GitHub answered `address` with something other than what it documents."""

    def __init__(self, reason: str, *, address: str, status: int, body: str = "") -> None:
        super().__init__(f"{address} answered {status}: {reason}")
        self.reason = reason
        self.address = address
        self.status = status
        self.body = body


class RefusedError(github.GithubException):
    """GitHub refused (400 and above) what `address` was asked."""

    def __init__(self, status: int, data: dict[str, Any], headers: dict[str, str], address: str):
        super().__init__(status, data, headers)
        self.address = address


class _Answer(NamedTuple):
    """What PyGithub reads of an HTTP response."""

    status: int
    headers: dict[str, str]
    text: str

    def getheaders(self) -> Iterable[tuple[str, str]]:
        return self.headers.items()

    def read(self) -> str:
        return self.text


class _Checked:
    """The part of a PyGithub connection that sends and receives."""

    # Set by PyGithub's connection classes.
    session: requests.Session
    protocol: str
    host: str
    port: int
    timeout: int
    verify: bool | str
    verb: str
    url: str
    input: Any
    headers: dict[str, str]

    def getresponse(self) -> Any:  # an _Answer, where PyGithub has a class of its own
        """Send the request that `request` took, and return the checked answer.

        Raises `RedirectedError`, `UnexpectedError`, `RefusedError`, and
        `requests.RequestException` for no answer.
        """
        pace = transfer.Pace(REQUEST_TIME, size=len(self.input or ""))
        try:
            return transfer.within(pace, lambda: self._exchange(pace))
        except TimeoutError as error:
            self.session.close()
            raise requests.Timeout(
                f"{self._address(self.url)} did not send all of its answer within"
                f" {pace.spent:.0f} s"
            ) from error

    def _exchange(self, pace: transfer.Pace) -> _Answer:
        url, status, location = self.url, 0, ""
        for _ in range(_HOPS):
            status, headers, body = self._ask(url, pace)
            if status not in _REDIRECTS:
                return self._check(url, status, headers, body)
            location = headers.get("location", "")
            path = url.partition("?")[0]
            if self.verb == "GET" and status == 302 and _ARCHIVE.fullmatch(path) and location:
                return _Answer(status, headers, "")
            target = self._moved(url, location)
            if self.verb != "GET" or not target or target == url:
                break
            url = target
        raise RedirectedError(address=self._address(url), status=status, location=location)

    def _ask(self, url: str, pace: transfer.Pace) -> tuple[int, dict[str, str], bytes]:
        with self.session.request(
            self.verb,
            self._origin + url,
            # Compressed only in the way that `transfer` can bound.
            headers={**self.headers, "Accept-Encoding": "gzip"},
            data=self.input,
            timeout=self.timeout,
            verify=self.verify,
            allow_redirects=False,
            stream=True,
        ) as answer:
            headers = {name.lower(): value for name, value in answer.headers.items()}
            try:
                body = transfer.read(
                    answer.raw.stream(1 << 16, decode_content=False),
                    encoding=headers.get("content-encoding", ""),
                    limit=JSON_LIMIT,
                    pace=pace,
                )
            except transfer.TooLargeError as error:
                raise UnexpectedError(
                    f"a body of {error}, which is the limit",
                    address=self._address(url),
                    status=answer.status_code,
                ) from error
            except transfer.EncodingError as error:
                raise UnexpectedError(
                    str(error), address=self._address(url), status=answer.status_code
                ) from error
            except Exception as error:
                broken = _broken(error)
                if broken is None:
                    raise
                raise broken from error
            return answer.status_code, headers, body

    def _check(self, url: str, status: int, headers: dict[str, str], body: bytes) -> _Answer:
        text = body.decode("utf-8", "replace")
        address = self._address(url)
        if 400 <= status < 500 and status not in _ANY_BODY and not _is_refusal(text):
            raise UnexpectedError(
                "the body is not GitHub's", address=address, status=status, body=text[:_QUOTED]
            )
        if status >= 400:
            raise RefusedError(status, _refusal(text), headers, address)
        expected = _EXPECTED[self.verb]
        created = self.verb == "PUT" and status == 201
        if status != expected and not created:
            raise UnexpectedError(
                f"the status {expected} is expected", address=address, status=status, body=text
            )
        if expected == 204:
            return _Answer(status, headers, "")
        try:
            json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UnexpectedError(
                "the body is not JSON", address=address, status=status, body=text[:_QUOTED]
            ) from error
        # PyGithub also reads numbers from these headers, whatever they hold.
        kept = {name: value for name, value in headers.items() if "ratelimit" not in name}
        return _Answer(status, kept, text)

    def _moved(self, url: str, location: str) -> str:
        """Return the path and query that a renamed repository's `url` is redirected to.

        Empty where `location` is another server, or another resource.
        """
        try:
            target = urlsplit(urljoin(self._origin + url, location))
            origin = f"{target.scheme}://{target.hostname}:{target.port or self._default}"
        except ValueError:  # no URL at all
            return ""
        if origin != self._origin or "@" in target.netloc:
            return ""
        path, _, query = url.partition("?")
        before, after = _REPOSITORY.fullmatch(path), _REPOSITORY.fullmatch(target.path)
        if before is None or after is None or before.groups() != after.groups():
            return ""
        return target.path + (f"?{query}" if query else "")

    @property
    def _default(self) -> int:
        return 443 if self.protocol == "https" else 80

    @property
    def _origin(self) -> str:
        return f"{self.protocol}://{self.host}:{self.port}"

    def _address(self, url: str) -> str:
        port = "" if self.port == self._default else f":{self.port}"
        return f"{self.protocol}://{self.host}{port}{url.partition('?')[0]}"


class _Https(_Checked, HTTPSRequestsConnectionClass):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        ignore_redirects(self.session)


class _Http(_Checked, HTTPRequestsConnectionClass):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        ignore_redirects(self.session)


def ignore_redirects(session: requests.Session) -> None:
    """Have `session` leave redirects to its caller.

    Even without following one, requests reads its body, however large, and parses its target.
    """
    session.get_redirect_target = lambda resp: None  # type: ignore[method-assign]


class Transport(Requester):
    """PyGithub's requester over checked connections, for one thread."""

    # PyGithub offers to replace these for all requesters of the process only.
    _Requester__httpConnectionClass = _Http
    _Requester__httpsConnectionClass = _Https

    def __init__(self, auth: github.Auth.Auth, base_url: str, verify: bool | str = True) -> None:
        """Send requests below `base_url`, logged in as `auth` says.

        `verify` is a file of certificate authorities, or True for the usual ones.
        """
        super().__init__(
            auth=auth,
            base_url=base_url.rstrip("/"),
            timeout=READ_TIMEOUT,
            user_agent="elysium",
            per_page=100,
            verify=verify,
            retry=None,
            pool_size=None,
            lazy=True,
        )


def _is_refusal(text: str) -> bool:
    """Return whether `text` is the body of a refusal of GitHub's: a proxy's 404 is no 404."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(data, dict) and isinstance(data.get("message"), str)


def _refusal(text: str) -> dict[str, Any]:
    """Return the message and the list of errors of a refusal, whatever its body is."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return {"message": text[:_QUOTED]}
    if not isinstance(data, dict):
        return {"message": text[:_QUOTED]}
    listed = data.get("errors")
    return {
        "message": str(data.get("message") or ""),
        "errors": listed if isinstance(listed, list) else [],
    }


def _broken(error: Exception) -> requests.RequestException | None:
    """Return the error for a connection that broke while a body was read."""
    from urllib3 import exceptions

    if isinstance(error, (exceptions.ProtocolError, exceptions.DecodeError)):
        return requests.exceptions.ChunkedEncodingError(str(error))
    if isinstance(error, (exceptions.HTTPError, OSError)):
        return requests.ConnectionError(str(error))
    return None
