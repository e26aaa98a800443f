"""The user's known_hosts files: which keys they pin for a server."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from provision import hostkeys

_MAX_BYTES = 32 * 1024 * 1024


def trusted(files: Iterable[Path], names: tuple[str, ...]) -> hostkeys.Trust:
    """Return what `files` say of the server called `names`; the first name with a key counts.

    A file that is not there or cannot be read pins nothing.
    """
    found: list[hostkeys.Entry] = []
    read: list[str] = []
    for path in files:
        text = _text(path)
        if text:
            read.append(str(path))
            found += hostkeys.entries(text, str(path))
    return hostkeys.trusted(found, *names, source=", ".join(read))


def _text(path: Path) -> str:
    try:
        if not path.is_file():
            return ""
        with path.open("rb") as opened:
            return opened.read(_MAX_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
