"""Sees that the program waits for itself: resources whose inputs form a circle.

The SDK registers a resource when all that it needs is known, so a circle is
no error to it: it waits for ever. Here that shows as an event loop that
sleeps with nothing left that could wake it.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import types
from typing import Any, Final

from provision import errors
from provision.engine.embedded import workers

_OURS: Final = ("provision.", "paramiko.", "rich.")


class Watch:
    """Looks at one program: its thread, its loop, and the pool that works for it."""

    def __init__(
        self, thread: threading.Thread, loop: asyncio.AbstractEventLoop, pool: workers.DaemonPool
    ) -> None:
        """Take what was there before the program began as none of its own."""
        self._thread = thread
        self._loop: Any = loop
        self._pool = pool
        self._before = set(threading.enumerate())

    def is_stuck(self) -> bool:
        """Return whether the loop sleeps, and nothing can wake it any more.

        That is: no call of the pool is under way, no timer runs, no socket or
        process is watched, and the program has no thread that could set a future.
        """
        frame = self._frame()
        if frame is None or frame.f_code.co_name != "select" or self._pool.busy:
            return False
        loop = self._loop
        watched = set(loop._selector.get_map() or ())
        if loop._ready or loop._scheduled or watched - {loop._ssock.fileno()}:
            return False
        if any(map(_may_wake, set(threading.enumerate()) - self._before)):
            return False
        # It slept all the while: else each look may have been at another moment.
        return self._frame() is frame

    def _frame(self) -> types.FrameType | None:
        return sys._current_frames().get(self._thread.ident or 0)  # pyright: ignore[reportPrivateUsage]

    def end(self) -> errors.StackError:
        """End the program, and return the error that names what waits."""
        tasks = asyncio.all_tasks(self._loop)
        names = sorted(filter(None, map(_resource, tasks)))
        what = ", ".join(dict.fromkeys(names)) or "an output that nothing will set"
        self._loop.call_soon_threadsafe(lambda: [task.cancel() for task in tasks])
        return errors.StackError(
            f"the program cannot go on: it waits for itself at {what}",
            operation="program",
            hint="inputs or depends_on form a circle there; take it apart",
        )


def _may_wake(thread: threading.Thread) -> bool:
    """Return whether the program may have made `thread`, so that it may set a future some day."""
    made_for = getattr(thread, "_target", None) or type(thread)
    return not str(getattr(made_for, "__module__", "")).startswith(_OURS)


def _resource(task: asyncio.Task[Any]) -> str:
    """Return type and name of the resource that `task` registers or reads, else nothing."""
    frame = getattr(task.get_coro(), "cr_frame", None)
    if frame is None or frame.f_code.co_name not in ("do_register", "do_read"):
        return ""
    return f"{frame.f_locals.get('ty', '')} '{frame.f_locals.get('name', '')}'"
