"""The processes of a sandbox: each sandbox is one cgroup, so none is ever lost.

A process is started detached, in the cgroup of its sandbox, and so are its
children. Taking down is killing the cgroup, which also finds what an elysium
that crashed had just started and never wrote down.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from provision import errors
from provision.fileio import atomic
from provision.sandbox import jobs

PARENT = "elysium-sandbox"
_KILL_SECONDS = 20.0

# Born in the cgroup, in a session of its own, its end of no interest to us.
_SPAWN = 'echo $$ >"$1" || exit 1; log=$2; shift 2; setsid "$@" </dev/null >>"$log" 2>&1 & echo $!'


@dataclass(frozen=True, kw_only=True)
class Process:
    """A started process: its start time tells it from a later one of the same id."""

    pid: int
    started: int
    log: Path

    def alive(self) -> bool:
        """Return whether it still runs (a zombie does not)."""
        return start_time(self.pid) == self.started


def start_time(pid: int) -> int | None:
    """Return when `pid` started, in clock ticks since boot; None: it does not run."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # proc(5): the name may hold spaces
    return None if fields[0] in "ZX" else int(fields[19])


def save(path: Path, found: Mapping[str, Process | None]) -> None:
    """Write down what was started, for a later elysium to recognise it."""
    data = {
        part: {"pid": process.pid, "started": process.started, "log": str(process.log)}
        for part, process in found.items()
        if process is not None
    }
    atomic.write(path, json.dumps(data, indent=2) + "\n")


def load(path: Path) -> dict[str, Process]:
    """Return what `save` wrote; nothing where that cannot be read."""
    try:
        data = json.loads(path.read_text())
        return {
            part: Process(pid=entry["pid"], started=entry["started"], log=Path(entry["log"]))
            for part, entry in data.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def cgroup_mounts() -> tuple[Path, ...]:
    """Return where cgroup hierarchies are mounted, version 2 first."""
    found: list[tuple[int, Path]] = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        kind = after.split(" ", 1)[0]
        if kind in ("cgroup", "cgroup2"):
            found.append((0 if kind == "cgroup2" else 1, Path(before.split(" ")[4])))
    return tuple(path for _, path in sorted(found))


def unified() -> bool:
    """Return whether the controllers of processes belong to cgroups of version 2 here.

    A machine may have both versions, and then version 2 without controllers.
    """
    mounts = cgroup_mounts()
    have = (mounts[0] / "cgroup.controllers").read_text().split() if mounts else []
    return {"cpu", "memory", "pids"} <= set(have)


@dataclass(frozen=True, kw_only=True)
class Group:
    """The cgroup (version 2) of one sandbox, `elysium-sandbox/<name>`."""

    path: Path
    name: str

    @classmethod
    def of(cls, name: str) -> Group:
        """Return the group of the sandbox `name`, which need not exist yet.

        Raises:
            errors.ElysiumError: where no cgroup version 2 hierarchy is mounted.
        """
        mounts = cgroup_mounts()
        if not mounts or not (mounts[0] / "cgroup.procs").exists():
            raise errors.ElysiumError(
                "No cgroup version 2 file system is mounted.",
                hint="Boot with systemd's unified or hybrid cgroup hierarchy.",
            )
        return cls(path=mounts[0] / PARENT / name, name=name)

    def child(self, part: str) -> Path:
        """Return the leaf cgroup `part`, made when missing.

        Controllers are handed down as far as the machine allows: the node's
        systemd then delegates them like one on bare metal.
        """
        leaf = self.path / part
        leaf.mkdir(parents=True, exist_ok=True)
        for above in (self.path.parent.parent, self.path.parent, self.path):
            for controller in (above / "cgroup.controllers").read_text().split():
                with contextlib.suppress(OSError):
                    (above / "cgroup.subtree_control").write_text(f"+{controller}")
        return leaf

    def leaves(self, part: str) -> tuple[Path, ...]:
        """Return the leaf cgroup `part`, and its namesakes in the hierarchies of version 1.

        A node that starts in them limits its own processes, and `kill` finds
        what it leaves. Where version 2 has the controllers it is one.
        """
        found = [self.child(part)]
        top = self.path.parent.parent
        for mount in () if unified() else cgroup_mounts():
            if mount == top:
                continue
            leaf = mount / self.path.relative_to(top) / part
            leaf.mkdir(parents=True, exist_ok=True)
            for name in ("cpuset.cpus", "cpuset.mems"):
                for folder in (mount / PARENT, leaf.parent, leaf):
                    if (folder / name).exists():
                        (folder / name).write_text((folder.parent / name).read_text())
            found.append(leaf)
        return tuple(found)

    def spawn(
        self,
        argv: Sequence[str],
        *,
        log: Path,
        part: str = "host",
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> Process:
        """Start `argv` detached, in the leaf cgroup `part`, its output appended to `log`.

        Secrets belong in `environment` or in a file, not in `argv`.
        """
        procs = self.child(part) / "cgroup.procs"
        log.parent.mkdir(parents=True, exist_ok=True)
        started = subprocess.run(
            ["sh", "-c", _SPAWN, "sh", str(procs), str(log), *argv],
            env={**os.environ, **(environment or {})},
            cwd=folder,
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        )
        pid = int(started.stdout)
        return Process(pid=pid, started=start_time(pid) or 0, log=log)

    def pids(self) -> list[int]:
        """Return every process in the group and below."""
        found: list[int] = []
        for folder in _below(self.path):
            with contextlib.suppress(OSError):  # a cgroup may go while it is read
                found += [int(pid) for pid in (folder / "cgroup.procs").read_text().split()]
        return found

    def only(self, part: str) -> Group:
        """Return the part of the group that `child` made under that name."""
        return Group(path=self.path / part, name=f"{self.name}/{part}")

    def kill(self) -> None:
        """End every process of the group at once and remove it, in every hierarchy.

        Raises:
            errors.WaitError: when something in it cannot be ended.
        """
        deadline = time.monotonic() + _KILL_SECONDS
        while self.path.exists() and (pids := self.pids()):
            _kill(self.path, pids)
            if time.monotonic() > deadline:
                raise errors.WaitError(
                    f"Processes of the sandbox {self.name!r} do not end.",
                    what="an empty cgroup",
                    last_seen=", ".join(map(str, pids)),
                )
            time.sleep(0.02)
        for root in cgroup_mounts():
            _remove(root / PARENT / self.name, deadline)
            with contextlib.suppress(OSError):  # others may still be in it
                (root / PARENT).rmdir()


def _kill(path: Path, pids: list[int]) -> None:
    try:
        (path / "cgroup.kill").write_text("1")
    except OSError:  # before Linux 5.14
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _below(top: Path) -> list[Path]:
    """Return `top` and every cgroup below it, those left out that go meanwhile.

    `os.walk` passes over a folder that is gone when its turn comes; `Path.rglob` of
    Python 3.11 raises there.
    """
    return [Path(folder) for folder, _, _ in os.walk(top)]


def _remove(top: Path, deadline: float) -> None:
    """Remove the cgroup `top` and those below; the kernel may need a moment."""
    while top.exists():
        for folder in sorted(_below(top), reverse=True):
            with contextlib.suppress(OSError):
                folder.rmdir()
        if time.monotonic() > deadline:
            return
        if top.exists():
            time.sleep(0.02)


def wait_until(
    probe: Callable[[], bool],
    *,
    what: str,
    timeout: float,
    process: Process | None = None,
) -> None:
    """Return when `probe` answers True; asks at first every 20 ms, later every 250 ms.

    Raises:
        errors.WaitError: after `timeout` seconds, or as soon as `process` ended,
            with the end of its log.
    """
    deadline = time.monotonic() + timeout
    pause = 0.02
    while not probe():
        jobs.check()
        if process is not None and not process.alive():
            raise ended(what, process)
        if time.monotonic() > deadline:
            raise errors.WaitError(
                f"{what} did not come within {timeout:.0f} s.",
                what=what,
                last_seen=_log_of(process),
            )
        time.sleep(pause)
        pause = min(pause * 1.3, 0.25)


def ended(what: str, process: Process) -> errors.WaitError:
    """Return the error for `process` having ended while `what` was awaited."""
    return errors.WaitError(
        f"{what} did not come: its process ended.", what=what, last_seen=_log_of(process)
    )


def _log_of(process: Process | None) -> str:
    if process is None or not process.log.exists():
        return ""
    return process.log.read_text(errors="replace")
