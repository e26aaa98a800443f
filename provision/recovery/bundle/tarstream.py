"""Reading gzip and tar within limits, whatever their headers claim.

Python's `tarfile` reads a pax or GNU header of any size into memory, and its
gzip goes on for as long as there is something to unpack. Here every header,
the number of members and the bytes unpacked are bounded.

Facts: POSIX.1-2017 pax (ustar and the extended header's records), the GNU tar
manual (``L`` and ``K``: a long name, a long link name).
"""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Final

BLOCK: Final = 512
MAX_MEMBERS: Final = 10_000
MAX_HEADER: Final = 64 * 1024
"""The largest extended header: a name of any length that a system takes."""

_CHUNK: Final = 64 * 1024
_LONG_NAME, _LONG_LINK, _PAX = tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE


class LimitError(ValueError):
    """More than there may be. The text names the limit."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """One member: its header, with the long names in place, and its content."""

    header: tarfile.TarInfo
    content: bytes = field(repr=False)


class Gunzip:
    """One gzip stream in memory, read piece by piece up to `limit` bytes."""

    def __init__(self, data: bytes, limit: int) -> None:
        self._data = memoryview(data)
        self._limit = limit
        self._unpacked = 0
        self._stream = zlib.decompressobj(wbits=31)  # gzip, with its checksum

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes, none at the end.

        Raises `LimitError`, `EOFError` when it is cut short, `zlib.error` and
        `ValueError` for what is no gzip stream or has bytes behind its end.
        """
        found = b""
        while not found and not self._stream.eof:
            tail = self._stream.unconsumed_tail
            if not tail:
                tail, self._data = bytes(self._data[:_CHUNK]), self._data[_CHUNK:]
            before = len(tail)
            found = self._stream.decompress(tail, size)
            if not found and not before and not self._stream.eof:
                raise EOFError("it is cut short")
        if self._stream.eof and (self._stream.unused_data or len(self._data)):
            raise ValueError("there are bytes behind its end")
        self._unpacked += len(found)
        if self._unpacked > self._limit:
            raise LimitError(f"it unpacks to more than {self._limit // 1024**2} MiB")
        return found


def members(
    read: Callable[[int], bytes], check: Callable[[tarfile.TarInfo], None] = lambda _: None
) -> Generator[Member]:
    """Yield the members of the tar that `read` gives, up to its end.

    `check` is given each header before its content is read. Raises `LimitError`,
    `tarfile.TarError`, `EOFError` and `ValueError`, and whatever `read` and `check` raise.
    """
    name = link = ""
    count = 0
    while True:
        block = _exactly(read, BLOCK)
        if not any(block):
            break
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        if header.type in (_LONG_NAME, _LONG_LINK, _PAX):
            if not 0 <= header.size <= MAX_HEADER:
                raise LimitError(f"a header in it is larger than {MAX_HEADER // 1024} KiB")
            body = _content(read, header.size)
            if header.type == _PAX:
                records = _records(body)
                name, link = records.get("path", name), records.get("linkpath", link)
            elif header.type == _LONG_NAME:
                name = _text(body.rstrip(b"\0"))
            else:
                link = _text(body.rstrip(b"\0"))
            continue
        count += 1
        if count > MAX_MEMBERS:
            raise LimitError(f"it has more than {MAX_MEMBERS} members")
        header.name, header.linkname = name or header.name, link or header.linkname
        if header.isdir():
            header.name = header.name.rstrip("/")
        name = link = ""
        if header.size < 0 or (header.size and not header.isreg()):
            raise ValueError(f"the size of {header.name} is not one")
        check(header)
        yield Member(header=header, content=_content(read, header.size))
    while rest := read(_CHUNK):
        if any(rest):
            raise ValueError("there are bytes behind its end")


def _content(read: Callable[[int], bytes], size: int) -> bytes:
    content = _exactly(read, size)
    _exactly(read, -size % BLOCK)
    return content


def _exactly(read: Callable[[int], bytes], size: int) -> bytes:
    # A list and not one buffer of `size`: the size is only claimed.
    pieces: list[bytes] = []
    while size:
        piece = read(min(size, _CHUNK * 16))
        if not piece:
            raise EOFError("it is cut short")
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def _records(body: bytes) -> dict[str, str]:
    """Return the records of a pax header. What changes sizes is refused: nobody writes it here."""
    found: dict[str, str] = {}
    while body:
        length, blank, _ = body.partition(b" ")
        if not blank or not length.isdigit() or len(length) > 6:
            raise ValueError("a pax header is not right")
        record, body = body[: int(length)], body[int(length) :]
        key, equals, value = record[len(length) + 1 :].partition(b"=")
        if not equals or not value.endswith(b"\n"):
            raise ValueError("a pax header is not right")
        if key == b"size" or key.startswith(b"GNU.sparse"):
            raise ValueError(f"a pax header changes {_text(key)}")
        found[_text(key)] = _text(value[:-1])
    return found


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
