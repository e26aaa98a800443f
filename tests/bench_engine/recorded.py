"""Upstream's times as they were measured once, for machines without a `pulumi`.

They are of another run and maybe of another machine, so a ratio to them says
little; the table names version and date.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from tests.bench import figures

_FILE = Path(__file__).with_name("recorded.json")


def load() -> dict[str, Any]:
    """Return what was recorded: version, date, machine, and seconds by measurement."""
    found: dict[str, Any] = json.loads(_FILE.read_text())
    return found


def tool(record: dict[str, Any]) -> str:
    """Return how the table names it."""
    return f"pulumi {record['version']}, recorded {record['date']}"


def write(table: figures.Table, tool_: str, version: str, machine: str) -> None:
    """Keep what `tool_` needed in this run; other measurements stay as they are."""
    before = load()["seconds"] if _FILE.exists() else {}
    seconds = {
        series.what: round(figures.Spread.of(series.values).median, 2)
        for series in table
        if series.tool == tool_ and series.values
    }
    record = {
        "version": version,
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine,
        "seconds": before | seconds,
    }
    _FILE.write_text(json.dumps(record, indent=2) + "\n")
