"""Replacing several files as one: all of them are the new ones, or none is.

No file system renames two files at once, so a record decides. In this order,
each step synced before the next:

1. the record says ``preparing`` and names the files beside the old ones that
   will hold the new contents; they are written and synced;
2. the record is replaced by one that says ``committed``: **from here on the
   new contents are in force**;
3. each new file is renamed over the old one; the record is removed.

Killed before 2, `finish` takes the new files away again; killed after it,
`finish` does the renames that are left. Neither needs a key or a passphrase.
While a process is at it, it holds a lock on the record's ``.lock`` file, which
the kernel drops when the process ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from provision import errors, safejson
from provision.fileio import atomic

_SUFFIX = ".switching"


@dataclass(frozen=True, kw_only=True)
class NewFile:
    """A file and what it is to hold. `mode` None keeps the permissions it has."""

    path: Path
    content: bytes
    mode: int | None = None


def switch(record: Path, wanted: Sequence[NewFile]) -> None:
    """Give every file of `wanted` its new content, all or none.

    `record` is where the state of the switch is kept. Raises
    `errors.StackError` when a file cannot be written, with all as it was, and
    when another process is switching.
    """
    try:
        record.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _held(record, wait=False):
            _finish(record)
            _write(record, {"state": "preparing", "files": [_entry(each) for each in wanted]})
            try:
                for each in wanted:
                    _stage(each)
            except BaseException:
                _finish(record)
                raise
            _write(record, {"state": "committed", "files": [_entry(each) for each in wanted]})
            _finish(record)
    except OSError as error:
        raise errors.StackError(
            f"{error.filename or record} cannot be written",
            operation="switch files",
            detail=error.strerror or str(error),
            hint="nothing was switched; make room or give write access, and run it again",
        ) from error


def finish(record: Path) -> None:
    """Finish, or take back, what a killed process left.

    Costs one look at the disk where there is nothing. While another process is
    still preparing, the old files are in force and nothing is done; one that
    is renaming is waited for. Raises `errors.StackError` when a file was
    changed by something else after the switch was decided.
    """
    if not record.exists():
        return
    try:
        with _held(record, wait=_read(record).get("state") == "committed"):
            _finish(record)
    except _Busy:
        return
    except OSError as error:
        raise errors.StackError(
            f"what an interrupted switch of files left at {record} cannot be finished",
            operation="switch files",
            detail=f"{error.filename or ''}: {error.strerror or error}",
            hint="make room or give write access, then run the same command again",
        ) from error


class _Busy(errors.StackError):
    """Another process holds the record."""


@contextlib.contextmanager
def _held(record: Path, *, wait: bool) -> Generator[None]:
    handle = os.open(record.with_name(record.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise _Busy(
                "another process is replacing the same files",
                operation="switch files",
                hint="wait until it is done",
            ) from None
        yield
    finally:
        os.close(handle)


def _finish(record: Path) -> None:
    found = _read(record)
    if not found:
        return
    if found["state"] == "committed":
        for entry in found["files"]:
            _put(record, entry)
        for folder in {Path(entry["path"]).parent for entry in found["files"]}:
            _sync(folder)
    else:
        for entry in found["files"]:
            _staged(Path(entry["path"])).unlink(missing_ok=True)
    record.unlink(missing_ok=True)
    _sync(record.parent)


def _put(record: Path, entry: dict[str, Any]) -> None:
    """Rename one new file into its place, unless that was done."""
    path = Path(entry["path"])
    staged = _staged(path)
    if not staged.exists():
        return  # renamed before; what was written to the file since is newer
    if path.exists() and _digest(path.read_bytes()) != entry["before"]:
        raise errors.StackError(
            f"{path} was changed after its replacement was decided",
            operation="switch files",
            hint=f"compare it with {staged}: keep one of them as {path.name}, remove the other, "
            f"and run the same command again (the record is {record})",
        )
    staged.replace(path)


def _entry(wanted: NewFile) -> dict[str, Any]:
    path = wanted.path.resolve()
    before = _digest(path.read_bytes()) if path.exists() else ""
    return {"path": str(path), "before": before}


def _stage(wanted: NewFile) -> None:
    path = wanted.path.resolve()
    mode = wanted.mode
    if mode is None:
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
    staged = _staged(path)
    staged.unlink(missing_ok=True)
    handle = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(wanted.content)
        file.flush()
        os.fchmod(file.fileno(), mode)
        os.fsync(file.fileno())
    _sync(path.parent)


def _staged(path: Path) -> Path:
    return path.with_name(f".{path.name}{_SUFFIX}")


def _write(record: Path, body: dict[str, Any]) -> None:
    atomic.write(record, json.dumps(body, indent=2) + "\n")


def _read(record: Path) -> dict[str, Any]:
    try:
        found = safejson.loads(record.read_bytes())
        if not _is_record(found):
            raise ValueError("it is no record of a switch")
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise errors.StackError(
            f"{record} cannot be understood",
            operation="switch files",
            hint=f"files that end in {_SUFFIX} lie beside those they were to replace; "
            "remove the record once you have put them right",
        ) from error
    return dict(found)


def _is_record(found: Any) -> bool:
    """Return whether `found` is what `_write` writes; files are renamed and removed by it."""
    if not isinstance(found, dict):
        return False
    body = cast("dict[str, Any]", found)
    files = body.get("files")
    return (
        body.get("state") in ("preparing", "committed")
        and isinstance(files, list)
        and all(_is_entry(entry) for entry in cast("list[Any]", files))
    )


def _is_entry(entry: Any) -> bool:
    if not isinstance(entry, dict):
        return False
    path, before = (cast("dict[str, Any]", entry).get(key) for key in ("path", "before"))
    if not isinstance(path, str) or not isinstance(before, str) or "\0" in path:
        return False
    return Path(path).is_absolute() and Path(path).name != ""


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _sync(folder: Path) -> None:
    with contextlib.suppress(OSError):  # some network file systems cannot sync a folder
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
