r"""Text of POSIX shell scripts: quoting, what every script starts with, and how it travels.

An SSH server hands a command line to the login shell of the user, which may be
fish, tcsh or xonsh. These shells read quotes and backslashes in other ways than
a POSIX shell. A script therefore never stands in the command line: it goes over
standard input, before the input of the script itself. The command line that
reads it (`command`) consists of words of letters, digits and ``/ -``, and of one
text in single quotes without ``\``, ``!``, ``$``, ``~``, ``'`` and line breaks.
All shells read that alike.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import Final

PRELUDE = (
    "PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/bin\n"
    "LC_ALL=C\nexport PATH LC_ALL\numask 022\ncd /\n"
)

RUNNING: Final = "elysium-runs:"
"""What each script says on standard error before anything else."""


def quote(words: Iterable[str]) -> str:
    """Return the words quoted for a POSIX shell, separated by blanks."""
    return " ".join(shlex.quote(word) for word in words)


def command(script: str, *words: str, before: str = "") -> str:
    """Return the command line that reads `script` from standard input and runs it.

    `words` come before the shell, such as ``sudo -n``. `before` is a simple
    command that the shell runs before it reads the script. ``dd`` with a block
    of one byte reads the script and nothing of the input that follows.
    """
    reader = f'eval "`dd ibs=1 count={len(framed(script))} 2>/dev/null`"'
    if before:
        reader = f"{before}; {reader}"
    return " ".join(("exec /usr/bin/env", *words, "/bin/sh", "-c", f"'{reader}'"))


def framed(script: str) -> bytes:
    """Return what goes to standard input for `script`.

    The braces make the shell read the script to its end before it runs the
    first line. A script that arrives in part is a syntax error and does nothing.
    """
    return f"{{\necho {RUNNING} >&2\n{script}\n}}".encode()


def ran(stderr: bytes) -> bool:
    """Return whether the script began, by its standard error."""
    return f"{RUNNING}\n".encode() in stderr


def strip(stderr: bytes) -> bytes:
    """Return the standard error of a script without the mark."""
    return stderr.replace(f"{RUNNING}\n".encode(), b"", 1)
