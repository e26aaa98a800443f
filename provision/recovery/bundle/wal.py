"""A SQLite database and its write-ahead log, made into one file. Pure.

Facts: SQLite's file format (https://www.sqlite.org/fileformat2.html, section
4, "The Write-Ahead Log"). A log's frames count up to the last commit whose
checksums are whole, as SQLite's own recovery reads it.
"""

from __future__ import annotations

import struct
from typing import Final

_HEADER: Final = 32
_FRAME: Final = 24
_MAGIC: Final = {0x377F0682: "<", 0x377F0683: ">"}
"""The magic number tells the byte order that checksums are made in."""
_DATABASE: Final = b"SQLite format 3\0"
_WORD: Final = 0xFFFFFFFF


class WalError(ValueError):
    """The bytes are no SQLite database; the text is a clause that says why."""


def fold(database: bytes, log: bytes) -> bytes:
    """Return `database` as it is with everything committed in `log`, needing no log.

    The result's journal mode is the classic one: it is a single file, and
    opens from memory too. Raises `WalError` when it is no database.
    """
    pages, count, size = _committed(log)
    image = bytearray(database)
    if count:
        wanted = count * size
        image = image[:wanted] + bytearray(max(0, wanted - len(image)))
        for number, at in pages.items():
            if number <= count:
                image[(number - 1) * size : number * size] = log[at : at + size]
    if not image.startswith(_DATABASE):
        raise WalError("it does not begin as a SQLite database does")
    if len(image) % page_size(image):
        raise WalError("it ends in the middle of a page")
    image[18:20] = b"\x01\x01"
    return bytes(image)


def page_size(database: bytes | bytearray) -> int:
    """Return the page size in the database's header. Raises `WalError` for an impossible one."""
    size = int.from_bytes(database[16:18], "big")
    size = 65536 if size == 1 else size
    if size < 512 or size & (size - 1):
        raise WalError("its page size is impossible")
    return size


def _committed(log: bytes) -> tuple[dict[int, int], int, int]:
    """Return where each committed page lies in `log`, the database's pages, and their size."""
    if len(log) < _HEADER:
        return {}, 0, 0
    magic, version, size, _, *salts = struct.unpack(">6I", log[:24])
    order = _MAGIC.get(magic)
    checksum = _sum(log[:24], (0, 0), order or "<")
    if order is None or version != 3007000 or checksum != struct.unpack(">2I", log[24:32]):
        return {}, 0, 0  # never written to its end: SQLite takes it as empty too
    if size < 512 or size > 65536 or size & (size - 1):
        return {}, 0, 0
    pages: dict[int, int] = {}
    pending: dict[int, int] = {}
    count = 0
    for at in range(_HEADER, len(log) - _FRAME - size + 1, _FRAME + size):
        number, commit, *rest = struct.unpack(">6I", log[at : at + _FRAME])
        data = at + _FRAME
        checksum = _sum(log[at : at + 8], checksum, order)
        checksum = _sum(log[data : data + size], checksum, order)
        if rest[:2] != salts or tuple(rest[2:]) != checksum or not number:
            break
        pending[number] = data
        if commit:
            pages |= pending
            pending = {}
            count = commit
    return pages, count, size


def _sum(content: bytes, seed: tuple[int, int], order: str) -> tuple[int, int]:
    first, second = seed
    words = iter(struct.unpack(f"{order}{len(content) // 4}I", content))
    for even, odd in zip(words, words, strict=True):
        first = (first + even + second) & _WORD
        second = (second + odd + first) & _WORD
    return first, second
