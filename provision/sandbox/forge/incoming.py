"""The body of a request: with a length, or in chunks (RFC 9112, sections 6 and 7)."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any, Final

from provision.sandbox.forge import messages

LIMIT: Final = 100 * 1024 * 1024
"""The most bytes that a call of the API may send, as GitHub limits a blob."""
_BLOCK: Final = 64 * 1024
_LINE: Final = 8 * 1024
_TRAILERS: Final = 100
_SIZE: Final = re.compile(rb"[0-9A-Fa-f]{1,15}")


def blocks(stream: io.BufferedIOBase, headers: Any) -> Iterator[bytes]:
    """Yield the body of a request.

    Raises:
        messages.ApiError: 400 for a body that is malformed or cut short, 501 for an encoding other
            than ``chunked``. The connection cannot be used any more then.
    """
    coding = (headers.get("Transfer-Encoding") or "").strip().lower()
    if coding == "chunked":
        yield from _chunks(stream)
        return
    if coding:
        raise messages.ApiError(501, f"Transfer-Encoding: {coding} is not implemented")
    length = (headers.get("Content-Length") or "0").strip()
    if not re.fullmatch(r"[0-9]{1,18}", length):
        raise _malformed(f"Content-Length: {length} is no number of bytes")
    yield from _exactly(stream, int(length))


def read(stream: io.BufferedIOBase, headers: Any) -> bytes:
    """Return the whole body of a request; 413 when it has more than `LIMIT` bytes."""
    data = bytearray()
    for block in blocks(stream, headers):
        data += block
        if len(data) > LIMIT:
            raise messages.ApiError(413, "Request Entity Too Large")
    return bytes(data)


def _exactly(stream: io.BufferedIOBase, size: int) -> Iterator[bytes]:
    left = size
    while left > 0:
        block = stream.read(min(left, _BLOCK))
        if not block:
            raise _malformed("the body is cut short")
        left -= len(block)
        yield block


def _chunks(stream: io.BufferedIOBase) -> Iterator[bytes]:
    while True:
        # An extension may follow the size; recipients ignore those that they do not know.
        text = _line(stream).partition(b";")[0].strip()
        if not _SIZE.fullmatch(text):
            raise _malformed(f"{text[:20]!r} is no size of a chunk")
        size = int(text, 16)
        if size == 0:
            break
        yield from _exactly(stream, size)
        if _line(stream):
            raise _malformed("a chunk is longer than its size")
    for _ in range(_TRAILERS):
        if not _line(stream):
            return
    raise _malformed("too many trailers")


def _line(stream: io.BufferedIOBase) -> bytes:
    line = stream.readline(_LINE)
    if not line.endswith(b"\n"):
        raise _malformed("a line of the chunks is cut short or too long")
    return line.rstrip(b"\r\n")


def _malformed(why: str) -> messages.ApiError:
    return messages.ApiError(400, f"Bad Request: {why}")
