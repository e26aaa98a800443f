"""No core dump of a process that holds credentials.

A core dump holds all memory, tokens and keys included, and often ends up in a
folder, a journal or a crash report that others read.
"""

from __future__ import annotations

import contextlib
import sys

_PR_SET_DUMPABLE = 4


def limit() -> None:
    """Forbid core files. Cheap, so that it can be the first thing a process does."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (0, most))


def forbid() -> None:
    """Forbid core dumps altogether, also those that the kernel pipes to a program.

    Processes of the same user cannot read this one's memory any more either.
    Loading `ctypes` takes some milliseconds, which the help of a command does
    without. What this process starts is not concerned.
    """
    limit()
    if sys.platform != "linux":
        return
    with contextlib.suppress(ImportError, OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
