"""Limits for what other machines send: how many bytes, and how long.

`read` bounds a body, also the size that a compressed one grows to; `within`
bounds the time of a whole exchange, by its `Pace`. Callers turn the exceptions of this module
into errors that name the address and the limit.
"""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")

RATE = 62_500
"""Bytes a second (0.5 Mbit/s): no transfer has less time than this rate needs."""

_STEP = 1 << 20


class Pace:
    """The time that an exchange has: some seconds, and for each byte what it needs at `RATE`.

    A server that sends a byte now and then is given up, a slow line is not.
    `over` is set when nobody waits for the exchange any more.
    """

    def __init__(self, seconds: float, size: int = 0) -> None:
        """Begin now, with `seconds` and the time for `size` bytes that are to be sent."""
        self._end = time.monotonic() + seconds
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self.over = False
        self.moved(size)

    def moved(self, size: int) -> None:
        """Note that `size` bytes arrived."""
        with self._lock:
            self._end += size / RATE

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self._end - time.monotonic()

    @property
    def spent(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._began


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


def read(chunks: Iterable[bytes], *, encoding: str, limit: int, pace: Pace | None = None) -> bytes:
    """Return the body that arrives as `chunks`, unpacked, of `limit` bytes at most.

    `encoding` is the Content-Encoding: none or gzip. Reading stops as soon as
    the body is too large, whether or not it is compressed. What arrives gives `pace`
    more time.

    Raises:
        TooLargeError: the body, unpacked, has more than `limit` bytes.
        EncodingError: `encoding` is another one, or the body is not of it.
    """
    arriving = chunks if pace is None else _noted(chunks, pace)
    unpacked = unpack(arriving) if _is_gzip(encoding) else arriving
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


def _noted(chunks: Iterable[bytes], pace: Pace) -> Iterable[bytes]:
    for chunk in chunks:
        pace.moved(len(chunk))
        yield chunk


def _is_gzip(encoding: str) -> bool:
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return False
    if name in ("gzip", "x-gzip"):
        return True
    raise EncodingError(f"the body has the content encoding {encoding!r}")


def within(limit: float | Pace, work: Callable[[], T]) -> T:
    """Return what `work` returns, if it ends in time: within seconds, or at a pace.

    A timeout of a socket bounds one read only; a server that sends one byte at
    a time keeps a reader busy forever. `work` runs in a thread of its own,
    which is abandoned when the time is up; it ends with its next read.

    Raises:
        TimeoutError: `work` did not end within `limit`.
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
    pace = limit if isinstance(limit, Pace) else Pace(limit)
    thread.start()
    while thread.is_alive():
        left = pace.left
        if left <= 0:
            pace.over = True
            raise TimeoutError(f"not complete after {pace.spent:.0f} s")
        thread.join(left)
    if raised:
        raise raised[0]
    return results[0]
