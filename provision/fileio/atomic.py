"""Replacing the content of one file: a reader sees the old content or the new.

A crash leaves one of the two as well. At most a temporary file with the suffix
``.tmp`` stays beside the file, which the next write of that file removes.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import shutil
from pathlib import Path

from provision.fileio import leftovers


def write(
    path: Path,
    content: bytes | str,
    *,
    mode: int | None = 0o600,
    sync: bool = True,
    read_back: bool = False,
) -> None:
    """Replace the content of `path`, through symbolic links.

    Folders above that are missing are created for the user alone.

    Args:
        path: The file. A symbolic link stays, and the file it points to is replaced.
        content: The new content; text is written as UTF-8.
        mode: The permissions of the file. None keeps those of an existing file
            and gives a new one 0644.
        sync: Whether the content is on the disk on return. False is for files
            that may be lost in a power cut, such as caches.
        read_back: Whether the written file is read and compared before it replaces the old one.

    Raises:
        OSError: The file cannot be written, or reads back as another; it is as it was.
    """
    path = path.resolve()
    folder(path.parent)
    if mode is None:
        try:
            mode = path.stat().st_mode & 0o777
        except FileNotFoundError:
            mode = 0o644
    data = content.encode() if isinstance(content, str) else content
    temporary = _beside(path)
    leftovers.sweep_beside(path)
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # held by nobody, it was left
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            if sync:
                os.fsync(file.fileno())
        if read_back and temporary.read_bytes() != data:
            raise OSError(errno.EIO, "what was read back is not what was written")
        temporary.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        unnamed = (None, str(temporary))
        if isinstance(error, OSError) and error.errno and error.filename in unnamed:
            error.filename = str(path)  # a full disk names no file
        raise
    if sync:
        sync_folder(path.parent)


def keep(path: Path, copy: Path) -> None:
    """Copy `path` to `copy`, with its permissions and times.

    This is no link: a program that edits `path` in place must not change the
    copy. Raises `OSError`.
    """
    folder(copy.parent)
    temporary = _beside(copy)
    try:
        shutil.copy2(path, temporary)
        temporary.replace(copy)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def move(temporary: Path, path: Path) -> None:
    """Rename the complete file `temporary` to `path`, its content on the disk first.

    Both are on one file system. Raises `OSError`.
    """
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary.replace(path)


def folder(path: Path) -> None:
    """Create the folder `path` and those missing above it, for the user alone."""
    if not path.is_dir():
        folder(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)


def sync_folder(path: Path) -> None:
    """Make renames in the folder `path` survive a power cut, where its file system can."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems cannot sync a folder
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
