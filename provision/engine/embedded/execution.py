"""One operation from its first registration to its last delete. Imports the SDK."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from typing import Any, Final

import pulumi

from provision import errors
from provision.engine import api
from provision.engine.embedded import monitor, program, providers, run, workers
from provision.engine.embedded.steps import delete as delete_steps
from provision.engine.embedded.steps import refresh as refresh_steps
from provision.engine.embedded.steps import register as register_steps
from provision.engine.state import urns, values

_SDK_REFUSES: Final = re.compile(r"The Pulumi CLI does not support (.+)\. Please update the")
"""How the SDK itself refuses what the engine has not announced."""


class Execution:
    """Runs one operation in threads of its own; `cancel` and `give_up` come from outside."""

    def __init__(self, context: run.Run, makers: api.Providers) -> None:
        self._run = context
        parallel = context.options.parallel or 4 * (os.cpu_count() or 1)
        self._pool = workers.DaemonPool(4 * parallel, "step")
        self._delete_pool = workers.DaemonPool(parallel, "delete")
        self._aside = workers.DaemonPool(2 * parallel + 8, "aside")
        self._loops = workers.Loops(self._aside)
        self._calls = providers.Providers(context, makers, self._loops, parallel)
        self._parallel = parallel
        self._thread: threading.Thread | None = None
        self._abandoned = threading.Event()
        self.error: BaseException | None = None

    def start(self, wanted: api.Program | None, finished: Callable[[], None]) -> None:
        """Begin; `finished` is called at the end, whichever it is."""

        def work() -> None:
            try:
                self._work(wanted)
            except run.Stopped:
                pass
            except BaseException as error:  # noqa: BLE001 - raised by whoever waits
                self.error = error
            finally:
                finished()
                if self._abandoned.is_set():
                    self.close()
                    self._run.keeper.abandon()

        self._thread = threading.Thread(target=work, name="engine", daemon=True)
        self._thread.start()

    def cancel_providers(self) -> None:
        """Ask every provider to end what it does."""
        self._calls.cancel()

    def abandon(self) -> None:
        """Leave it to itself: nobody waits for its end any more."""
        self._abandoned.set()

    def close(self) -> None:
        """End all threads. Call it after the end only."""
        for pool in (self._pool, self._delete_pool):
            pool.shutdown(wait=True)
        self._loops.close()
        self._aside.shutdown(wait=True)

    def _work(self, wanted: api.Program | None) -> None:
        failed: BaseException | None = None
        if wanted is not None:
            failed = self._execute(wanted)
        context = self._run
        if context.mode == "up":
            self._export(ok=failed is None and not context.failures)
        if failed is not None and not context.failures and not context.cancelled.is_set():
            raise program_error(failed)
        if failed is not None:
            return
        context.open()
        if context.mode == "refresh":
            refresh_steps.Refresher(context, self._calls, self._delete_pool).run()
        else:
            delete_steps.Deleter(context, self._calls, self._delete_pool).run()
        context.targets.require_used()

    def _execute(self, wanted: api.Program) -> BaseException | None:
        """Run the program and wait for every step it began; return how it failed."""
        registrar = register_steps.Registrar(self._run, self._calls)
        spoken = monitor.Monitor(self._run, registrar, self._run.root, self._parallel)
        thread = program.ProgramThread(wanted, self._run, spoken, self._pool)
        with program.caught_output():
            thread.start()
            thread.join()
            self._pool.shutdown(wait=True)
        return thread.error

    def _export(self, *, ok: bool) -> None:
        """Record the stack's exports; of a failed program only what is new in them."""
        context = self._run
        root = [new for new in context.news.values() if new.record.type == urns.ROOT_TYPE]
        if not root or context.stack_outputs is None:
            return
        before = root[0].record.outputs
        now = {
            key: each
            for key, each in context.stack_outputs.items()
            if context.dry_run or not values.has_unknown(each)
        }
        kept = {key: each for key, each in before.items() if key in context.stack_outputs}
        outputs: dict[str, Any] = {**kept, **now} if ok else {**before, **now}
        context.edit(root[0], root[0].record.but(outputs=outputs))


def program_error(error: BaseException) -> Exception:
    """Return what to tell the user of a program that ended with `error`."""
    if isinstance(error, errors.ElysiumError):
        return error
    unsupported = _SDK_REFUSES.search(str(error))
    if unsupported is not None:
        found = run.refusal(unsupported[1])
    elif isinstance(error, SystemExit):
        found = errors.StackError(
            f"the program ended itself with sys.exit({error.code!r})",
            operation="program",
            hint="a Pulumi program ends by returning; raise an exception to fail",
        )
    elif isinstance(error, pulumi.RunError):
        found = errors.StackError(f"the program failed: {error}", operation="program")
    else:
        found = errors.StackError(
            f"the program failed: {type(error).__name__}: {error}",
            operation="program",
            detail=_where(error),
        )
    found.__cause__ = error
    return found


def _where(error: BaseException) -> str:
    """Return where in the program `error` was raised: the last frame outside the SDK."""
    place = ""
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        package = str(trace.tb_frame.f_globals.get("__name__", ""))
        if not package.startswith(("pulumi", "asyncio", "provision.engine", "concurrent")):
            place = f"{code.co_filename}:{trace.tb_lineno} in {code.co_name}"
        trace = trace.tb_next
    return place
