"""One command on one SSH channel, and what is said of one that does not end as it should."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from provision import errors, transfer
from provision.host import limits, link, pump, scripts

if TYPE_CHECKING:
    import paramiko

_QUOTED = 4000
_ENDING = 1.0
OUTPUT_LIMIT = pump.OUTPUT_LIMIT
OnOutput = pump.OnOutput
Gate = pump.Gate


@dataclass(frozen=True, kw_only=True)
class Completed:
    """A command that ended. `seconds` is its wall time here.

    `greeting` is standard output before the command's own.
    """

    status: int
    stdout: bytes = field(repr=False)
    stderr: bytes = field(repr=False)
    greeting: bytes = field(default=b"", repr=False)
    seconds: float

    @property
    def text(self) -> str:
        """Standard output as UTF-8 text, undecodable bytes replaced."""
        return self.stdout.decode("utf-8", "replace")

    @property
    def error_text(self) -> str:
        """Standard error as UTF-8 text, undecodable bytes replaced."""
        return self.stderr.decode("utf-8", "replace")


@dataclass(frozen=True, kw_only=True)
class Job:
    """A command to run, and what is sent to it and expected of it.

    `script` is sent before `stdin`, both after `gate` opens. Standard output
    begins after the line `start`; `on_output` gets it as it arrives. `limit` is
    how many bytes of it are taken. `timeout` (seconds) bounds the command; the
    input gets further time by its size, and so does the output of a `download`,
    which must not pause once it has begun. `meanwhile` is called when the
    input is on its way.
    """

    command: str = field(repr=False)
    what: str
    timeout: float
    script: bytes = field(default=b"", repr=False)
    stdin: bytes | BinaryIO = field(default=b"", repr=False)
    start: bytes = b""
    gate: Gate | None = None
    on_output: OnOutput | None = None
    limit: int = OUTPUT_LIMIT
    download: bool = False
    meanwhile: Callable[[], None] | None = None


def size(stdin: bytes | BinaryIO) -> int:
    """Return how many bytes an input has; 0 for a stream that does not tell."""
    if isinstance(stdin, bytes):
        return len(stdin)
    if not stdin.seekable():
        return 0
    here = stdin.tell()
    end = stdin.seek(0, io.SEEK_END)
    stdin.seek(here)
    return end - here


def start(channel: paramiko.Channel, command: str, seconds: float) -> None:
    """Ask for `command` on a fresh session channel. Raises TimeoutError without an answer.

    paramiko waits for the answer as long as the connection stands.
    """
    late = threading.Event()

    def give_up() -> None:
        late.set()
        channel.close()

    timer = threading.Timer(seconds, give_up)
    timer.daemon = True
    timer.start()
    try:
        channel.exec_command(command)
    except Exception as error:
        if late.is_set():
            raise TimeoutError from error
        raise
    finally:
        timer.cancel()


class LostError(Exception):
    """The connection ended during a command, or its server does not answer (`dead`)."""

    def __init__(self, said: str, *, dead: bool = False) -> None:
        super().__init__(said)
        self.said = said
        self.dead = dead


def execute(
    channel: paramiko.Channel, job: Job, *, host: str, times: limits.Limits = limits.DEFAULT
) -> Completed:
    """Run a job on a fresh session channel and wait until it ends.

    Raises `errors.RemoteTimeoutError` when the server answers and the command
    does not start, end or move its bytes in time, `LostError` when the server
    answers no more or the connection breaks, and `errors.RemoteError` for more
    output than the limit.
    """
    connection = channel.get_transport()
    began = time.monotonic()
    script, stdin = job.script, job.stdin
    deadline = began + job.timeout + times.moving(len(script) + size(stdin))
    if isinstance(stdin, bytes):
        script, stdin = script + stdin, b""
    moving = pump.Pump(
        channel,
        script=script,
        stdin=stdin,
        start=job.start,
        gate=job.gate,
        on_output=job.on_output,
        limit=job.limit,
        download=job.download,
        times=times,
    )
    try:
        _run(channel, job, moving, deadline, times)
    except (TimeoutError, pump.StalledError) as error:
        said = _text(scripts.strip(moving.stderr))
        if not link.of(connection).answers(connection, times.ask):
            raise LostError(said, dead=True) from error
        raise errors.RemoteTimeoutError(
            f"{_late(job, error, host, began)}; its SSH server answers",
            host=host,
            detail=said,
            hint="look at the node's load and disk, then run the same command again",
        ) from error
    except transfer.TooLargeError as error:
        raise errors.RemoteError(
            f"{job.what} on {host} printed {error}, which is the limit",
            host=host,
            detail=_text(scripts.strip(moving.stderr)[-_QUOTED:]),
            hint="the command was ended; look at what the node has there, and whether it is sound",
        ) from error
    finally:
        channel.close()
    status = channel.exit_status if channel.exit_status_ready() else -1
    if status == -1 and moving.lost:
        raise LostError(_text(scripts.strip(moving.stderr)))
    return Completed(
        status=status,
        stdout=bytes(moving.stdout),
        stderr=bytes(moving.stderr),
        greeting=bytes(moving.greeting),
        seconds=time.monotonic() - began,
    )


def _run(
    channel: paramiko.Channel, job: Job, moving: pump.Pump, deadline: float, times: limits.Limits
) -> None:
    try:
        start(channel, job.command, times.answer)
    except TimeoutError:
        raise _NotStartedError from None
    if job.meanwhile is not None:
        job.meanwhile()
    moving.run(deadline)


class _NotStartedError(TimeoutError):
    pass


def _late(job: Job, error: Exception, host: str, began: float) -> str:
    """Return what is late, in words."""
    seconds = f"{time.monotonic() - began:.0f} s"
    if isinstance(error, pump.StalledError):
        return f"{job.what} stands still: {host} {'takes' if error.sending else 'sends'} no byte"
    verb = "start" if isinstance(error, _NotStartedError) else "end"
    return f"{job.what} did not {verb} within {seconds} on {host}"


def broken(
    connection: paramiko.Transport,
    what: str,
    host: str,
    *,
    error: BaseException,
    jump: str = "",
) -> errors.ConnectError:
    """Return the error for a connection that ended during `what`: dead, or broken.

    `jump` is the jump host whose link is dead, if one is.
    """
    line = link.of(connection)
    said = error.said if isinstance(error, LostError) else ""
    dead = line.dead or ("no answer" if isinstance(error, LostError) and error.dead else "")
    if dead or jump:
        to = f"{host} (through the jump host {jump})" if jump else host
        return errors.ConnectError(
            f"the SSH connection to {to} is dead: {dead or 'no answer'} during {what}",
            host=jump or host,
            detail="\n".join(filter(None, (line.reason, said))),
            hint=f"check the network to {jump or host} and that it is up,"
            " then run the same command again",
        )
    connection.join(_ENDING)  # its thread says why
    cause = connection.saved_exception or error
    if type(cause).__name__ == "InvalidTag" or "MAC" in str(cause):
        said = f"its data arrived damaged\n{said}".strip()
    elif not isinstance(cause, LostError):
        said = f"{cause}\n{said}".strip()
    return errors.ConnectError(
        f"the SSH connection to {host} broke during {what}",
        host=host,
        detail=said,
        hint="check that the node is up, then run the same command again",
    )


def _text(data: bytes | bytearray) -> str:
    return bytes(data).decode("utf-8", "replace")
