"""The commands of the page for the night, as they stand there."""

from __future__ import annotations

import pathlib
import shlex

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "recovery.md"


def commands() -> list[tuple[str, ...]]:
    """Return the arguments of every ``elysium`` command in the page's blocks, in order."""
    found: list[tuple[str, ...]] = []
    inside = False
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("```"):
            inside = line == "```sh"
        elif inside:
            program, *arguments = shlex.split(line, comments=True)
            assert program == "elysium", line
            found.append(tuple(arguments))
    return found
