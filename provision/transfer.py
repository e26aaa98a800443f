"""Limits for what other machines send: how many bytes, and how long.

`read` bounds a body, also the size that a compressed one grows to; `within`
bounds the time of a whole exchange. Callers turn the exceptions of this module
into errors that name the address and the limit.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")

_STEP = 1 << 20


class TooLargeError(Exception):
    """More arrived than `limit` bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"more than {size(limit)}")
        self.limit = limit


class EncodingError(Exception):
    """The body is compressed in a way that was not asked for, or damaged."""


def size(count: int) -> str:
    """Return `count` bytes in words: ``64 MiB``, ``16 KiB``, ``12 bytes``."""
    for unit, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if count >= unit:
            return f"{count // unit} {name}"
    return f"{count} bytes"


def read(chunks: Iterable[bytes], *, encoding: str, limit: int) -> bytes:
    """Return the body that arrives as `chunks`, unpacked, of `limit` bytes at most.

    `encoding` is the Content-Encoding: none or gzip. Reading stops as soon as
    the body is too large, whether or not it is compressed.

    Raises:
        TooLargeError: the body, unpacked, has more than `limit` bytes.
        EncodingError: `encoding` is another one, or the body is not of it.
    """
    unpacked = unpack(chunks) if _is_gzip(encoding) else chunks
    data = bytearray()
    for chunk in unpacked:
        data += chunk
        if len(data) > limit:
            raise TooLargeError(limit)
    return bytes(data)


def unpack(chunks: Iterable[bytes]) -> Iterable[bytes]:
    """Yield what the gzip data of `chunks` unpacks to, in pieces of bounded size.

    Raises `EncodingError` when the data is damaged or incomplete.
    """
    unpacker = zlib.decompressobj(wbits=31)
    begun = False
    try:
        for chunk in chunks:
            rest = chunk
            begun = begun or bool(chunk)
            while rest:
                if unpacker.eof:  # gzip allows several members, one after the other
                    unpacker = zlib.decompressobj(wbits=31)
                yield unpacker.decompress(rest, _STEP)
                rest = unpacker.unconsumed_tail or unpacker.unused_data
        while begun and not unpacker.eof:
            more = unpacker.decompress(unpacker.unconsumed_tail, _STEP)
            if not more:
                raise EncodingError("the compressed body is incomplete")
            yield more
    except zlib.error as error:
        raise EncodingError("the compressed body is damaged") from error


def _is_gzip(encoding: str) -> bool:
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return False
    if name in ("gzip", "x-gzip"):
        return True
    raise EncodingError(f"the body has the content encoding {encoding!r}")


def within(seconds: float, work: Callable[[], T]) -> T:
    """Return what `work` returns, if it ends in time.

    A timeout of a socket bounds one read only; a server that sends one byte at
    a time keeps a reader busy forever. `work` runs in a thread of its own,
    which is abandoned when the time is up; it ends with its next read.

    Raises:
        TimeoutError: `work` did not end within `seconds`.
        BaseException: what `work` raised.
    """
    results: list[T] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            raised.append(error)

    thread = threading.Thread(target=run, name="elysium-transfer", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TimeoutError
    if raised:
        raise raised[0]
    return results[0]
