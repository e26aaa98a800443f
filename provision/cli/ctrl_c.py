"""Ctrl-C, from the first press to the last word.

The first press ends what is under way, a second cuts short how that ends; then
the call says how it ended, which no press cuts short; once that is said, a
press leaves at once. While the engine runs, it counts the presses itself.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from types import FrameType
from typing import Any, TextIO

RAISED = 2
"""As many presses raise KeyboardInterrupt: the nested handlers of `main` take two."""
INTERRUPTED = 130
_MOMENT = 0.01
"""Seconds after which a signal that came during an import is looked at again."""


class Presses:
    """What SIGINT does while a call lasts. It stays ignored where it was, as in ``nohup``.

    `telling` is set by whoever begins to say how the call ended.
    """

    def __init__(self) -> None:
        self.telling = False
        self._count = 0
        self._told = False
        self._before: Any = None

    def heed(self) -> None:
        """Begin to count them."""
        if threading.current_thread() is not threading.main_thread():
            return  # signals are not ours
        before = signal.getsignal(signal.SIGINT)
        if before is not signal.SIG_IGN:
            self._before = signal.signal(signal.SIGINT, self._pressed)

    def over(self) -> None:
        """All was said and the process ends: from now on, and if it was pressed, at once."""
        self._told = True
        if self.telling and self._count > 1:
            _leave()

    def give_back(self) -> None:
        """Put back what SIGINT did before: the process goes on."""
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None

    def _pressed(self, number: int, frame: FrameType | None) -> None:
        if importing(frame) and not self._told:
            again(number)
            return
        self._count += 1
        if self._told:
            _leave()
        if not self.telling and self._count <= RAISED:
            raise KeyboardInterrupt


def importing(frame: FrameType | None) -> bool:
    """Return whether a module is being imported: an exception there may be lost, or shown."""
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


def again(number: int) -> None:
    """Send this process the signal `number` once more, in a moment."""
    timer = threading.Timer(_MOMENT, lambda: os.kill(os.getpid(), number))
    timer.daemon = True
    timer.start()


def _leave() -> None:
    """End the process, whatever still runs in it."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(INTERRUPTED)


def await_line(stream: TextIO) -> None:
    """Return when `stream`, a terminal, has something to read; Ctrl-C raises at once.

    A signal that comes just before a blocking read does not end the read, and
    would be seen only after the next key: the pipe that Python writes signals
    to is waited for as well.
    """
    if threading.current_thread() is not threading.main_thread() or not stream.isatty():
        return
    reading, writing = os.pipe()
    try:
        os.set_blocking(writing, False)
        before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        try:
            while not select.select([stream, reading], [], [])[0].count(stream):
                os.read(reading, 64)  # a signal; its handler has run, and did not raise
        finally:
            signal.set_wakeup_fd(before)
    finally:
        os.close(reading)
        os.close(writing)
