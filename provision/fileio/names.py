"""Names of files that others chose: which of them are safe to write below a folder.

The rules are those of Git's own checkout (``verify_path`` in read-cache.c,
with its protections for NTFS and HFS+), and the limits of Linux' file systems.
"""

from __future__ import annotations

import re
from typing import Final

LONGEST_NAME: Final = 255
LONGEST_PATH: Final = 3500
"""In bytes: Linux takes 4096 for a whole path, and ours begins with a temporary folder's."""
_PLAIN: Final = re.compile(r"[\w-][\w.-]{0,60}(?:/[\w-][\w.-]{0,60}){0,20}", re.ASCII)
_INVISIBLE: Final = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
"""Code points that HFS+ leaves out when it compares names."""
_GIT_FOLDER: Final = re.compile(r"(?:\.git|git~1)[ .]*(?::.*)?", re.IGNORECASE | re.DOTALL)
"""What NTFS takes for ``.git``: dots and spaces at the end, a stream, the short name."""


def refusal(path: str) -> str:
    """Return why Git would not check out a file at `path`, or an empty text.

    `path` is relative and written with ``/``. A backslash counts as a
    separator too, because other systems read it so.
    """
    if _PLAIN.fullmatch(path) and not _GIT_FOLDER.search(path):
        return ""
    if not path:
        return "the name is empty"
    if "\0" in path:
        return "the name has a NUL character"
    if path.startswith(("/", "\\")):
        return "the path is absolute"
    for part in path.split("/"):
        if not part:
            return "a component of the path is empty"
        for piece in part.split("\\"):
            if piece in (".", ".."):
                return f"a component of the path is {piece!r}"
            if _GIT_FOLDER.fullmatch(_INVISIBLE.sub("", piece)):
                return "a component of the path is Git's own folder .git"
    return ""


def too_long(path: str) -> str:
    """Return why a file at `path` cannot be made on Linux, or an empty text."""
    try:
        parts = [len(part.encode()) for part in path.split("/")]
    except UnicodeEncodeError:
        return "the name is not valid Unicode"
    if max(parts) > LONGEST_NAME:
        return f"a name has {max(parts)} bytes, at most {LONGEST_NAME} are possible"
    if sum(parts) + len(parts) > LONGEST_PATH:
        return f"the path has {sum(parts) + len(parts)} bytes, at most {LONGEST_PATH} are possible"
    return ""
