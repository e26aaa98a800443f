"""Work that ends: commands run to their end, and several things done at once.

`run` is for a command whose output matters when it fails; `together` does
independent work in threads and, when one fails or the user interrupts, ends the
commands of the others instead of waiting for them.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

from provision import errors


class Cancelled(errors.ElysiumError):
    """Ended because something beside it failed; never the first error of a run."""


_here = threading.local()  # .batch: the call of `together` this thread works for


def run(
    argv: Sequence[str],
    *,
    what: str,
    stdin: str = "",
    timeout: float = 60,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    each_line: Callable[[str], None] | None = None,
) -> str:
    """Run `argv` on this machine to its end and return its standard output.

    With `each_line`, standard error goes the same way, and every line is passed
    on as it comes. `environment` is the whole environment, not an addition.

    Raises:
        errors.ElysiumError: when it fails, with the end of what it said; `what`
            says what was meant to happen.
    """
    merged = each_line is not None
    try:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL if merged else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if merged else subprocess.PIPE,
            text=True,
            errors="replace",
            cwd=folder,
            env=environment,
            process_group=0,  # so that its children end with it
        )
    except OSError as error:
        raise errors.ElysiumError(f"{what}: {argv[0]} cannot be run.", detail=str(error)) from error
    batch: _Batch | None = getattr(_here, "batch", None)
    with process, _known(process, batch):
        if each_line is not None and process.stdout is not None:
            lines: list[str] = []
            with _deadline(process, timeout):
                for line in process.stdout:
                    lines.append(line)
                    each_line(line.rstrip("\n"))
            process.wait()
            output, complaint = "".join(lines), ""
        else:
            try:
                output, complaint = process.communicate(stdin, timeout=timeout)
            except subprocess.TimeoutExpired as error:
                raise errors.ElysiumError(
                    f"{what}: {argv[0]} did not end within {timeout:.0f} s."
                ) from error
    if batch is not None and batch.cancelled:
        raise Cancelled(f"{what}: cancelled.")
    if process.returncode != 0:
        raise errors.ElysiumError(
            f"{what}: {' '.join(argv[:3])} failed with status {process.returncode}.",
            detail=complaint or output,
        )
    return output


def check() -> None:
    """Raise `Cancelled` when the work of this thread is no longer wanted; for waits."""
    batch: _Batch | None = getattr(_here, "batch", None)
    if batch is not None and batch.cancelled:
        raise Cancelled("Cancelled.")


def together(tasks: Mapping[str, Callable[[], Any]]) -> dict[str, Any]:
    """Do all `tasks` at once, in threads; return their results by name.

    The first to fail ends the commands that the others run, and its exception
    is raised when they are back. A task may itself call this.
    """
    above: _Batch | None = getattr(_here, "batch", None)
    batch = _Batch()

    def enter(task: Callable[[], Any]) -> Any:
        _here.batch = batch
        return task()

    workers = concurrent.futures.ThreadPoolExecutor(max_workers=max(1, len(tasks)))
    with above.joined(batch) if above else contextlib.nullcontext(), workers as pool:
        futures = {name: pool.submit(enter, task) for name, task in tasks.items()}
        try:
            for future in concurrent.futures.as_completed(futures.values()):
                future.result()
        except BaseException:
            batch.cancel()
            raise
    return {name: future.result() for name, future in futures.items()}


def timed_together(
    tasks: Mapping[str, Callable[[], Any]],
) -> tuple[dict[str, Any], dict[str, float]]:
    """Do all `tasks` as `together` does; return their results and the seconds each took."""
    seconds: dict[str, float] = {}

    def timed(what: str, task: Callable[[], Any]) -> Callable[[], Any]:
        def measured() -> Any:
            began = time.monotonic()
            result = task()
            seconds[what] = round(time.monotonic() - began, 2)
            return result

        return measured

    return together({what: timed(what, task) for what, task in tasks.items()}), seconds


class _Batch:
    """The commands under way for one call of `together`."""

    def __init__(self) -> None:
        self.cancelled = False
        self.processes: set[subprocess.Popen[str]] = set()
        self.below: set[_Batch] = set()
        self.lock = threading.Lock()

    def cancel(self) -> None:
        with self.lock:
            self.cancelled = True
            for process in self.processes:
                _end(process)
            for batch in self.below:
                batch.cancel()

    @contextlib.contextmanager
    def joined(self, batch: _Batch) -> Generator[None]:
        """End the commands of `batch` with those of this one."""
        with self.lock:
            self.below.add(batch)
            if self.cancelled:
                batch.cancel()
        try:
            yield
        finally:
            with self.lock:
                self.below.discard(batch)


@contextlib.contextmanager
def _known(process: subprocess.Popen[str], batch: _Batch | None) -> Generator[None]:
    try:
        if batch is not None:
            with batch.lock:
                batch.processes.add(process)
                if batch.cancelled:
                    _end(process)
        yield
    except BaseException:
        _end(process)
        raise
    finally:
        if batch is not None:
            with batch.lock:
                batch.processes.discard(process)


@contextlib.contextmanager
def _deadline(process: subprocess.Popen[str], seconds: float) -> Generator[None]:
    timer = threading.Timer(seconds, _end, (process,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _end(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
