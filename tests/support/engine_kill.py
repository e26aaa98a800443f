"""Runs of the engine in a child process that is killed at a chosen moment."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any, Literal

from provision.fileio import atomic

What = Literal["write", "call"]
KILLED = 9
CALLS = ("create", "created", "update", "updated", "delete", "deleted", "read")


def run(work: Callable[[], Any], world: Any, kill_at: int, what: What, dying: Any = None) -> int:
    """Do `work` in a child that dies at the `kill_at`-th moment; return its exit status.

    Moments are, for ``write``, before and after every file written and every
    sync of the journal; for ``call``, every call of a provider in `world`, and
    the end of those that change something. `dying` is called just before.
    The status is 0 when `work` came to its end (well or not) without reaching
    that moment.
    """
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    status = 1
    try:
        _arm(world, kill_at, what, dying or (lambda: None))
        work()
        status = 0
    finally:
        if dying is not None:
            dying()
        os._exit(status)


def _arm(world: Any, kill_at: int, what: What, dying: Callable[[], None]) -> None:
    lock = threading.Lock()
    count = 0

    def tick() -> None:
        nonlocal count
        with lock:
            count += 1
            if count == kill_at:
                dying()
                os._exit(KILLED)

    if what == "call":
        inner = world.note

        def note(method: str, name: str) -> None:
            if method in CALLS:
                tick()
            inner(method, name)

        world.note = note
        return
    real_write, real_sync = atomic.write, os.fsync

    def write(*args: Any, **named: Any) -> None:
        tick()
        real_write(*args, **named)
        tick()

    def sync(descriptor: int) -> None:
        tick()
        real_sync(descriptor)
        tick()

    atomic.write, os.fsync = write, sync
