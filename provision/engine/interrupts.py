"""Ctrl-C, in three steps: finish what is under way, cancel it, leave at once."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Generator
from types import FrameType


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
