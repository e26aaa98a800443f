"""Primary rate limits, and the headers that tell of them.

Facts: "Rate limits for the REST API": 5000 requests an hour for a token, 60 for
nobody; ``x-ratelimit-limit``, ``-remaining``, ``-used``, ``-reset`` (seconds
since 1970) and ``-resource`` on every answer; beyond the limit 403 or 429 with
``x-ratelimit-remaining`` 0; asking ``/rate_limit`` does not count.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from provision.sandbox.forge import journal, messages

_DOCUMENTATION = "https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api"
_HOUR = 3600


@dataclass(kw_only=True)
class Window:
    """One hour of one caller."""

    limit: int
    reset: int
    used: int = 0

    def headers(self) -> dict[str, str]:
        """Return the rate-limit headers."""
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(max(0, self.limit - self.used)),
            "X-RateLimit-Used": str(self.used),
            "X-RateLimit-Reset": str(self.reset),
            "X-RateLimit-Resource": "core",
        }

    def body(self) -> dict[str, int]:
        """Return the schema's ``rate-limit``."""
        remaining = max(0, self.limit - self.used)
        return {
            "limit": self.limit,
            "used": self.used,
            "remaining": remaining,
            "reset": self.reset,
        }


class Limits:
    """The windows of all callers, by token id."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._windows: dict[str, Window] = {}

    def window(self, caller: str) -> Window:
        """Return the caller's window, a new one when the old one has ended."""
        with self._lock:
            window = self._windows.get(caller)
            if window is None or window.reset <= journal.seconds():
                limit = window.limit if window else (5000 if caller else 60)
                window = Window(limit=limit, reset=journal.seconds() + _HOUR)
                self._windows[caller] = window
            return window

    def set(self, caller: str, *, remaining: int, reset_in: int) -> None:
        """Make the caller's window have so many requests left, and end so many seconds from now."""
        window = self.window(caller)
        with self._lock:
            window.used = window.limit - remaining
            window.reset = journal.seconds() + reset_in

    def count(self, caller: str) -> Window:
        """Count one request. Raises the 403 when there is none left."""
        window = self.window(caller)
        with self._lock:
            exhausted = window.used >= window.limit
            window.used = min(window.limit, window.used + 1)
        if exhausted:
            who = f"user ID {caller}" if caller else "127.0.0.1"
            raise messages.ApiError(
                403,
                f"API rate limit exceeded for {who}.",
                documentation=_DOCUMENTATION,
            )
        return window
