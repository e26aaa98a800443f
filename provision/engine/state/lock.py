"""The stack's lock: one run at a time, whichever engine runs it.

Pulumi's protocol: look for other locks, write mine, look again, take mine
back if another one came in between. The body is what Pulumi writes, plus what
tells whether its process still lives, so that a lock left by a crash on this
machine is taken away by the next run; a lock of another machine or engine
never is.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import socket
import uuid
from pathlib import Path
from typing import Any, Self

from provision import errors, safejson
from provision.engine.state import record
from provision.fileio import atomic

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_PID_NAMESPACE = Path("/proc/self/ns/pid")


class StackLock:
    """A lock in `folder`; a context manager, or `acquire` and `release`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mine = folder / f"{uuid.uuid4()}.json"
        self._kept = False
        self.broken: list[str] = []
        """What was said about locks of crashed runs that were taken away."""

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def acquire(self) -> None:
        """Take the lock. Raises `errors.StackError` naming who holds it."""
        self._refuse_others()
        atomic.write(self._mine, json.dumps(_body()).encode(), sync=False)
        try:
            self._refuse_others()
        except BaseException:
            self.release()
            raise

    def keep(self) -> None:
        """Leave the lock until this process ends; the next run then takes it away."""
        self._kept = True

    def release(self) -> None:
        """Give the lock back. Does nothing where it is not held, or is kept."""
        if self._kept:
            return
        with contextlib.suppress(OSError):
            self._mine.unlink(missing_ok=True)

    def _refuse_others(self) -> None:
        for path, body in held(self._folder):
            if path == self._mine:
                continue
            if _is_dead(body):
                path.unlink(missing_ok=True)
                self.broken.append(
                    f"took away the lock of a run that ended without it: {_who(body)}"
                )
                continue
            raise errors.StackError(
                f"the stack is locked by {_who(body)}",
                operation="lock",
                hint="wait until that run is over; if it no longer runs anywhere, "
                "`elysium stack unlock` takes the lock away",
            )


def held(folder: Path) -> list[tuple[Path, dict[str, Any]]]:
    """Return every lock in `folder` with its body (empty where it cannot be read)."""
    found: list[tuple[Path, dict[str, Any]]] = []
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        if path.name.startswith("."):
            continue
        body: Any = {}
        with contextlib.suppress(OSError, ValueError):
            body = safejson.loads(path.read_bytes())
        found.append((path, body if isinstance(body, dict) else {}))
    return found


def describe(body: dict[str, Any]) -> str:
    """Return who holds the lock with this body, for people."""
    return _who(body)


def _body() -> dict[str, Any]:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return {
        "pid": os.getpid(),
        "username": user,
        "hostname": socket.gethostname(),
        "timestamp": record.now(),
        "elysium": {
            "bootId": _boot_id(),
            "pidNamespace": _pid_namespace(),
            "started": _started(os.getpid()),
        },
    }


def _is_dead(body: dict[str, Any]) -> bool:
    ours = body.get("elysium")
    if not isinstance(ours, dict) or body.get("hostname") != socket.gethostname():
        return False
    if ours.get("bootId") != _boot_id():
        return bool(ours.get("bootId"))
    if ours.get("pidNamespace") != _pid_namespace():
        return False
    pid = body.get("pid")
    if not isinstance(pid, int):
        return False  # not a lock of ours: nothing says that its holder is gone
    started = _started(pid)
    return started != ours.get("started")


def _who(body: dict[str, Any]) -> str:
    if not body:
        return "a lock that cannot be read"
    user, host = body.get("username", "?"), body.get("hostname", "?")
    return f"{user}@{host} (process {body.get('pid', '?')}, since {body.get('timestamp', '?')})"


def _boot_id() -> str:
    with contextlib.suppress(OSError):
        return _BOOT_ID.read_text().strip()
    return ""


def _pid_namespace() -> str:
    with contextlib.suppress(OSError):
        return str(_PID_NAMESPACE.readlink())
    return ""


def _started(pid: int) -> str:
    """Return when process `pid` started (clock ticks since boot), empty if it does not run."""
    with contextlib.suppress(OSError):
        text = Path(f"/proc/{pid}/stat").read_text()
        return text.rpartition(")")[2].split()[19]
    if not Path("/proc/self/stat").exists():
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, 0)
            return "running"
    return ""
