"""Temporary folders and files that a killed run left, removed by the next one.

Whoever works with one holds a lock on it. What nobody holds was left. Only names of elysium's
own making, owned by this user, are looked at, and no symbolic link is followed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import stat
import time
from pathlib import Path
from typing import IO, Final

_LOCK: Final = ".in-use"
_UNLOCKED: Final = 3600.0
"""Seconds after which a folder without a lock, of an earlier version, counts as left."""
_JUST_MADE: Final = 1.0
"""Seconds in which the program that made a file may not have locked it yet."""
_RANDOM: Final = re.compile(r"[a-z0-9_]{8}")


def claim(folder: Path) -> IO[str]:
    """Return what holds `folder` for this process; close it when the folder is not needed."""
    # The lock is taken before the file has its name: another program never sees it free.
    unnamed = folder / f"{_LOCK}.new"
    held = os.fdopen(os.open(unnamed, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w")
    fcntl.flock(held, fcntl.LOCK_EX)
    unnamed.rename(folder / _LOCK)
    return held


def sweep(parent: Path, prefix: str) -> None:
    """Remove the folders in `parent` that `tempfile` named after `prefix` and nobody holds."""
    with contextlib.suppress(OSError):
        for path in sorted(parent.glob(f"{prefix}*")):
            if _RANDOM.fullmatch(path.name[len(prefix) :]):
                with contextlib.suppress(OSError):
                    _remove(path)


def _remove(path: Path) -> None:
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        return
    lock = path / _LOCK
    if not lock.exists():
        if time.time() - found.st_mtime > _UNLOCKED:
            shutil.rmtree(path)
        return
    with lock.open("r+") as left:
        fcntl.flock(left, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path)


def sweep_beside(path: Path) -> None:
    """Remove the temporary files of `atomic` beside `path` that nobody holds."""
    name = re.compile(rf"\.{re.escape(path.name)}\.[0-9a-f]{{8}}\.tmp")
    with contextlib.suppress(OSError):
        for entry in list(os.scandir(path.parent)):
            if name.fullmatch(entry.name):
                with contextlib.suppress(OSError):
                    _unlink(Path(entry.path))


def _unlink(path: Path) -> None:
    found = path.lstat()
    mine = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()
    if not mine or time.time() - found.st_mtime < _JUST_MADE:
        return
    with path.open("rb") as left:
        fcntl.flock(left, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
