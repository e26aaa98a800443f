r"""Text of POSIX shell scripts: quoting, what every script starts with, and how it travels.

An SSH server hands a command line to the login shell of the user, which may be
fish, tcsh or xonsh. These shells read quotes and backslashes in other ways than
a POSIX shell. A script therefore never stands in the command line: it goes over
standard input, before the input of the script itself. The command line that
reads it (`command`) consists of words of letters, digits and ``/ -``, and of
texts in single quotes without ``\``, ``!``, ``$``, ``~``, ``'`` and line breaks.
All shells read that alike.

A login shell may print a greeting and set an environment of its own
(``.bashrc``, ``.zshenv``, ``config.fish``). Scripts run without that
environment, and their output begins after the mark `RUNNING`.
"""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Iterable
from typing import Final

PATH: Final = (
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/bin"
    ":/run/wrappers/bin:/run/current-system/sw/bin"
)
"""Where programs are on a node; the last two for NixOS."""

_COMMON = (
    "unset BASH_ENV ENV CDPATH IFS GREP_OPTIONS LC_CTYPE LANGUAGE POSIXLY_CORRECT\n"
    f"PATH={PATH}\nLC_ALL=C\nexport PATH LC_ALL\n"
)
PRELUDE: Final = f"{_COMMON}HOME=/root\nexport HOME\numask 022\ncd /\n"
"""What every script of root's starts with. sudo may keep or set what `command` took away."""

USER_PRELUDE: Final = (
    f"{_COMMON}umask 077\n"
    'HOME=$(getent passwd "$(id -u)" 2>/dev/null | cut -d: -f6)\n'
    '[ -n "$HOME" ] || HOME=$(awk -F: -v id="$(id -u)" \'$3 == id { print $6 }\' /etc/passwd)\n'
    'export HOME\ncd "$HOME" 2>/dev/null || cd /\n'
)
"""What a script of the login's own user starts with: relative paths are below its home."""

RUNNING: Final = f"elysium-runs-{secrets.token_hex(8)}:"
"""The line that each script prints on both outputs before anything else: nobody else knows it."""


def quote(words: Iterable[str]) -> str:
    """Return the words quoted for a POSIX shell, separated by blanks."""
    return " ".join(shlex.quote(word) for word in words)


def command(script: str, *words: str, before: str = "") -> str:
    """Return the command line that reads `script` from standard input and runs it.

    `words` come before the shell, such as ``sudo -n``. `before` is a simple
    command that the shell runs before it reads the script. ``dd`` with a block
    of one byte reads the script and nothing of the input that follows. Nothing
    of the login's environment reaches them.
    """
    reader = f'eval "`dd ibs=1 count={len(framed(script))} 2>/dev/null`"'
    if before:
        reader = f"{before}; {reader}"
    # The locale lets a shell read a script with characters beyond ASCII.
    clean = ("exec", "/usr/bin/env", "-i", f"'PATH={PATH}'", "'LC_CTYPE=C.UTF-8'")
    return " ".join((*clean, *words, "/bin/sh", "-c", f"'{reader}'"))


def framed(script: str) -> bytes:
    """Return what goes to standard input for `script`.

    The braces make the shell read the script to its end before it runs the
    first line. A script that arrives in part is a syntax error and does nothing.
    """
    return f"{{\necho {RUNNING}\necho {RUNNING} >&2\n{script}\n}}".encode()


def started() -> bytes:
    """Return the line after which the output of a script begins."""
    return f"{RUNNING}\n".encode()


def ran(stderr: bytes) -> bool:
    """Return whether the script began, by its standard error."""
    return started() in stderr


def strip(stderr: bytes | bytearray) -> bytes:
    """Return the standard error of a script, without the mark and what was printed before it."""
    before, mark, own = stderr.partition(started())
    return bytes(own if mark else before)
