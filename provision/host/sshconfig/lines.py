"""Files and lines of a client configuration: bounded, checked, split into words."""

from __future__ import annotations

import glob
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from provision import errors
from provision.host.sshconfig import tokens

_MAX_BYTES = 1_000_000
_MAX_FILES = 200
"""Files that one include may name; more are a mistake in its pattern."""
MAX_DEPTH = 16
"""Includes inside includes, as in OpenSSH."""

# After a keyword in quotes, ssh takes an equal sign for a part of the value.
_KEYWORD = re.compile(r'[ \t\f]*("[^"]*"[ \t\f]*|[^ \t\f="]*[ \t\f]*=?[ \t\f]*)')


class BrokenError(errors.ConfigError):
    """A line of a client configuration that cannot be read, or asks for what is not supported."""

    def __init__(self, where: str, key: str, message: str, hint: str = "") -> None:
        problem = errors.Problem(
            message=message,
            where=where,
            key=key,
            hint=hint or "correct the line; 'ssh -G <host>' checks the file",
        )
        super().__init__("the SSH client configuration cannot be used", [problem])


@dataclass(frozen=True, kw_only=True)
class Line:
    """One setting. `words` are its arguments, `rest` the same as they stand in the file."""

    where: str
    keyword: str
    words: tuple[str, ...]
    rest: str

    @property
    def key(self) -> str:
        """The keyword in lower case."""
        return self.keyword.lower()

    def broken(self, message: str, hint: str = "") -> BrokenError:
        """Return the error for this line."""
        return BrokenError(self.where, self.keyword, message, hint)


def of_file(path: Path, *, checked: bool) -> Iterator[Line]:
    """Yield the settings in `path`.

    `checked`: refuse a file that another user owns or may write. Raises
    FileNotFoundError where there is none, and `BrokenError`.
    """
    text = _text(path, checked)
    for number, line in enumerate(text.split("\n"), 1):
        where = f"{path}:{number}"
        line = line.partition("\0")[0]  # ssh reads no further either
        match = _KEYWORD.match(line)
        keyword = match[1].strip('=" \t\f') if match else ""
        if match is None or not keyword or keyword.startswith("#"):
            continue
        rest = line[match.end() :].rstrip(" \t\f\r")
        try:
            words = split(rest)
        except ValueError as error:
            raise BrokenError(where, keyword, str(error)) from None
        yield Line(where=where, keyword=keyword, words=words, rest=rest)


def included(pattern: str, folder: Path, home: Path) -> list[Path]:
    """Return the files that the argument of an Include names, in their order.

    A relative one is below `folder`. Raises ValueError for more than the limit.
    """
    pattern = tokens.at_home(pattern, home)
    if not pattern.startswith("/"):
        pattern = f"{glob.escape(str(folder))}/{pattern}"
    found: list[Path] = []
    for name in glob.iglob(pattern):  # noqa: PTH207 - the pattern may be absolute
        found.append(Path(name))
        if len(found) > _MAX_FILES:
            raise ValueError(f"it includes more than {_MAX_FILES} files")
    return sorted(found)


def split(text: str) -> tuple[str, ...]:
    r"""Return the words of a line's arguments.

    Blanks separate, quotes of both kinds join, ``\`` escapes a quote, itself, and
    a blank outside quotes. ``#`` at the start of a word begins a comment. Raises
    ValueError for a quote that is not closed.
    """
    words: list[str] = []
    position, end = 0, len(text)
    while position < end:
        if text[position] in " \t":
            position += 1
            continue
        if text[position] == "#":
            break
        word, quote = "", ""
        while position < end:
            char, following = text[position], text[position + 1 : position + 2]
            if char == "\\" and following and following in ("'\"\\ " if not quote else "'\"\\"):
                word += following
                position += 1
            elif not quote and char in " \t":
                break
            elif not quote and char in "'\"":
                quote = char
            elif char == quote:
                quote = ""
            else:
                word += char
            position += 1
        if quote:
            raise ValueError("a quote is not closed")
        words.append(word)
    return tuple(words)


def _text(path: Path, checked: bool) -> str:
    try:
        with path.open("rb") as opened:
            status = os.fstat(opened.fileno())
            raw = opened.read(_MAX_BYTES + 1) if stat.S_ISREG(status.st_mode) else b""
    except FileNotFoundError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise BrokenError(str(path), "", f"it cannot be read: {reason}", _ACCESS) from error
    if not stat.S_ISREG(status.st_mode):
        if str(path) == os.devnull:
            return ""
        raise BrokenError(str(path), "", "it is not a regular file", _ACCESS)
    if checked and (status.st_uid not in (0, os.getuid()) or status.st_mode & 0o022):
        raise BrokenError(
            str(path),
            "",
            "another user owns it or may write to it, and ssh refuses it",
            f"chmod go-w {path}, and check its owner",
        )
    if len(raw) > _MAX_BYTES:
        raise BrokenError(str(path), "", f"it has more than {_MAX_BYTES} bytes", _ACCESS)
    return raw.decode("utf-8", "surrogateescape")


_ACCESS = "give a readable file, or set sshConfig: none"
