"""The caller's side of an operation: events passed on in its thread, Ctrl-C minded."""

from __future__ import annotations

import queue

from provision import errors
from provision.engine import api, events
from provision.engine.embedded import execution, interrupts, run


class Session:
    """Waits for an operation in the caller's thread: passes on events, minds Ctrl-C."""

    def __init__(
        self,
        context: run.Run,
        waiting: queue.SimpleQueue[events.Event | None],
        on_event: api.OnEvent,
    ) -> None:
        self._queue = waiting
        self._context = context
        self._on_event = on_event
        self._execution: execution.Execution | None = None
        self._left = False
        self._doing = ""
        self._broken: BaseException | None = None

    def run(self, program: api.Program | None, makers: api.Providers) -> BaseException | None:
        """Run the operation; return the error it ended with."""
        waiting = self._queue
        self._execution = execution.Execution(self._context, makers)
        with interrupts.handled(self._pressed):
            self._execution.start(program, lambda: waiting.put(None))
            for event in interrupts.drained(waiting):
                self._pass_on(event)
        if self._left:
            self._execution.abandon()
            return interrupts.Left(self._interrupted())
        self._execution.close()
        while not waiting.empty():
            event = waiting.get()
            if event is not None:
                self._pass_on(event)
        return self._ending()

    def _pass_on(self, event: events.Event) -> None:
        if self._broken is not None:
            return
        try:
            self._on_event(event)
        except BaseException as error:  # noqa: BLE001 - raised once all is saved
            self._broken = error
            self._context.cancelled.set()

    def _ending(self) -> BaseException | None:
        if self._broken is not None and not isinstance(self._broken, KeyboardInterrupt):
            return self._broken
        if self._context.cancelled.is_set():
            return self._interrupted()
        if self._context.failures:
            return self._context.failures[0]
        return self._execution.error if self._execution is not None else None

    def _pressed(self, count: int) -> None:
        context, waiting = self._context, self._queue
        if count == 1:
            context.cancelled.set()
            self._doing = ", ".join(context.under_way.values())
            doing = self._doing or "what was begun"
            message = f"interrupted: finishing {doing}; press Ctrl-C again to cancel it"
            waiting.put(events.Diagnostic(severity="warning", message=message))
        elif count == 2 and self._execution is not None:
            message = "cancelling; press Ctrl-C again to leave at once"
            waiting.put(events.Diagnostic(severity="warning", message=message))
            self._execution.cancel_providers()
        else:
            self._left = True
            waiting.put(None)

    def _interrupted(self) -> errors.InterruptedByUser:
        during = f" while {self._doing}" if self._doing else ""
        return errors.InterruptedByUser(
            f"interrupted{during}; the state is saved",
            hint="run the same command again: it goes on from here",
        )
