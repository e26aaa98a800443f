"""This machine's own files under a systemd of their own: where its timers run for real.

A container whose root is this machine's, with changes kept aside, and whose
network is this machine's: what is installed here is there, at the same path.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from provision.sandbox import mounts, processes

_TIMEOUT = 60.0


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A running one. `leader` is the process number of its systemd."""

    leader: int

    def run(
        self,
        *command: str,
        environ: Mapping[str, str] | None = None,
        folder: pathlib.Path | None = None,
        timeout: float = 300,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in it, as root."""
        inside = ("nsenter", "-t", str(self.leader), "-m", "-u", "-i", "-p", "--")
        change = () if folder is None else ("env", f"--chdir={folder}")
        return subprocess.run(
            [*inside, *change, *command],
            env=None if environ is None else dict(environ),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def ok(self, *command: str, **more: object) -> str:
        """Run a command that must succeed; return what it printed."""
        done = self.run(*command, **more)  # type: ignore[arg-type]
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@contextlib.contextmanager
def booted(folder: pathlib.Path, *binds: pathlib.Path) -> Iterator[Machine]:
    """Boot one with its changes below `folder`; the folders `binds` are shared with it."""
    root = mounts.copy_on_write(pathlib.Path("/"), folder)
    log = (folder / "console.log").open("wb")
    process = subprocess.Popen(
        [
            *("systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit"),
            *("--link-journal=no", "--resolv-conf=off", "--timezone=off", "--console=pipe"),
            *(f"--directory={root}", f"--machine=elysium-test-{os.getpid()}"),
            *(f"--bind={path}" for path in binds),
            *("--", "--unit=basic.target"),
        ],
        env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
        stdout=log,
        stderr=log,
        stdin=subprocess.DEVNULL,
    )
    try:
        made: list[Machine] = []

        def running() -> bool:
            assert process.poll() is None, (folder / "console.log").read_text()
            leader = _child_of(process.pid)
            if leader and Machine(leader=leader).run("systemctl", "is-system-running").stdout in (
                "running\n",
                "degraded\n",
            ):
                made.append(Machine(leader=leader))
            return bool(made)

        processes.wait_until(running, what="The systemd of this machine's own", timeout=_TIMEOUT)
        yield made[0]
    finally:
        process.terminate()  # systemd-nspawn(1): powers it off
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(30)
        process.kill()
        process.wait()
        log.close()
        mounts.unmount_below(folder)


def _child_of(pid: int) -> int:
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(children[0]) if children else 0
