"""Waiting for the `pulumi` CLI, and saying what it means when it fails."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import subprocess
import threading
from collections.abc import Callable
from typing import Any

from provision import errors
from provision.engine import api, events
from provision.engine.embedded import interrupts
from provision.engine.upstream import events as upstream_events


class Guarded:
    """The program, its exception kept as it is: the CLI passes on only its text."""

    def __init__(self, program: api.Program) -> None:
        self._program = program
        self._loop: asyncio.AbstractEventLoop | None = None
        self.error: BaseException | None = None

    def __call__(self) -> Any:
        """Run the program."""
        with contextlib.suppress(RuntimeError):
            self._loop = asyncio.get_running_loop()
        try:
            return self._program()
        except BaseException as error:
            self.error = error
            raise

    def settle(self) -> None:
        """Finish what is left in the event loop that the SDK ran the program in.

        Its tasks call `sys.exit` when the CLI has ended before them, and the SDK then leaves
        the loop open with the others in it (its automation/_server.py).
        """
        loop = self._loop
        if loop is None or loop.is_closed() or loop.is_running():
            return
        for task in asyncio.all_tasks(loop):
            task.cancel()
            with contextlib.suppress(Exception, asyncio.CancelledError, SystemExit):
                loop.run_until_complete(task)
        loop.close()


def pumped(
    work: Callable[[], dict[str, Any]],
    waiting: queue.SimpleQueue[events.Event | None],
    on_event: api.OnEvent,
) -> dict[str, Any]:
    """Do `work` in a thread while events are passed on in this one."""
    result: list[dict[str, Any]] = []
    failure: list[BaseException] = []
    pressed: list[int] = []

    def run() -> None:
        try:
            result.append(work())
        except BaseException as error:  # noqa: BLE001 - raised below
            failure.append(error)
        finally:
            waiting.put(None)

    def on_signal(count: int) -> None:
        # The terminal sends the signal to the CLI too, which ends what it does.
        pressed.append(count)
        waiting.put(events.Diagnostic(severity="warning", message="interrupted: finishing"))

    thread = threading.Thread(target=run, name="upstream", daemon=True)
    with interrupts.handled(on_signal):
        thread.start()
        for event in interrupts.drained(waiting):
            on_event(event)
    thread.join()
    if failure and pressed:
        raise errors.InterruptedByUser(
            "interrupted", hint="run the same command again: it goes on from here"
        ) from failure[0]
    if failure:
        raise failure[0]
    return result[0]


def explain(
    failure: Exception, translator: upstream_events.Translator, operation: str
) -> errors.StackError:
    """Return the error for what the Automation API raised."""
    from pulumi.automation import errors as sdk

    text = str(failure)
    hint = "run the same command again; with --debug the CLI's own words are shown in full"
    summary = f"the Pulumi CLI could not finish the {operation}"
    if isinstance(failure, sdk.ConcurrentUpdateError) or "currently locked" in text:
        summary = "the stack is locked by another run"
        hint = "wait until it is over; `elysium stack unlock` takes a lock away that a crash left"
    elif "incorrect passphrase" in text:
        summary = "the passphrase is wrong"
        hint = "give the passphrase that the stack was made with"
    elif isinstance(failure, (OSError, subprocess.SubprocessError)):
        summary = "the Pulumi CLI could not be run"
    said = "\n".join(translator.errors)
    found = errors.StackError(summary, operation=operation, detail=said or text, hint=hint)
    found.__cause__ = failure
    return found
