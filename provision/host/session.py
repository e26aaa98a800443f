"""One node, as resources meet it: facts, commands, files; connected when first needed."""

from __future__ import annotations

import contextlib
import getpass
import logging
import os
import pathlib
import platform
import threading
import time
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, BinaryIO

from provision import cancellation, errors, secret
from provision.host import bundle as bundles
from provision.host import (
    channel,
    collect,
    elevate,
    limits,
    lock,
    parse,
    scripts,
    sessions,
    staging,
    sudo_probe,
    transport,
)
from provision.host import facts as host_facts

if TYPE_CHECKING:
    from types import TracebackType

    from provision import config

_LOG = logging.getLogger("elysium.host")
_FACTS_TIMEOUT = 90
_UPLOAD_TIMEOUT = 300
_FACTS_ATTEMPTS = 3

Completed = channel.Completed


def each_line(say: Callable[[str], None]) -> channel.OnOutput:
    """Return an `on_output` that calls `say` with each finished line."""
    rest = b""

    def feed(data: bytes) -> None:
        nonlocal rest
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            say(line.decode("utf-8", "replace"))

    return feed


class NodeSession:
    """The SSH session of one node, shared by every resource of a run.

    Nothing is contacted before the first fact, command or file. Everything
    runs as root, through sudo where the login is another user. Whatever
    changes the node first takes its lock, so that two operators do not work
    on it at once. Safe to use from several threads.
    """

    def __init__(
        self,
        node: config.Node,
        *,
        connect_timeout: float | None = None,
        times: limits.Limits | None = None,
    ) -> None:
        """Prepare a session for `node`; `connect_timeout` (seconds) and `times` bound its waits."""
        self.node = node
        self.transport = transport.Transport(
            node, jump=node.jump, timeout=connect_timeout, times=times
        )
        self._elevation = elevate.Elevation(
            host=self.transport.host, user=self.transport.login.user, password=node.sudo_password
        )
        self._guard = threading.RLock()
        self._wanted = host_facts.FactRequest()
        self._facts: host_facts.NodeFacts | None = None
        self._held: lock.Held | None = None
        self._one_session: bool | None = None
        self._cancelled = cancellation.Cancellation()
        self._secrets = [s for s in (node.password, node.sudo_password, node.passphrase) if s]

    def __enter__(self) -> NodeSession:
        """Return the session itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connection."""
        self.close()

    @property
    def name(self) -> str:
        """The node's configured name."""
        return self.node.name

    def prefetch(self, *requests: host_facts.FactRequest) -> None:
        """Say what will be asked for, so that one collection answers it all.

        Contacts nothing: the next `facts` collects the union.
        """
        with self._guard:
            for request in requests:
                self._wanted |= request

    def facts(self, request: host_facts.FactRequest) -> host_facts.NodeFacts:
        """Return facts that cover `request`, from the cache where it does.

        Raises the errors of `run`.
        """
        with self._guard:
            self._wanted |= request
            if self._facts is None or not self._facts.request.covers(request):
                self._facts = self._collect(self._wanted)
            return self._facts

    def invalidate(self) -> None:
        """Forget the facts: something on the node changed."""
        with self._guard:
            self._facts = None

    def run(
        self,
        script: str,
        *,
        stdin: bytes | BinaryIO = b"",
        timeout: float,
        what: str,
        check: bool = True,
        reads_only: bool = False,
        on_output: channel.OnOutput | None = None,
        limit: int = channel.OUTPUT_LIMIT,
        download: bool = False,
    ) -> Completed:
        """Run `script` as root under ``/bin/sh``, without the login's environment.

        `script` may be seen on the node: secrets go to `stdin`. `what` names it
        in errors ("installing fuse3"). Unless `reads_only`, the node's lock is
        taken first and the facts are forgotten, and the node runs the script only
        while it holds the lock. `on_output` gets standard output
        as it arrives. `timeout` is in seconds; the node itself ends the script
        then. `limit` is how many bytes of standard output are taken. Input and
        the output of a `download` get further time by their size; they end
        when no byte moves for `limits.Limits.stall`.

        Raises `errors.ConnectError`, `AuthError`, `HostKeyError`, `SudoError`,
        `RemoteTimeoutError`, `RemoteError` for too much output, and
        `CommandError` for a status other than 0 if `check`.
        """
        if self._cancelled.cancelled:
            raise cancellation.interrupted(f"{what} on {self.transport.host}")
        held = None if reads_only else self._lock()
        if held is not None:
            self.invalidate()
        guard = held.guard() if held is not None else ""
        try:
            return self._execute(
                f"{scripts.PRELUDE}{guard}{script}",
                stdin=stdin,
                timeout=timeout,
                what=what,
                check=check,
                on_output=on_output,
                limit=limit,
                download=download,
                on=held.on if held is not None else None,
            )
        finally:
            if not reads_only:
                self.invalidate()

    def apply(
        self, wanted: bundles.Bundle, *, timeout: float = 120, what: str = "writing files"
    ) -> None:
        """Apply a bundle in one command. Nothing is done for an empty one.

        May be interrupted anywhere and run again. Raises the errors of `run`.
        """
        if not wanted.empty:
            self.run(staging.render(wanted), stdin=staging.pack(wanted), timeout=timeout, what=what)

    def stream(
        self,
        source: pathlib.Path | BinaryIO,
        remote_path: str,
        *,
        mode: int,
        sha256: str = "",
    ) -> bool:
        """Write a big file atomically, its bytes as they are read from `source`.

        Nothing is sent, and False returned, when the facts at hand say that the
        file is there with this `sha256` and `mode`. Raises the errors of `run`;
        a file that came short is never renamed into place.
        """
        with self._guard:
            known = self._facts.files.get(remote_path) if self._facts is not None else None
        if known is not None and sha256 and (known.sha256, known.mode) == (sha256, mode):
            return False
        if isinstance(source, pathlib.Path):
            with source.open("rb") as opened:
                return self._stream(opened, remote_path, mode=mode)
        return self._stream(source, remote_path, mode=mode)

    def lock(self) -> None:
        """Take the node's lock unless it is held: one operator changes a node at a time.

        It is let go at `close`, or by the node when the connection ends. Raises
        `errors.RemoteError` naming who holds it.
        """
        self._lock()

    @property
    def one_session(self) -> bool:
        """Whether the node's SSH server allows one session at a time, and so no change."""
        return bool(self._one_session)

    def cancel(self) -> None:
        """End every command that runs, and begin no other.

        What a command had begun on the node may go on there for a moment.
        """
        self._cancelled.cancel()
        self.transport.close()

    def close(self) -> None:
        """Let go of the lock and close the connection. A later use connects again."""
        with self._guard:
            self._let_go()
            self._facts = None
            self.transport.close()

    def _lock(self) -> lock.Held:
        with self._guard:
            if self._held is None or not self._held.alive:
                self._let_go()
                holder = f"{getpass.getuser()}@{platform.node()} (process {os.getpid()})"
                self._held = lock.take(self.transport, self._elevation, holder)
            return self._held

    def _let_go(self) -> None:
        with self._guard:
            if self._held is not None:
                self._held.release()
                self._held = None

    def _count_sessions(self) -> None:
        """Learn whether the server opens a second session. A command is under way meanwhile."""
        if self._one_session is None:
            self._one_session = not self.transport.sessions().another()

    def _stream(self, source: BinaryIO, remote_path: str, *, mode: int) -> bool:
        size = channel.size(source)
        path, temporary = (scripts.quote([p]) for p in (remote_path, remote_path + staging.SUFFIX))
        parent = scripts.quote([remote_path.rsplit("/", 1)[0] or "/"])
        self.run(
            f"set -eu\nmkdir -p {parent}\nrm -f {temporary}\n"
            f"(umask 077; cat >{temporary})\n"
            f'if [ "$(stat -c %s {temporary})" != {size} ]; then\n'
            "echo 'it came short' >&2; exit 1; fi\n"
            f"chown 0:0 {temporary}\nchmod {mode:o} {temporary}\n"
            f"sync {temporary} 2>/dev/null || sync\nmv -fT {temporary} {path}\n"
            f"sync {parent} 2>/dev/null || sync\n",
            stdin=source,
            timeout=_UPLOAD_TIMEOUT,
            what=f"uploading {remote_path}",
        )
        return True

    def _collect(self, request: host_facts.FactRequest) -> host_facts.NodeFacts:
        script = collect.render(request)
        reason = ""
        for attempt in range(_FACTS_ATTEMPTS):
            sent = time.time()
            done = self._execute(
                script,
                timeout=_FACTS_TIMEOUT,
                what="reading facts",
                check=attempt == 0,
                meanwhile=self._count_sessions,
            )
            try:
                return parse.parse(done.stdout, request, sent=sent, received=time.time())
            except parse.LackingTools as error:
                raise errors.RemoteError(
                    f"node {self.name} lacks programs: {', '.join(error.args)}",
                    host=self.transport.host,
                    hint="install coreutils, grep and sed on the node (or BusyBox with these"
                    " applets), then run the same command again",
                ) from None
            except parse.UnreadableFacts as error:
                # Files may change under the reader's eyes; not three times in a row.
                _LOG.debug("facts of %s: %s", self.name, error)
                reason = str(error)
        raise errors.RemoteError(
            f"the facts of node {self.name} cannot be read",
            host=self.transport.host,
            detail=reason,
            hint="try again when nothing changes the node's files",
        )

    def _execute(
        self,
        script: str,
        *,
        stdin: bytes | BinaryIO = b"",
        timeout: float,
        what: str,
        check: bool,
        on_output: channel.OnOutput | None = None,
        limit: int = channel.OUTPUT_LIMIT,
        download: bool = False,
        on: sessions.Sessions | None = None,
        meanwhile: Callable[[], None] | None = None,
    ) -> Completed:
        moving = channel.size(stdin) + (limit if download else 0)
        longest = timeout + self.transport.times.moving(moving)
        job = channel.Job(
            command=self._elevation.command(script, timeout=longest),
            what=what,
            # The node's own limit comes first; this one is for a node that is gone.
            timeout=timeout + 15,
            script=scripts.framed(script),
            stdin=stdin,
            start=scripts.started(),
            gate=self._elevation.gate(),
            on_output=on_output,
            limit=limit,
            download=download,
            meanwhile=meanwhile,
        )
        with self._until_cancelled(what):
            done = self.transport.execute(job, on=on)
        self._elevation.check(done.status, done.stderr, sudo_probe.of(self.transport))
        self._elevation.check_shell(done.status, done.greeting, done.stderr)
        if done.status == lock.STATUS and lock.LOST in done.error_text:
            self._let_go()
            raise errors.RemoteError(
                f"the lock of node {self.name} is lost, and {what} was not begun",
                host=self.transport.host,
                detail="the command that holds it on the node has ended, "
                f"or {lock.PATH} was changed",
                hint="run the same command again: it goes on from here",
            )
        done = Completed(
            status=done.status,
            stdout=done.stdout,
            stderr=self._elevation.strip(done.stderr),
            seconds=done.seconds,
        )
        if done.status in (124, 137) and done.seconds >= longest - 1:
            raise errors.RemoteTimeoutError(
                f"{what} did not end within {longest:.0f} s on {self.transport.host}",
                host=self.transport.host,
                detail=self._mask(done.error_text or done.text),
                hint="look at the node's load and disk, then run the same command again",
            )
        if check and done.status != 0:
            raise errors.CommandError(
                f"{what} failed on {self.transport.host} with status {done.status}",
                host=self.transport.host,
                command=what,
                status=done.status,
                stdout=self._mask(done.text),
                stderr=self._mask(done.error_text),
                hint="put right what the node said, then run the same command again",
            )
        return done

    @contextlib.contextmanager
    def _until_cancelled(self, what: str) -> Generator[None]:
        """Raise `errors.InterruptedByUser` where the run is cancelled before or during `what`."""
        if self._cancelled.cancelled:
            raise cancellation.interrupted(f"{what} on {self.transport.host}")
        try:
            yield
        except errors.RemoteError as error:  # the connection was closed
            if not self._cancelled.cancelled:
                raise
            raise cancellation.interrupted(f"{what} on {self.transport.host}") from error

    def _mask(self, text: str) -> str:
        return secret.mask(text, self._secrets)
