"""One command on one SSH channel: input sent, both outputs drained, a deadline kept."""

from __future__ import annotations

import contextlib
import io
import logging
import select
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, Protocol

from provision import errors, transfer

if TYPE_CHECKING:
    import paramiko

_LOG = logging.getLogger("elysium.host")
_CHUNK = 256 * 1024
_QUOTED = 4000
_INLINE = 16 * 1024  # certainly fits the window, so it is sent without a thread

OUTPUT_LIMIT = 16 * 1024 * 1024
"""Bytes of standard output, unless the caller expects more."""
ERROR_LIMIT = 8 * 1024 * 1024
"""Bytes of standard error."""

OnOutput = Callable[[bytes], None]


@dataclass(frozen=True, kw_only=True)
class Completed:
    """A command that ended. `seconds` is its wall time here."""

    status: int
    stdout: bytes = field(repr=False)
    stderr: bytes = field(repr=False)
    seconds: float

    @property
    def text(self) -> str:
        """Standard output as UTF-8 text, undecodable bytes replaced."""
        return self.stdout.decode("utf-8", "replace")

    @property
    def error_text(self) -> str:
        """Standard error as UTF-8 text, undecodable bytes replaced."""
        return self.stderr.decode("utf-8", "replace")


class Gate(Protocol):
    """What must happen on standard error before the command's own input is sent."""

    def feed(self, stderr: bytes) -> bytes | None:
        """Take all of standard error so far; return what to answer, if anything."""
        ...

    @property
    def open(self) -> bool:
        """Whether the command itself runs, so that its input may follow."""
        ...


class _Sender(threading.Thread):
    """Sends a long input, so that reading goes on meanwhile."""

    def __init__(self, channel: paramiko.Channel, first: bytes, source: BinaryIO) -> None:
        super().__init__(name="elysium-ssh-stdin", daemon=True)
        self._channel = channel
        self._first = first
        self._source = source
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            self._channel.sendall(self._first)
            while chunk := self._source.read(_CHUNK):
                self._channel.sendall(chunk)
            self._channel.shutdown_write()
        except OSError as error:
            # The command ended without reading everything: its status tells why.
            self.failure = error
        except BaseException as error:  # noqa: BLE001 - handed to the waiting thread
            self.failure = error
            with contextlib.suppress(Exception):
                self._channel.close()


def execute(
    channel: paramiko.Channel,
    command: str,
    *,
    host: str,
    stdin: bytes | BinaryIO,
    timeout: float,
    what: str,
    script: bytes = b"",
    gate: Gate | None = None,
    on_output: OnOutput | None = None,
    limit: int = OUTPUT_LIMIT,
) -> Completed:
    """Run `command` on a fresh session channel and wait until it ends.

    `script` is sent before `stdin`. `on_output` gets standard output as it
    arrives, besides its being returned. `limit` is how many bytes of it are
    taken. Raises `errors.RemoteTimeoutError` after `timeout` seconds,
    `errors.ConnectError` when the connection breaks, and `errors.RemoteError`
    for more output than the limit.
    """
    began = time.monotonic()
    deadline = began + timeout
    channel.settimeout(timeout)
    channel.exec_command(command)
    if isinstance(stdin, bytes):
        script, stdin = script + stdin, b""
    pump = _Pump(channel, script=script, stdin=stdin, gate=gate, on_output=on_output, limit=limit)
    try:
        pump.run(deadline)
    except TimeoutError as error:
        raise errors.RemoteTimeoutError(
            f"{what} did not end within {timeout:.0f} s on {host}",
            host=host,
            detail=pump.stderr.decode("utf-8", "replace"),
            hint="look at the node's load and disk, then run the same command again",
        ) from error
    except transfer.TooLargeError as error:
        raise errors.RemoteError(
            f"{what} on {host} printed {error}, which is the limit",
            host=host,
            detail=bytes(pump.stderr[-_QUOTED:]).decode("utf-8", "replace"),
            hint="the command was ended; look at what the node has there, and whether it is sound",
        ) from error
    finally:
        channel.close()
    status = channel.exit_status if channel.exit_status_ready() else -1
    if status == -1 and pump.lost:
        raise errors.ConnectError(
            f"the SSH connection to {host} broke during {what}",
            host=host,
            detail=pump.stderr.decode("utf-8", "replace"),
            hint="check that the node is up, then run the same command again",
        )
    return Completed(
        status=status,
        stdout=bytes(pump.stdout),
        stderr=bytes(pump.stderr),
        seconds=time.monotonic() - began,
    )


class _Pump:
    """Moves the bytes of one command until its channel is finished."""

    def __init__(
        self,
        channel: paramiko.Channel,
        *,
        script: bytes,
        stdin: bytes | BinaryIO,
        gate: Gate | None,
        on_output: OnOutput | None,
        limit: int,
    ) -> None:
        self._channel = channel
        self._script = script
        self._limit = limit
        self._stdin = stdin
        self._gate = gate
        self._on_output = on_output
        self._sender: _Sender | None = None
        self.stdout = bytearray()
        self.stderr = bytearray()
        self.lost = False

    def run(self, deadline: float) -> None:
        """Pump until end of file and status; raises TimeoutError at `deadline`."""
        if self._gate is None:
            self._start_input()
        poll = select.poll()
        poll.register(self._channel.fileno(), select.POLLIN)
        while not self._finished():
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            # A quarter of a second bounds how late a broken connection is seen:
            # the channel's own descriptor already wakes for data, end and close.
            poll.poll(min(left, 0.25) * 1000)
            self._drain()
        self._drain()
        sender = self._sender
        if sender is not None and sender.failure is not None:
            if not isinstance(sender.failure, OSError):
                raise sender.failure
            _LOG.debug("input was not read to its end: %s", sender.failure)

    def _finished(self) -> bool:
        channel = self._channel
        transport = channel.get_transport()
        if not transport.is_active():
            self.lost = True
            return True
        drained = not channel.recv_ready() and not channel.recv_stderr_ready()
        closed = bool(channel.closed)
        ended = channel.eof_received and channel.exit_status_ready()
        return drained and (closed or bool(ended))

    def _drain(self) -> None:
        channel = self._channel
        while channel.recv_ready():
            data = channel.recv(_CHUNK)
            self.stdout += data
            if len(self.stdout) > self._limit:
                raise transfer.TooLargeError(self._limit)
            if self._on_output is not None:
                self._on_output(data)
        heard = False
        while channel.recv_stderr_ready():
            self.stderr += channel.recv_stderr(_CHUNK)
            if len(self.stderr) > ERROR_LIMIT:
                raise transfer.TooLargeError(ERROR_LIMIT)
            heard = True
        if heard and self._gate is not None and not self._gate.open:
            answer = self._gate.feed(bytes(self.stderr))
            if answer is not None:
                channel.sendall(answer)
            if self._gate.open:
                self._start_input()

    def _start_input(self) -> None:
        if not self._stdin and len(self._script) <= _INLINE:
            try:
                if self._script:
                    self._channel.sendall(self._script)
                self._channel.shutdown_write()
            except OSError as error:
                _LOG.debug("input was not read to its end: %s", error)
            return
        source = io.BytesIO(self._stdin) if isinstance(self._stdin, bytes) else self._stdin
        self._sender = _Sender(self._channel, self._script, source)
        self._sender.start()
