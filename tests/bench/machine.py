"""What a run was measured on, and how one command is measured."""

from __future__ import annotations

import os
import pathlib
import platform
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MIB = 1024 * 1024
_LAUNCHER = pathlib.Path(__file__).with_name("launch.py")


class Failed(Exception):
    """A measured command did not do its work; the text says which and what it said."""


@dataclass(frozen=True, kw_only=True)
class Ran:
    """One command: wall and processor seconds, peak memory in MB, what it printed.

    `memory` is of its largest process; both outputs are in `output`.
    """

    seconds: float
    cpu: float
    memory: float
    output: str


def describe() -> str:
    """Return one line about this machine: cores, processor, memory, kernel, Python, load."""
    cores = len(os.sched_getaffinity(0))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / MIB / 1024
    return (
        f"{cores} cores ({_processor()}), {memory:.0f} GiB, Linux {platform.release()}, "
        f"Python {platform.python_version()}, load {os.getloadavg()[0]:.1f} at the start"
    )


def measure(
    argv: Sequence[str],
    *,
    stdin: str = "",
    environ: Mapping[str, str] | None = None,
    folder: pathlib.Path | None = None,
    timeout: float = 600,
) -> Ran:
    """Run `argv` and return what it took, by wait4(2).

    Raises:
        Failed: when it ends with another status than 0, or not within `timeout` seconds.
    """
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:
        given.write(stdin.encode())
        given.seek(0)
        # The launcher is small: a child's peak memory starts at that of its parent.
        with subprocess.Popen(
            (sys.executable, "-I", "-S", str(_LAUNCHER), *argv),
            stdin=given,
            stdout=said,
            stderr=subprocess.PIPE,
            text=True,
            env=None if environ is None else dict(environ),
            cwd=folder,
            start_new_session=True,
        ) as process:
            try:
                report = process.communicate(timeout=timeout)[1]
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                raise Failed(f"{argv[0]} did not end within {timeout:.0f} s") from None
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise
        said.seek(0)
        output = said.read().decode("utf-8", "replace")
    try:
        seconds, cpu, memory, status = report.split()
    except ValueError:
        raise Failed(f"{argv[0]} could not be started: {report}") from None
    if status != "0":
        raise Failed(f"{argv[0]} ended with {status}: {output[-2000:]}")
    return Ran(seconds=float(seconds), cpu=float(cpu), memory=float(memory), output=output)


def _processor() -> str:
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return " ".join(line.partition(":")[2].split())
    return platform.machine()
