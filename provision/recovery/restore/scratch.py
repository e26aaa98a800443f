"""Folders for one run: removed at its end, or, where it was killed, by the next one."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Final

_LOCK: Final = ".in-use"


@contextlib.contextmanager
def folder(kind: str) -> Generator[Path]:
    """Make a folder that only this user can look into, and remove it at the end.

    What killed runs left of this `kind` goes first; a run under way holds a
    lock on its own.
    """
    prefix = f"elysium-{kind}-"
    _sweep(prefix)
    with (
        tempfile.TemporaryDirectory(prefix=prefix) as name,
        (Path(name) / _LOCK).open("w") as held,
    ):
        fcntl.flock(held, fcntl.LOCK_EX)
        yield Path(name)


def _sweep(prefix: str) -> None:
    for path in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        with contextlib.suppress(OSError):
            if path.lstat().st_uid != os.geteuid() or path.is_symlink():
                continue
            with (path / _LOCK).open("r+") as left:
                fcntl.flock(left, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path)
