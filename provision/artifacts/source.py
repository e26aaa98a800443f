"""Where bytes come from: a mirror directory, a mirror's address, or the release's own host."""

from __future__ import annotations

from pathlib import Path
from urllib import parse

from provision import cancellation, errors
from provision.artifacts import download

_CHUNK = 1 << 20
_LIST_LIMIT = 1 << 20
"""Bytes of a list of checksums."""


def local(mirror: str, url: str) -> Path | None:
    """Return the path of `url` in a mirror that is a directory, None for another mirror.

    ``https://HOST/PATH`` is ``MIRROR/HOST/PATH``, percent-decoded.
    """
    if not mirror or mirror.startswith(("http://", "https://")):
        return None
    parts = parse.urlsplit(url)
    root = Path(mirror.removeprefix("file://")).expanduser()
    return root / parts.netloc / parse.unquote(parts.path).lstrip("/")


def named(mirror: str, url: str) -> str:
    """Return where `url` is taken from, for messages: a path, or an address without a login."""
    return str(local(mirror, url) or download.shown(_address(mirror, url)))


def read(mirror: str, url: str, *, cancelled: cancellation.Cancellation | None = None) -> bytes:
    """Return a small file.

    Raises `download.AbsentError` where there is none, else `errors.ArtifactError`, and
    `errors.InterruptedByUser` where the run is `cancelled` meanwhile.
    """
    cancelled = cancelled or cancellation.Cancellation()
    path = local(mirror, url)
    if path is None:
        content = bytearray()
        download.fetch(_address(mirror, url), content.extend, cancelled, limit=_LIST_LIMIT)
        return bytes(content)
    try:
        return path.read_bytes()
    except OSError as error:
        raise _missing(path, url, error) from error


def copy(
    mirror: str,
    url: str,
    target: Path,
    *,
    cancelled: cancellation.Cancellation | None = None,
    limit: int = download.FILE_LIMIT,
    whole: bool = False,
) -> None:
    """Write a file's bytes to `target`, `limit` of them at most.

    `whole` refuses a download whose end cannot be told from a connection that broke: nothing
    else would notice where no checksum is published. Raises `errors.ArtifactError`, and
    `errors.InterruptedByUser` where the run is `cancelled` meanwhile.
    """
    cancelled = cancelled or cancellation.Cancellation()
    path = local(mirror, url)
    try:
        with target.open("wb") as file:
            if path is None:
                download.fetch(
                    _address(mirror, url), file.write, cancelled, limit=limit, whole=whole
                )
                return
            with path.open("rb") as source:
                while chunk := source.read(_CHUNK):
                    file.write(chunk)
    except OSError as error:
        if path is not None and error.filename == str(path):
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
    if not isinstance(error, FileNotFoundError):
        return errors.ArtifactError(
            f"the mirror's copy of {url} cannot be read",
            detail=f"{path}: {error.strerror}",
            hint="check its owner and mode",
        )
    return download.AbsentError(
        f"the mirror does not have {url}",
        detail=f"{path}: {error.strerror}",
        hint="put the file there, or take artifacts.mirror out of the configuration",
    )
