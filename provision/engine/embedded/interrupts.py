"""Ctrl-C, in three steps: finish what is under way, cancel it, leave at once."""

from __future__ import annotations

import contextlib
import queue
import signal
import threading
from collections.abc import Callable, Generator
from types import FrameType
from typing import Final, TypeVar

from provision import errors

T = TypeVar("T")
_PIECE: Final = 0.2
"""Seconds."""


@contextlib.contextmanager
def handled(pressed: Callable[[int], None]) -> Generator[None]:
    """Call `pressed` with 1, 2, 3, … at each SIGINT or SIGTERM while this is entered.

    Does nothing outside the main thread, where no signal can be handled.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    count = 0

    def handler(_number: int, _frame: FrameType | None) -> None:
        nonlocal count
        count += 1
        pressed(count)

    before = {each: signal.signal(each, handler) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, old in before.items():
            signal.signal(each, old)


def drained(waiting: queue.SimpleQueue[T | None]) -> Generator[T]:
    """Yield what comes in `waiting` until None does.

    A signal that arrives just before a thread begins to wait does not wake
    it, so the waiting is done in short pieces.
    """
    while True:
        try:
            found = waiting.get(timeout=_PIECE)
        except queue.Empty:
            continue
        if found is None:
            return
        yield found


class Left(Exception):
    """The user left without waiting; nothing may be written any more."""

    def __init__(self, interrupted: errors.InterruptedByUser) -> None:
        super().__init__(str(interrupted))
        self.interrupted = interrupted
