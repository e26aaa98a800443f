"""Whether a pull request can be merged: GitHub finds out in the background.

Facts: "REST API endpoints for pull requests", "Get a pull request": ``mergeable`` is true, false or
null; null means that a job was started, and the caller has to ask again.
"""

from __future__ import annotations

import threading


class Mergeability:
    """The pairs of commits whose mergeability was asked for, by pull request.

    Nothing is kept over a restart: then the first answer is null again.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: dict[int, tuple[str, str]] = {}

    def known(self, pull: int, head: str, base: str, *, reads: bool) -> bool:
        """Return whether the job for these commits has ended.

        It has not when the caller is the first that reads (`reads`) the pull request since either
        branch moved. An answer to a change (not `reads`) does not count as read.
        """
        with self._lock:
            known = self._asked.get(pull) == (head, base)
            if reads:
                self._asked[pull] = (head, base)
            return known
