"""The node's lock: one operator changes a node at a time.

A ``flock`` on a file in /run, held by a command that lives as long as its SSH
session and as long as it gets a byte now and then. A connection that ends in
whatever way lets go of it; one that went dead does so after `LEASE` seconds.

Each change begins with `guard`, so that the node itself refuses it once the
lock is lost.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from typing import Any

from provision import errors
from provision.host import channel as channels
from provision.host import elevate, handshake, scripts, sessions, sudo_probe, transport

_FOLDER = "/run/elysium"
PATH = f"{_FOLDER}/lock"
LEASE = 90
"""Seconds without a byte after which the node lets go of the lock."""
_TRIES = 40
_PAUSE = 0.25
"""How often, and after how many seconds, a lock that is held is tried again."""
LOST = "elysium-lock-lost"
STATUS = 75
HELD = "elysium-lock-held"
TAKEN = "elysium-lock-taken"
_LIMIT = 256 * 1024
"""Bytes of both outputs."""


class Held:
    """The lock, held for as long as its session is open.

    `on` is the connection with that session: changes go through it only.
    """

    def __init__(self, on: sessions.Sessions, channel: Any, mark: str) -> None:
        """Take over the session of the command that holds it, and keep it alive."""
        self.on = on
        self._channel = channel
        self._mark = mark
        on.link.beat(lambda: channel.sendall(b"."))

    @property
    def alive(self) -> bool:
        """Whether it is still held, as far as is known here."""
        ended = self._channel.closed or self._channel.eof_received
        return not ended and self.on.active

    def guard(self) -> str:
        """Return the start of a script, which ends it with `LOST` unless the lock is held."""
        return (
            f"if ! grep -qsxF {self._mark} {PATH} || flock -n {PATH} true 2>/dev/null; then\n"
            f"echo {LOST} >&2; exit {STATUS}; fi\n"
        )

    def release(self) -> None:
        """Let go."""
        with contextlib.suppress(Exception):
            self.on.close(self._channel, lasting=True)


def take(
    connection: transport.Transport,
    elevation: elevate.Elevation,
    holder: str,
) -> Held:
    """Take the lock, or raise `errors.RemoteError` naming who has it.

    `holder` is written into the lock file for the other operator to read. One
    whose connection ended a moment ago is waited for, a few seconds.
    """
    mark = f"mark-{secrets.token_hex(8)}"
    script = holding(holder, mark)
    # No limit of its own on the node: it lasts as long as the connection.
    command = elevation.command(script, timeout=7 * 24 * 3600)
    on, channel = connection.begin("taking the node's lock", lasting=True)
    gate = elevation.gate()
    try:
        limit = connection.times.answer
        channel.settimeout(limit)
        channels.start(channel, command, limit)
        deadline = time.monotonic() + limit
        said, stderr = _converse(channel, scripts.framed(script), gate, deadline)
    except BaseException as error:
        on.close(channel, lasting=True)
        if isinstance(error, (EOFError, OSError, handshake.library().SSHException)):
            raise connection.failure(on, "taking the node's lock", error) from error
        raise
    if HELD in said:
        return Held(on, channel, mark)
    status = channel.recv_exit_status() if channel.exit_status_ready() else -1
    on.close(channel, lasting=True)
    elevation.check(status, stderr, sudo_probe.of(connection))
    elevation.check_shell(status, said.encode(), stderr)
    if TAKEN in said:
        other = said.split(TAKEN, 1)[1].strip() or "someone else"
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


def holding(holder: str, mark: str) -> str:
    """Return the script that takes the lock, notes `holder` and `mark`, and holds it.

    It waits for the lock with ``flock -n`` only, because BusyBox has no ``-w``.
    The lock counts as taken only once the file holds the mark: in a full /run
    it would be refused by every `Held.guard`.
    """
    return (
        f"{scripts.PRELUDE}mkdir -p {_FOLDER}\n"
        "command -v flock >/dev/null || { echo 'flock is not installed' >&2; exit 3; }\n"
        f"exec 9>>{PATH}\n"
        "tries=0\n"
        # mksh and ksh93 pass a descriptor above 2 on only where the command names it.
        "until flock -n 9 9>&9; do\n"
        "code=$?\n"
        "if [ $code != 1 ]; then echo 'flock cannot lock a file in /run' >&2; exit 3; fi\n"
        f"if [ $tries -ge {_TRIES} ]; then echo {TAKEN}; head -n 1 {PATH}; exit 1; fi\n"
        f"tries=$((tries + 1)); sleep {_PAUSE} 2>/dev/null || sleep 1\n"
        "done\n"
        f"{{ echo {scripts.quote([holder])}, since \"$(date '+%Y-%m-%d %H:%M:%S %Z')\"; "
        f"echo {mark}; }} >{PATH}\n"
        f"grep -qsxF {mark} {PATH} || {{ echo '{PATH} cannot be written' >&2; exit 3; }}\n"
        f"echo {HELD}\n"
        # Its end and silence both give nothing, and both let go.
        f'while [ -n "$(timeout {LEASE} dd bs=1 count=1 2>/dev/null 9>&-)" ]; do :; done\n'
        f": >{PATH}\n"
    )


def _converse(
    channel: Any, script: bytes, gate: elevate.SudoGate | None, deadline: float
) -> tuple[str, bytes]:
    """Answer sudo if it asks, send the script; return both outputs once the lock's fate is known.

    The input stays open: its end lets go of the lock. Raises TimeoutError, and EOFError
    when the connection ends.
    """
    said, stderr = bytearray(), bytearray()
    sent = False
    while True:
        if time.monotonic() >= deadline:
            raise TimeoutError
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
        if HELD.encode() in said or over:
            break
        if channel.closed:
            raise EOFError
        time.sleep(0.005)
    return said.decode("utf-8", "replace"), bytes(stderr)
