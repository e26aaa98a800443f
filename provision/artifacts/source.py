"""Where bytes come from: a mirror directory, a mirror's address, or the release's own host."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from urllib import parse

from provision import cancellation, errors, transfer

_CHUNK = 1 << 20
_ATTEMPTS = 4
_CONNECT = 15
_SILENCE = 30
"""Seconds without a byte."""
_TIME = 60.0
"""Seconds for a download, beyond what its bytes need at `transfer.RATE`."""


def local(mirror: str, url: str) -> Path | None:
    """Return the path of `url` in a mirror that is a directory, None for another mirror.

    ``https://HOST/PATH`` is ``MIRROR/HOST/PATH``, percent-decoded.
    """
    if not mirror or mirror.startswith(("http://", "https://")):
        return None
    parts = parse.urlsplit(url)
    root = Path(mirror.removeprefix("file://")).expanduser()
    return root / parts.netloc / parse.unquote(parts.path).lstrip("/")


def read(mirror: str, url: str) -> bytes:
    """Return a small file. Raises `errors.ArtifactError`."""
    path = local(mirror, url)
    if path is None:
        content = bytearray()
        _download(_address(mirror, url), content.extend, cancellation.Cancellation())
        return bytes(content)
    try:
        return path.read_bytes()
    except OSError as error:
        raise _missing(path, url, error) from error


def copy(
    mirror: str, url: str, target: Path, *, cancelled: cancellation.Cancellation | None = None
) -> None:
    """Write a file's bytes to `target`. Raises `errors.ArtifactError`.

    Raises `errors.InterruptedByUser` where the run is `cancelled` meanwhile.
    """
    cancelled = cancelled or cancellation.Cancellation()
    path = local(mirror, url)
    try:
        with target.open("wb") as file:
            if path is None:
                _download(_address(mirror, url), file.write, cancelled)
                return
            with path.open("rb") as source:
                while chunk := source.read(_CHUNK):
                    file.write(chunk)
    except OSError as error:
        if path is not None and not path.is_file():
            raise _missing(path, url, error) from error
        raise errors.ArtifactError(
            f"{url} cannot be stored at {target}",
            detail=str(error),
            hint="check the space and the owner of the cache folder",
        ) from error


def _address(mirror: str, url: str) -> str:
    if not mirror:
        return url
    parts = parse.urlsplit(url)
    return f"{mirror.rstrip('/')}/{parts.netloc}{parts.path}"


def _missing(path: Path, url: str, error: OSError) -> errors.ArtifactError:
    return errors.ArtifactError(
        f"the mirror does not have {url}",
        detail=f"{path}: {error.strerror}",
        hint="put the file there, or take artifacts.mirror out of the configuration",
    )


def _download(
    url: str, take: Callable[[bytes], object], cancelled: cancellation.Cancellation
) -> None:
    """Give the bytes of `url` to `take`; continue what broke off where the server allows it.

    A server that sends nothing for `_SILENCE` seconds is not asked again, and one that
    sends a byte now and then is given up.
    """
    import httpx2

    pace = transfer.Pace(_TIME)
    done = 0

    def count(chunk: bytes) -> None:
        nonlocal done
        cancelled.check()
        if not pace.over:
            take(chunk)
            done += len(chunk)
            pace.moved(len(chunk))

    for attempt in range(1, _ATTEMPTS + 1):
        try:
            transfer.within(pace, functools.partial(_ask, url, done, count))
            return
        except (TimeoutError, httpx2.TimeoutException) as error:
            raise _slow(url, done, pace, error) from error
        except (httpx2.TransportError, httpx2.StreamError, _Again) as error:
            if attempt == _ATTEMPTS:
                raise errors.ArtifactError(
                    f"{url} cannot be downloaded",
                    detail=str(error) or type(error).__name__,
                    hint="check the way out to it (proxy, DNS), or set artifacts.mirror",
                ) from error
            cancelled.sleep(2 ** (attempt - 1))


def _ask(url: str, done: int, take: Callable[[bytes], None]) -> None:
    """Give what comes after the first `done` bytes of `url` to `take`."""
    import httpx2

    headers = {"Accept-Encoding": "identity"}
    if done:
        headers["Range"] = f"bytes={done}-"
    limits = httpx2.Timeout(_SILENCE, connect=_CONNECT)
    with httpx2.stream(
        "GET", url, headers=headers, follow_redirects=True, timeout=limits
    ) as answer:
        if answer.status_code >= 500 or answer.status_code == 429:
            raise _Again(f"{answer.status_code} {answer.reason_phrase}")
        if answer.status_code >= 400:
            raise errors.ArtifactError(
                f"{url} cannot be downloaded",
                detail=f"{answer.status_code} {answer.reason_phrase}",
                hint="check the version in the configuration; it may not be published",
            )
        skip = done if done and answer.status_code != 206 else 0
        for chunk in answer.iter_raw():
            part = chunk[skip:] if skip else chunk
            skip -= len(chunk) - len(part)
            if part:
                take(part)


def _slow(url: str, done: int, pace: transfer.Pace, error: Exception) -> errors.ArtifactError:
    host = parse.urlsplit(url).netloc
    if isinstance(error, TimeoutError):
        reason = f"{host} sent {done} bytes in {pace.spent:.0f} s"
    else:
        reason = f"{host} sent nothing for {_SILENCE} s, after {done} bytes"
    return errors.ArtifactError(
        f"{url} cannot be downloaded: the connection stands still or is too slow",
        detail=reason,
        hint="check the way out to it (proxy, DNS), or set artifacts.mirror",
    )


class _Again(Exception):
    """The server asks to be called again."""
