"""Contents of a repository's files as text, whatever their bytes are.

One reader and one set of limits for a checkout and for a code host. A file that
is not UTF-8 is kept as Python's ``surrogateescape`` keeps it, so that its bytes
can be written again.
"""

from __future__ import annotations

from typing import Final

LARGEST: Final = 50 << 20
"""Bytes of the largest file that is read."""
MOST: Final = 500 << 20
"""Bytes of all files of one repository that are read."""
TOO_LARGE: Final = f"larger than {LARGEST >> 20} MiB"
"""The reason why a file is not read."""


def text(data: bytes) -> str:
    """Return the content `data` as a text from which `data` returns the same bytes."""
    return data.decode(errors="surrogateescape")


def data(content: str) -> bytes:
    """Return the bytes of a text that `text` returned. Raises `UnicodeEncodeError` for others."""
    return content.encode(errors="surrogateescape")


def is_text(content: str) -> bool:
    """Return whether the bytes of `content` are UTF-8 text."""
    if content.isascii():
        return True
    try:
        content.encode()
    except UnicodeEncodeError:
        return False
    return True
