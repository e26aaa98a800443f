"""Runs the Pulumi program: the SDK in a thread of its own, its calls to the monitor.

The SDK keeps its settings in context variables; each run has a context of its
own, so that one process can run several programs one after the other. What
the program prints is caught and reported, since the terminal is not its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import io
import os
import sys
import threading
from collections.abc import Callable, Generator
from typing import Any

from pulumi.runtime import config as sdk_config
from pulumi.runtime import settings as sdk_settings
from pulumi.runtime import stack as sdk_stack

from provision.engine import api
from provision.engine.embedded import deadlock, monitor, outputs, run, workers

_LOOK = 0.2
"""Seconds between two looks at whether the program waits for itself."""

_sink: contextvars.ContextVar[Callable[[str], None] | None] = contextvars.ContextVar(
    "elysium_print", default=None
)


class ProgramThread:
    """One execution of the program. `start`, then `join`; `error` is how it ended."""

    def __init__(
        self,
        program: api.Program,
        context: run.Run,
        resource_monitor: monitor.Monitor,
        pool: workers.DaemonPool,
    ) -> None:
        """Run `program` against `resource_monitor`, its calls on the threads of `pool`."""
        self._program = program
        self._run = context
        self._monitor = resource_monitor
        self._pool = pool
        self.error: BaseException | None = None
        self._watch: deadlock.Watch | None = None
        self._stuck: Exception | None = None
        self._thread = threading.Thread(target=self._main, name="program", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def join(self) -> None:
        """Wait for its end, which comes too when it waits for itself."""
        twice = False
        while self._thread.is_alive():
            self._thread.join(_LOOK)
            watch = self._watch
            if watch is None or not watch.is_stuck():
                twice = False
            elif twice and self._stuck is None:
                self._stuck = watch.end()
            else:
                twice = True
        self.error = self._stuck or self.error

    def _main(self) -> None:
        contextvars.Context().run(self._in_context)

    def _in_context(self) -> None:
        _sink.set(lambda line: self._run.say("info", line))
        try:
            self._execute()
        except BaseException as error:  # noqa: BLE001 - whatever the program raises
            self.error = error

    def _execute(self) -> None:
        sdk_settings.ROOT.set(None)
        options = self._run.options
        loop = asyncio.new_event_loop()
        settings = sdk_settings.Settings(
            project=self._run.project,
            stack=self._run.stack,
            monitor=self._monitor,
            engine=monitor.Log(self._run),
            dry_run=self._run.dry_run,
            organization="organization",
            root_directory=str(self._run.root),
        )
        settings.outputs = outputs.Outputs(loop)  # pyright: ignore[reportAttributeAccessIssue]
        sdk_settings.configure(settings)
        secret = {key: each.reveal() for key, each in options.secret_config.items()}
        sdk_config.set_all_config({**options.config, **secret}, list(secret))
        loop.set_default_executor(self._pool)
        # Failures of steps are known to the run; the SDK's tasks that end with
        # them are of no interest to anyone.
        loop.set_exception_handler(lambda _loop, _context: None)
        self._watch = deadlock.Watch(self._thread, loop, self._pool)
        process = os.getpid()
        try:
            loop.run_until_complete(sdk_stack.run_in_stack(self._program))
        finally:
            self._watch = None
            if os.getpid() != process:
                # A child that the program forked. The run is not its own, and
                # closing the loop would take it from under its parent.
                os._exit(0)
            _drain(loop)


def _drain(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel what the SDK left behind, and close the loop."""
    pending = asyncio.all_tasks(loop)
    for task in pending:
        task.cancel()
    with contextlib.suppress(Exception):
        loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
    # The pool is the run's; closing the loop must not end it.
    loop._default_executor = None  # pyright: ignore
    loop.close()


class _Catching(io.TextIOBase):
    """A text stream that gives the program's lines to the run, all others to the real one."""

    def __init__(self, real: Any) -> None:
        super().__init__()
        self._real = real
        self._rest: dict[int, str] = {}

    def write(self, text: str) -> int:
        """Take `text`."""
        sink = _sink.get()
        if sink is None:
            written: int = self._real.write(text)
            return written
        thread = threading.get_ident()
        *lines, rest = (self._rest.pop(thread, "") + text).split("\n")
        for line in lines:
            if line.strip():
                sink(line)
        if rest:
            self._rest[thread] = rest
        return len(text)

    def flush(self) -> None:
        """Flush the real stream."""
        if _sink.get() is None:
            self._real.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@contextlib.contextmanager
def caught_output() -> Generator[None]:
    """Catch what the program prints to standard output and error while this is entered."""
    out, err = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _Catching(out), _Catching(err)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = out, err
