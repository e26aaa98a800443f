"""The bytes of one command: its input is sent while both of its outputs are read."""

from __future__ import annotations

import contextlib
import io
import logging
import select
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO, Protocol

from provision import transfer
from provision.host import limits

if TYPE_CHECKING:
    import paramiko

_LOG = logging.getLogger("elysium.host")
_CHUNK = 256 * 1024
_INLINE = 16 * 1024  # certainly fits the window, so it is sent without a thread

OUTPUT_LIMIT = 16 * 1024 * 1024
"""Bytes of standard output, unless the caller expects more."""
ERROR_LIMIT = 8 * 1024 * 1024
"""Bytes of standard error."""

OnOutput = Callable[[bytes], None]


class StalledError(Exception):
    """No byte moved for too long: of the input (`sending`), or else of the output."""

    def __init__(self, *, sending: bool) -> None:
        super().__init__("sending" if sending else "receiving")
        self.sending = sending


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
        except TimeoutError:
            self.failure = StalledError(sending=True)
            with contextlib.suppress(Exception):
                self._channel.close()
        except OSError as error:
            # The command ended without reading everything: its status tells why.
            self.failure = error
        except BaseException as error:  # noqa: BLE001 - handed to the waiting thread
            self.failure = error
            with contextlib.suppress(Exception):
                self._channel.close()


class Pump:
    """Moves the bytes of one command until its channel is finished.

    Standard output begins after the line `start`; what the login's shell printed
    before is `greeting`. With `download`, output that has begun goes on.
    """

    def __init__(
        self,
        channel: paramiko.Channel,
        *,
        script: bytes,
        stdin: bytes | BinaryIO,
        start: bytes,
        gate: Gate | None,
        on_output: OnOutput | None,
        limit: int,
        download: bool,
        times: limits.Limits,
    ) -> None:
        self._channel = channel
        self._script = script
        self._limit = limit
        self._stdin = stdin
        self._start = start
        self._gate = gate
        self._on_output = on_output
        self._download = download
        self._times = times
        self._sender: _Sender | None = None
        self._moved = time.monotonic()
        self.greeting = bytearray()
        self.stdout = bytearray()
        self.stderr = bytearray()
        self.lost = False

    def run(self, deadline: float) -> None:
        """Pump until end of file and status.

        Raises TimeoutError at `deadline`, which each byte of a download puts
        off by what it may take; `StalledError`; `transfer.TooLargeError`.
        """
        self._channel.settimeout(self._times.stall)
        if self._gate is None:
            self._start_input()
        poll = select.poll()
        poll.register(self._channel.fileno(), select.POLLIN)
        while not self._finished():
            left = deadline + self._earned() - time.monotonic()
            if left <= 0:
                raise TimeoutError
            # A quarter of a second bounds how late a broken connection is seen:
            # the channel's own descriptor already wakes for data, end and close.
            poll.poll(min(left, 0.25) * 1000)
            self._drain()
            self._check_moving()
        self._drain()
        self._check_sender()

    def _earned(self) -> float:
        return self._times.moving(len(self.stdout)) if self._download else 0.0

    def _check_moving(self) -> None:
        sender = self._sender
        if sender is not None and isinstance(sender.failure, StalledError):
            raise sender.failure
        idle = time.monotonic() - self._moved
        if self._download and self.stdout and idle > self._times.stall:
            raise StalledError(sending=False)

    def _check_sender(self) -> None:
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
            self._moved = time.monotonic()
            if self._start:
                data = self._after_greeting(data)
            self.stdout += data
            if len(self.stdout) > self._limit:
                raise transfer.TooLargeError(self._limit)
            if data and self._on_output is not None:
                self._on_output(data)
        heard = False
        while channel.recv_stderr_ready():
            self.stderr += channel.recv_stderr(_CHUNK)
            self._moved = time.monotonic()
            if len(self.stderr) > ERROR_LIMIT:
                raise transfer.TooLargeError(ERROR_LIMIT)
            heard = True
        if heard and self._gate is not None and not self._gate.open:
            answer = self._gate.feed(bytes(self.stderr))
            if answer is not None:
                channel.sendall(answer)
            if self._gate.open:
                self._start_input()

    def _after_greeting(self, data: bytes) -> bytes:
        """Return what of `data` is output of the script; keep the rest as the greeting."""
        self.greeting += data
        at = self.greeting.find(self._start, max(0, len(self.greeting) - len(data) - 256))
        if at < 0:
            if len(self.greeting) > OUTPUT_LIMIT:
                raise transfer.TooLargeError(OUTPUT_LIMIT)
            return b""
        rest = bytes(self.greeting[at + len(self._start) :])
        del self.greeting[at:]
        self._start = b""
        return rest

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
