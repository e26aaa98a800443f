"""Running kustomize where it reaches neither the network nor files outside the tree.

On Linux the program gets namespaces of its own and the tree as its root
folder, if the kernel allows it. Everywhere it gets an environment without
anything of the user's, no program to call, and limits. Where the kernel gives
no namespaces, `references` alone keeps it inside the tree.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from provision.gitops.build import confined

TIMEOUT: Final = 300
OUTPUT: Final = 128 * 1024 * 1024
_CHUNK: Final = 1 << 16
NAMESPACES: Final = "namespaces"
_ENVIRONMENT: Final = {
    "HOME": "/nonexistent",
    "PATH": "/nonexistent",
    "KUBERC": "off",  # else kubectl takes options from files
    # A build is over before Go's collection of garbage, half its time, would pay.
    "GOGC": "off",
    "GOMEMLIMIT": "256MiB",
}


@dataclass(frozen=True, kw_only=True)
class Output:
    """What a program said. `isolation` is `NAMESPACES`, or why there are none."""

    code: int
    out: str
    error: str
    isolation: str


def run(root: Path, folder: str, program: str, arguments: Sequence[str]) -> Output:
    """Run `program` in the folder `folder` of `root`, which is all that it needs to see.

    Beyond the limits of time and output it is ended; `Output.error` says so.
    """
    inside, outside = os.pipe()
    try:
        command = [program, *arguments]
        where = root / folder
        if _may_confine():
            script = [sys.executable, "-I", "-S", str(confined.__file__), str(outside)]
            command = [*script, str(root), folder, *command]
            where = root
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=where,
            env=_ENVIRONMENT,
            pass_fds=[outside],
        ) as process:
            os.close(outside)
            outside = -1
            out, error, stopped = _collect(process)
            code = process.wait()
        said = os.read(inside, _CHUNK).decode(errors="replace")
    finally:
        os.close(inside)
        if outside >= 0:
            os.close(outside)
    return Output(
        code=code or (1 if stopped else 0),
        out=out.decode(errors="replace"),
        error=stopped or error.decode(errors="replace"),
        isolation=said or "namespaces exist on Linux only",
    )


def _may_confine() -> bool:
    return sys.platform == "linux" and bool(sys.executable)


def _collect(process: subprocess.Popen[bytes]) -> tuple[bytes, bytes, str]:
    """Return output, errors, and why the program was ended, if it was."""
    out, error = bytearray(), bytearray()
    deadline = time.monotonic() + TIMEOUT
    stopped = ""
    with selectors.DefaultSelector() as selector:
        for stream, into in ((process.stdout, out), (process.stderr, error)):
            if stream:
                selector.register(stream, selectors.EVENT_READ, into)
        while selector.get_map() and not stopped:
            for key, _ in selector.select(max(0.0, deadline - time.monotonic())):
                chunk = os.read(key.fd, _CHUNK)
                if chunk:
                    key.data.extend(chunk)
                else:
                    selector.unregister(key.fileobj)
            if time.monotonic() >= deadline:
                stopped = f"it was not done after {TIMEOUT} s; make more, smaller Kustomizations"
            elif len(out) + len(error) > OUTPUT:
                stopped = f"it makes more than {OUTPUT >> 20} MiB of objects"
    if stopped:
        process.kill()
    return bytes(out), bytes(error), stopped
