"""One file over HTTP: within limits, and with every answer checked before its bytes count.

A proxy, a captive portal or a mirror may answer in the place of a release's host. What is not
the file that was asked for is an `errors.ArtifactError` that names the address. Messages show
addresses without a login and without a query, which may be a signature.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NoReturn
from urllib import parse

from provision import cancellation, errors, transfer

if TYPE_CHECKING:
    import httpx2

FILE_LIMIT: Final = 1 << 29
"""Bytes of a file. The largest one, k3s, has 80 MB."""
ATTEMPTS = 4
CONNECT = 15
SILENCE = 30
"""Seconds without a byte."""
TIME = 60.0
"""Seconds for a download, beyond what its bytes need at `transfer.RATE`."""

_REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))
_HOPS: Final = 5
_RANGE: Final = re.compile(r"bytes (\d{1,15})-\d{1,15}/(?:\d{1,15}|\*)")
_ENVIRONMENT: Final = "HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY, SSL_CERT_FILE, SSL_CERT_DIR"
_WAY: Final = "check the way out to it (proxy, DNS), or set artifacts.mirror"
_OTHER: Final = (
    "does a proxy, a login page or another server answer there? check artifacts.mirror, and the"
    " network's way out"
)

Take = Callable[[bytes], object]


class AbsentError(errors.ArtifactError):
    """The server, or the mirror, has no such file."""


class _AgainError(Exception):
    """The server asks to be called again."""


def shown(url: str) -> str:
    """Return `url` without its login, query and fragment, for messages."""
    try:
        parts = parse.urlsplit(url)
    except ValueError:
        return "an address that is none"
    # A password with a slash in it ends up in the path.
    return f"{parts.scheme}://{(parts.netloc + parts.path).rpartition('@')[2]}"


def fetch(
    url: str,
    take: Take,
    cancelled: cancellation.Cancellation,
    *,
    limit: int = FILE_LIMIT,
    whole: bool = False,
) -> None:
    """Give the bytes of `url` to `take`; continue what broke off where the server allows it.

    A server that sends nothing for `SILENCE` seconds is not asked again, and one that
    sends a byte now and then is given up. `limit` bounds the bytes; `whole` refuses a file
    whose end cannot be told from a connection that broke.

    Raises:
        AbsentError: there is no such file.
        errors.ArtifactError: the file cannot be had, or something else came.
        errors.InterruptedByUser: the run is `cancelled`.
        OSError: `take` failed.
    """
    import httpx2

    pace = transfer.Pace(TIME)
    done = 0

    def count(chunk: bytes) -> None:
        nonlocal done
        cancelled.check()
        if pace.over:
            return
        if done + len(chunk) > limit:
            _unexpected(url, f"more than {transfer.size(limit)}, which is the limit")
        take(chunk)
        done += len(chunk)
        pace.moved(len(chunk))

    with _client(url) as client:
        for attempt in range(1, ATTEMPTS + 1):
            source = _Source(client, url, done, limit=limit, whole=whole)
            try:
                transfer.within(pace, functools.partial(source.give, count))
                return
            except (TimeoutError, httpx2.TimeoutException) as error:
                raise _slow(url, done, pace, error) from error
            except (httpx2.RequestError, httpx2.StreamError, _AgainError) as error:
                if attempt == ATTEMPTS:
                    raise errors.ArtifactError(
                        f"{shown(url)} cannot be downloaded",
                        detail=str(error) or type(error).__name__,
                        hint=_WAY,
                    ) from error
                cancelled.sleep(2 ** (attempt - 1))
            except httpx2.InvalidURL as error:
                raise _no_address(url) from error


class _Source:
    """What is left of one file, from one server."""

    def __init__(
        self, client: httpx2.Client, url: str, done: int, *, limit: int, whole: bool
    ) -> None:
        self._client = client
        self._url = url
        self._done = done
        self._limit = limit
        self._whole = whole

    def give(self, take: Take) -> None:
        """Give what comes after the first `done` bytes to `take`."""
        headers = {"Accept-Encoding": "identity"}
        if self._done:
            headers["Range"] = f"bytes={self._done}-"
        address = self._url
        for _ in range(_HOPS):
            with self._client.stream("GET", address, headers=headers) as answer:
                if answer.status_code not in _REDIRECTS:
                    self._receive(answer, take)
                    return
                address = self._target(address, answer)
        self._wrong(address, f"more than {_HOPS} redirects")

    def _target(self, address: str, answer: httpx2.Response) -> str:
        """Return where a redirect leads: never from HTTPS to anything else."""
        location = answer.headers.get("location", "")
        try:
            target = parse.urljoin(address, location)
            parts = parse.urlsplit(target)
            usable = bool(location and parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            usable, target, parts = False, "", parse.urlsplit("")
        allowed = ("https",) if address.startswith("https:") else ("http", "https")
        if not usable or parts.scheme not in allowed:
            where = shown(target) if parts.netloc else location.partition("?")[0]
            self._wrong(address, f"a redirect to {where or 'nowhere'}, which is not followed")
        return target

    def _receive(self, answer: httpx2.Response, take: Take) -> None:
        address, status = str(answer.url), answer.status_code
        if status == 416 and answer.headers.get("content-range") == f"bytes */{self._done}":
            return  # all of it arrived before the connection broke
        if status >= 500 or status == 429:
            raise _AgainError(f"{shown(address)} answered {_status(answer)}")
        if status >= 400 and status != 416:
            raise _refused(self._url, address, answer)
        skip = self._skipped(address, answer)
        self._check_head(address, answer)
        first = not self._done
        for chunk in answer.iter_raw():
            if first and chunk.strip():
                first = False
                if chunk.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
                    self._wrong(address, "a page, not a file")
            part = chunk[skip:] if skip else chunk
            skip -= len(chunk) - len(part)
            if part:
                take(part)

    def _skipped(self, address: str, answer: httpx2.Response) -> int:
        """Return how many of the bytes that come are there already."""
        status = answer.status_code
        if status == 200:
            return self._done
        if status != 206 or not self._done:
            self._wrong(address, f"the status {_status(answer)}")
        span = _RANGE.fullmatch(answer.headers.get("content-range", ""))
        if span is None or int(span[1]) != self._done:
            self._wrong(address, "another part of the file than the one that was asked for")
        return 0

    def _check_head(self, address: str, answer: httpx2.Response) -> None:
        encoding = answer.headers.get("content-encoding", "identity").strip().lower()
        # Servers label the archive itself so, and send it as it is.
        archive = encoding in ("gzip", "x-gzip") and self._url.endswith((".gz", ".tgz"))
        if encoding != "identity" and not archive:
            self._wrong(address, f"the file in the encoding {encoding!r}, not as it is")
        length = answer.headers.get("content-length", "")
        if length.isdecimal() and int(length) > self._limit:
            size = f"{transfer.size(int(length))}; the limit is {transfer.size(self._limit)}"
            self._wrong(address, f"a file of {size}")
        if self._whole and not length and "transfer-encoding" not in answer.headers:
            self._wrong(address, "a file without its length, and it has no published checksum")

    def _wrong(self, address: str, reason: str) -> NoReturn:
        _unexpected(self._url, reason, address)


def _client(url: str) -> httpx2.Client:
    """Return a client. Raises `errors.ArtifactError` where the environment keeps it from work."""
    import httpx2

    try:
        return httpx2.Client(
            follow_redirects=False, timeout=httpx2.Timeout(SILENCE, connect=CONNECT)
        )
    except (ImportError, ValueError, OSError, httpx2.InvalidURL) as error:
        # The address of a proxy that cannot be read may hold a password anywhere.
        detail = "" if isinstance(error, httpx2.InvalidURL) else str(error)
        raise errors.ArtifactError(
            f"{shown(url)} cannot be downloaded: what the environment says of the network cannot"
            " be used",
            detail=detail,
            hint=f"check {_ENVIRONMENT}",
        ) from error


def _refused(url: str, address: str, answer: httpx2.Response) -> errors.ArtifactError:
    status = answer.status_code
    hint = "check artifacts.mirror, or whether a proxy refuses this address"
    if status in (404, 410):
        hint = "check the version in the configuration; it may not be published"
    if status == 407:
        hint = "the proxy wants a login: put it into HTTPS_PROXY"
    kind = AbsentError if status in (404, 410) else errors.ArtifactError
    return kind(
        f"{shown(url)} cannot be downloaded",
        detail=f"{shown(address)} answered {_status(answer)}",
        hint=hint,
    )


def _status(answer: httpx2.Response) -> str:
    return f"{answer.status_code} {answer.reason_phrase}".strip()


def _unexpected(url: str, reason: str, address: str = "") -> NoReturn:
    raise errors.ArtifactError(
        f"{shown(url)} cannot be downloaded: the answer is {reason}",
        detail=f"from {shown(address)}" if address and address != url else "",
        hint=_OTHER,
    )


def _no_address(url: str) -> errors.ArtifactError:
    return errors.ArtifactError(
        f"{shown(url)} is no address that elysium can download from",
        hint="check artifacts.mirror: https://HOST[:PORT]/PATH, a login in it percent-encoded",
    )


def _slow(url: str, done: int, pace: transfer.Pace, error: Exception) -> errors.ArtifactError:
    host = parse.urlsplit(shown(url)).netloc
    if isinstance(error, TimeoutError):
        reason = f"{host} sent {done} bytes in {pace.spent:.0f} s"
    else:
        reason = f"{host} sent nothing for {SILENCE} s, after {done} bytes"
    return errors.ArtifactError(
        f"{shown(url)} cannot be downloaded: the connection stands still or is too slow",
        detail=reason,
        hint=_WAY,
    )
