"""Files and locks: atomic writes, secrets on disk, one process at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Generator
from pathlib import Path

import platformdirs

from provision import errors, progress
from provision.sandbox import jobs
from provision.secret import Secret


def state_root() -> Path:
    """Return the folder that holds one folder per sandbox."""
    return Path(platformdirs.user_state_dir("elysium")) / "sandbox"


def cache_root() -> Path:
    """Return the folder of everything that is built once and kept."""
    return Path(platformdirs.user_cache_dir("elysium")) / "sandbox"


def lock_file(name: str) -> Path:
    """Return the lock file of the sandbox `name`; names are unique on a machine."""
    return Path("/run/lock/elysium-sandbox") / name


def read_secret(path: Path) -> Secret:
    """Return the text of `path` without its line end.

    Raises:
        errors.ElysiumError: when it cannot be read.
    """
    try:
        return Secret(path.read_text().strip())
    except OSError as error:
        raise errors.ElysiumError(
            f"{path} cannot be read.", detail=str(error), hint="Is the sandbox still up?"
        ) from error


@contextlib.contextmanager
def locked(path: Path, *, what: str, say: progress.Progress = progress.silent) -> Generator[None]:
    """Hold the lock file `path`: one process at a time does `what`, the others wait.

    The kernel drops the lock with its process, so a crash leaves none behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        told = False
        while not _try_lock(handle):
            if not told:
                say(f"waiting for another elysium: {what}")
                told = True
            jobs.check()
            time.sleep(0.2)
        yield
    finally:
        os.close(handle)


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def link_or_copy(source: Path, target: Path) -> None:
    """Make `target` the same file as `source`, or a copy where links are not to be had."""
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copy2(source, target)
