"""The word that a run is to end now: every wait asks for it.

The first Ctrl-C lets what is under way finish. The second one cancels it: whoever waits,
for a condition, an answer or a command, raises `errors.InterruptedByUser` soon after.
"""

from __future__ import annotations

import threading
import time

from provision import errors


class Cancellation:
    """Whether a run was cancelled. Safe in threads. It is a clock, too: its sleep ends then."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        """End every wait."""
        self._event.set()

    @property
    def cancelled(self) -> bool:
        """Whether the run is to end."""
        return self._event.is_set()

    def check(self) -> None:
        """Raise `errors.InterruptedByUser` where the run was cancelled."""
        if self._event.is_set():
            raise interrupted()

    def monotonic(self) -> float:
        """Return seconds from some fixed point."""
        return time.monotonic()

    def sleep(self, seconds: float, /) -> None:
        """Let that many seconds go by; raise `errors.InterruptedByUser` once cancelled."""
        if self._event.wait(seconds):
            raise interrupted()


def interrupted(what: str = "") -> errors.InterruptedByUser:
    """Return the error for what was cancelled: `what`, a clause, if given."""
    return errors.InterruptedByUser(
        f"{what or 'waiting'} was interrupted",
        hint="run the same command again: it goes on from here",
    )
