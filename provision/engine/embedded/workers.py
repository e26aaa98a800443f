"""Threads that call providers, and event loops for their coroutines.

Worker threads are daemons, so that a provider that never comes back cannot
keep the process from ending.
"""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from collections.abc import Callable, Coroutine
from concurrent import futures
from typing import Any, TypeVar

T = TypeVar("T")


class DaemonPool(futures.ThreadPoolExecutor):
    """A thread pool of daemon threads; threads are made when they are needed."""

    def __init__(self, limit: int, name: str) -> None:
        super().__init__(max_workers=limit, thread_name_prefix=name)
        self._limit = limit
        self._name = name
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._threads_made: list[threading.Thread] = []
        self._idle = 0
        self._unfinished = 0
        self._process = os.getpid()
        self._guard = threading.Lock()

    @property
    def busy(self) -> bool:
        """Whether anything waits to be done or is being done."""
        return self._unfinished > 0

    def submit(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, fn: Callable[..., T], /, *args: Any, **kwargs: Any
    ) -> futures.Future[T]:
        """Run `fn` on one of the threads."""
        if os.getpid() != self._process:
            # A child that the program forked has none of the threads.
            os._exit(0)
        future: futures.Future[T] = futures.Future()

        def job() -> None:
            try:
                if future.set_running_or_notify_cancel():
                    try:
                        future.set_result(fn(*args, **kwargs))
                    except BaseException as error:  # noqa: BLE001 - the future's owner's
                        future.set_exception(error)
            finally:
                # Only now: whoever waits for the future has been woken.
                with self._guard:
                    self._unfinished -= 1

        with self._guard:
            self._unfinished += 1
            self._jobs.put(job)
            if self._idle == 0 and len(self._threads_made) < self._limit:
                name = f"{self._name}-{len(self._threads_made)}"
                thread = threading.Thread(target=self._work, name=name, daemon=True)
                self._threads_made.append(thread)
                thread.start()
            else:
                self._idle = max(0, self._idle - 1)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the threads after what they do now; with `wait`, return when they have ended."""
        with self._guard:
            threads = list(self._threads_made)
            for _ in threads:
                self._jobs.put(None)
        if wait:
            for thread in threads:
                thread.join()

    def _work(self) -> None:
        while True:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                with self._guard:
                    self._idle += 1
                job = self._jobs.get()
            if job is None:
                return
            job()


class Loops:
    """One event loop a thread, made at its first coroutine and closed at the end."""

    def __init__(self, pool: DaemonPool) -> None:
        """Make loops whose `asyncio.to_thread` uses `pool`."""
        self._pool = pool
        self._local = threading.local()
        self._made: list[asyncio.AbstractEventLoop] = []

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run `coroutine` to its end in this thread."""
        loop = getattr(self._local, "loop", None)
        if loop is None:
            loop = asyncio.new_event_loop()
            loop.set_default_executor(self._pool)
            self._local.loop = loop
            self._made.append(loop)
        found: T = loop.run_until_complete(coroutine)
        return found

    def close(self) -> None:
        """Close every loop that does not run any more."""
        for loop in self._made:
            if not loop.is_running():
                loop.close()
