"""Starting and stopping a forge as a process of its own.

Used by the sandbox and by tests: ``with control.start_forge(root) as forge``.
What a running forge can be asked is in `provision.sandbox.forge.client`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provision import errors
from provision.sandbox.forge import client

Forge = client.Forge
read_info = client.read_info
_START_SECONDS = 60.0
_STOP_SECONDS = 15.0


@dataclass(frozen=True, kw_only=True)
class Start:
    """How to start a forge: where to listen (port 0: any free one) and what it serves."""

    root: Path
    owner: str = "someone"
    repository: str = "home-cluster"
    api: str = "127.0.0.1:0"
    ssh: str = "127.0.0.1:0"
    tls: bool = False

    def command(self) -> list[str]:
        """Return the command line that runs the forge in the foreground."""
        command = [sys.executable, "-m", "provision.sandbox.forge", "--root", str(self.root)]
        command += ["--api", self.api, "--ssh", self.ssh]
        command += ["--tls"] if self.tls else []
        return [*command, "--owner", self.owner, "--repo", self.repository]


def launch(start: Start) -> tuple[subprocess.Popen[bytes], Forge]:
    """Start a forge in the background and return when it is ready.

    Its output goes to ``ROOT/forge.log``. Raises WaitError with the log's tail
    when it ends or is not ready in a minute; nothing is left running.
    """
    start.root.mkdir(parents=True, exist_ok=True)
    log = start.root / "forge.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            start.command(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    deadline = time.monotonic() + _START_SECONDS
    try:
        while True:
            info = read_info(start.root)
            if info is not None and info.pid == process.pid:
                return process, Forge(info)
            if process.poll() is not None or time.monotonic() > deadline:
                raise errors.WaitError(
                    "The forge did not start.",
                    what="forge",
                    detail=log.read_text(errors="replace"),
                )
            time.sleep(0.02)
    except BaseException:
        process.kill()
        process.wait()
        raise


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a forge and its sshd; waits for it, and kills it when it does not end."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def start_forge(root: Path, **values: Any) -> Generator[Forge]:
    """Run a forge for the length of a ``with`` block; `values` as in `Start`."""
    process, forge = launch(dataclasses.replace(Start(root=root), **values))
    try:
        yield forge
    finally:
        stop(process)
