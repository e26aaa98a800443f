"""What upstream's engine did, as `record` wrote it down."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

WANTED = {
    "partly-created-refresh": "a read does not settle what was made only in part",
    "import-missing": "what is not there is not recorded",
    "get-missing": "what is not there is not recorded",
}
"""Sequences in which ours is to differ, with the reason; docs/engine.md says more."""

FOLDER = Path(__file__).parent / "recordings"


def names() -> set[str]:
    return {path.stem for path in FOLDER.glob("*.json")}


def steps(name: str) -> list[dict[str, Any]]:
    body = json.loads((FOLDER / f"{name}.json").read_text())
    return body["steps"]


def require_same(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    """Raise `AssertionError` naming the first step and part of it that differ."""
    for index, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
        assert set(ours) == set(theirs), f"step {index}"
        for key, value in theirs.items():
            assert ours[key] == value, f"step {index}: {key}"
