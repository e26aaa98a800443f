"""Faults on request: answers that fail, come late, or never come.

A fault matches calls by method and a regular expression over the path (without
``/api/v3``, with the query), lets the first ones pass, and then acts a number
of times. `when` is ``before`` (the call has no effect) or ``after`` (it has,
and only its answer is lost or replaced).
"""

from __future__ import annotations

import itertools
import re
import threading
from dataclasses import dataclass, field
from typing import Any

ACTIONS = ("respond", "hang", "reset", "close", "delay")


@dataclass(kw_only=True)
class Fault:
    """One rule. `times` 0 means for ever; `seconds` is for ``delay`` and ``hang``.

    Actions: ``respond`` (with `status`, `headers`, `body`), ``hang`` (no answer
    for `seconds`, then the connection closes), ``reset`` (TCP reset), ``close``
    (closed without an answer), ``delay`` (then the real answer).
    """

    action: str
    method: str = ""
    path: str = ""
    nth: int = 1
    times: int = 1
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: dict[str, Any] | None = None
    seconds: float = 60.0
    when: str = "before"
    id: int = 0
    seen: int = 0
    hits: int = 0

    def __post_init__(self) -> None:
        if self.action not in ACTIONS or self.when not in ("before", "after"):
            raise ValueError(f"no such fault: {self.action} {self.when}")
        re.compile(self.path)

    def answer(self) -> dict[str, Any]:
        """Return the body to respond with: the given one, or GitHub's for that status."""
        if self.body is not None:
            return self.body
        docs = "https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api"
        if self.status in (403, 429):
            text = "You have exceeded a secondary rate limit. Please wait a few minutes."
            return {"message": text, "documentation_url": docs + "#about-secondary-rate-limits"}
        return {"message": "Server Error", "documentation_url": "https://docs.github.com/rest"}


class Faults:
    """The rules in force."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._faults: list[Fault] = []

    def add(self, **values: Any) -> Fault:
        """Add a rule. Raises ValueError, TypeError or re.error for one that makes no sense."""
        fault = Fault(**values)
        with self._lock:
            fault.id = next(self._ids)
            self._faults.append(fault)
        return fault

    def all(self) -> list[Fault]:
        """Return every rule, also those that are used up."""
        with self._lock:
            return list(self._faults)

    def remove(self, number: int = 0) -> None:
        """Remove one rule, or all."""
        with self._lock:
            self._faults = [f for f in self._faults if number and f.id != number]

    def match(self, method: str, path: str) -> Fault | None:
        """Count the call against every rule and return the first that acts on it."""
        acting: Fault | None = None
        with self._lock:
            for fault in self._faults:
                if fault.method and fault.method != method:
                    continue
                if not re.search(fault.path, path):
                    continue
                fault.seen += 1
                due = fault.seen >= fault.nth and (fault.times == 0 or fault.hits < fault.times)
                if due and acting is None:
                    fault.hits += 1
                    acting = fault
        return acting
