"""Standard output and standard error that cannot be written: full, closed, or gone."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import NoReturn

FAILED = 1
_PRINTERS = ("click.utils", "rich.", "provision.cli.terminal")


class _Closed(io.TextIOBase):
    """Standard output where the shell closed it: what is printed must not be lost in silence."""

    def writable(self) -> bool:
        """Return true: writing is what fails."""
        return True

    def write(self, _text: str) -> NoReturn:
        """Raise `OSError`, as the closed descriptor does."""
        raise OSError(9, os.strerror(9))

    def flush(self) -> None:
        """Do nothing: nothing was written."""


def prepare() -> None:
    """Occupy the descriptors that the shell closed, so that no file of ours takes their number."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
    if sys.stdin is None:
        sys.stdin = os.fdopen(0, encoding="utf-8")
    if sys.stdout is None:
        sys.stdout = _Closed()
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", encoding="utf-8")


def is_of_output(error: OSError) -> bool:
    """Return whether printing raised `error`, and not the work on some file."""
    if error.filename is not None:
        return False
    trace = error.__traceback__
    while trace is not None:
        if str(trace.tb_frame.f_globals.get("__name__", "")).startswith(_PRINTERS):
            return True
        trace = trace.tb_next
    return False


def finish(code: int) -> int:
    """Return the exit status after what is buffered was written: at least 1 where it was not.

    A stream that fails is turned to nowhere, so that the interpreter's end says no more of it.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            code = code or FAILED
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return code
