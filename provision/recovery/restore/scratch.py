"""Folders for one run: removed at its end, or, where it was killed, by the next one."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Generator
from pathlib import Path

from provision.fileio import leftovers


@contextlib.contextmanager
def folder(kind: str) -> Generator[Path]:
    """Make a folder that only this user can look into, and remove it at the end.

    What killed runs left of this `kind` goes first; a run under way holds a
    lock on its own.
    """
    prefix = f"elysium-{kind}-"
    leftovers.sweep(Path(tempfile.gettempdir()), prefix)
    with (
        tempfile.TemporaryDirectory(prefix=prefix) as name,
        leftovers.claim(Path(name)),
    ):
        yield Path(name)
