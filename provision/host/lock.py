"""The node's lock: one operator changes a node at a time.

A ``flock`` on a file in /run, held by a command that lives exactly as long as
its SSH channel. A connection that ends in whatever way lets go of it.
"""

from __future__ import annotations

import contextlib
import time
from typing import Any

from provision import errors
from provision.host import elevate, scripts, sudo_probe, transport

PATH = "/run/elysium/lock"
_HELD = "elysium-lock-held"
_TAKEN = "elysium-lock-taken"
_TIMEOUT = 15.0
_LIMIT = 256 * 1024
"""Bytes of both outputs."""


class Held:
    """The lock, held for as long as its channel is open."""

    def __init__(self, channel: Any) -> None:
        """Take over the open channel of the command that holds it."""
        self._channel = channel

    @property
    def alive(self) -> bool:
        """Whether it is still held."""
        return not self._channel.closed and bool(self._channel.get_transport().is_active())

    def release(self) -> None:
        """Let go."""
        with contextlib.suppress(Exception):
            self._channel.close()


def take(
    connection: transport.Transport,
    elevation: elevate.Elevation,
    holder: str,
) -> Held:
    """Take the lock, or raise `errors.RemoteError` naming who has it.

    `holder` is written into the lock file for the other operator to read. One
    whose connection ended a moment ago is waited for, a few seconds.
    """
    name = scripts.quote([holder])
    script = (
        f"{scripts.PRELUDE}mkdir -p /run/elysium\n"
        "command -v flock >/dev/null || { echo 'flock is not installed' >&2; exit 3; }\n"
        f"exec 9>>{PATH}\n"
        f"if ! flock -w 3 9; then echo {_TAKEN}; cat {PATH}; exit 1; fi\n"
        f"echo {name}, since \"$(date '+%Y-%m-%d %H:%M:%S %Z')\" >{PATH}\n"
        f"echo {_HELD}\ncat >/dev/null\n: >{PATH}\n"
    )
    # No limit of its own on the node: it lasts as long as the connection.
    command = elevation.command(script, timeout=7 * 24 * 3600)
    channel = connection.open_session(_TIMEOUT)
    gate = elevation.gate()
    try:
        channel.settimeout(_TIMEOUT)
        channel.exec_command(command)
        deadline = time.monotonic() + _TIMEOUT
        said, stderr = _converse(channel, scripts.framed(script), gate, deadline)
    except BaseException:
        channel.close()
        raise
    if _HELD in said:
        return Held(channel)
    status = channel.recv_exit_status() if channel.exit_status_ready() else -1
    channel.close()
    elevation.check(status, stderr, sudo_probe.of(connection))
    elevation.check_shell(status, said.encode(), stderr)
    if _TAKEN in said:
        other = said.split(_TAKEN, 1)[1].strip() or "someone else"
        raise errors.RemoteError(
            f"node {connection.host} is being changed by someone else right now",
            host=connection.host,
            detail=f"held by {other}",
            hint="wait until they are done, then run the same command again",
        )
    raise errors.RemoteError(
        f"the lock of node {connection.host} cannot be taken",
        host=connection.host,
        detail=elevation.strip(stderr).decode("utf-8", "replace") or said,
        hint="flock (util-linux) is needed on the node, and a writable /run",
    )


def _converse(
    channel: Any, script: bytes, gate: elevate.SudoGate | None, deadline: float
) -> tuple[str, bytes]:
    """Answer sudo if it asks, send the script; return both outputs once the lock's fate is known.

    The input stays open: its end lets go of the lock.
    """
    said, stderr = bytearray(), bytearray()
    sent = False
    while time.monotonic() < deadline:
        if not sent and (gate is None or gate.open):
            sent = True
            with contextlib.suppress(OSError):  # it ended before: its status tells why
                channel.sendall(script)
        over = channel.exit_status_ready() and channel.eof_received
        if len(said) + len(stderr) > _LIMIT:
            break
        if channel.recv_ready():
            said += channel.recv(65536)
        if channel.recv_stderr_ready():
            stderr += channel.recv_stderr(65536)
            answer = gate.feed(bytes(stderr)) if gate is not None else None
            if answer is not None:
                channel.sendall(answer)
        if _HELD.encode() in said or over:
            break
        time.sleep(0.005)
    return said.decode("utf-8", "replace"), bytes(stderr)
