"""Writing files so that a crash leaves the old one or the new one, never half of one."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from pathlib import Path


def write(path: Path, data: bytes, *, sync: bool = True) -> None:
    """Put `data` at `path`: a temporary file in the same folder, synced, renamed.

    `sync` False leaves the moment of reaching the disk to the kernel, for
    files that may be lost (history); the file is still never half written.
    Only the user may read what is written.
    """
    folder(path.parent)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if sync:
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    if sync:
        sync_folder(path.parent)


def keep(path: Path, copy: Path) -> None:
    """Make `copy` hold what `path` holds now.

    A copy and not a link: someone who edits `path` in place must not change
    what was kept of it.
    """
    folder(copy.parent)
    temporary = copy.with_name(f".{copy.name}.{secrets.token_hex(4)}.tmp")
    shutil.copy2(path, temporary)
    temporary.replace(copy)


def folder(path: Path) -> None:
    """Make the folder `path` and what is missing above it, for the user alone."""
    if not path.is_dir():
        folder(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)


def sync_folder(path: Path) -> None:
    """Make renames in `path` survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
