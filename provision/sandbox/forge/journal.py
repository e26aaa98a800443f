"""Logs as JSON lines: one object a line, appended whole, safe from several processes."""

from __future__ import annotations

import datetime
import json
import os
from pathlib import Path
from typing import Any


def now() -> str:
    """Return the time in UTC with microseconds, as ISO 8601."""
    return datetime.datetime.now(datetime.UTC).isoformat()


class Journal:
    """A file of JSON lines.

    Each record is one ``write`` to a descriptor opened for appending, so lines
    of several writers never mix.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, **record: Any) -> None:
        """Append `record`, with the time first."""
        line = json.dumps({"time": now(), **record}, separators=(",", ":")) + "\n"
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)

    def read(self, since: int = 0) -> list[dict[str, Any]]:
        """Return every whole record after the first `since`; none if there is no file."""
        if not self.path.exists():
            return []
        lines = self.path.read_text().split("\n")[:-1]
        return [json.loads(line) for line in lines[since:]]


def seconds() -> int:
    """Return the time in whole seconds since 1970."""
    return int(datetime.datetime.now(datetime.UTC).timestamp())
