"""Text of POSIX shell scripts: what every script starts with, and quoting."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

PRELUDE = (
    "PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/bin\n"
    "LC_ALL=C\nexport PATH LC_ALL\numask 022\ncd /\n"
)


def quote(words: Iterable[str]) -> str:
    """Return the words quoted for a shell, separated by blanks."""
    return " ".join(shlex.quote(word) for word in words)
