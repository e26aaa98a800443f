"""What commands about a stack have in common: opening it, signals, options of a run."""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from provision.cli import ctrl_c, failures, redaction
from provision.cli.settings import Settings

if TYPE_CHECKING:
    from provision.engine import api
    from provision.operations.stack import Stack


@contextlib.contextmanager
def stack(called: Settings) -> Generator[Stack]:
    """Open the stack that the options name; close its connections at the end."""
    from provision.operations.stack import open_stack

    with ending_well(called):
        opened = open_stack(called.directory, called.stack, engine=called.engine)
        called.terminal.keep_secret(redaction.secrets_in(opened.config))
        called.terminal.keep_secret([opened.passphrase])
        for warning in opened.warnings:
            called.terminal.warn(str(warning))
        with contextlib.closing(opened):
            yield opened


@contextlib.contextmanager
def ending_well(called: Settings) -> Generator[None]:
    """Let TERM and HUP unwind like Ctrl-C, and ``-v`` show what ``elysium.*`` logs."""
    with _signals(), _logging(called):
        yield


def run_options(targets: tuple[str, ...], parallel: int, *, refresh: bool = True) -> api.Options:
    """Return the engine's options for what the command line said."""
    from provision.engine import api

    patterns = tuple(target if "::" in target else f"**::{target}" for target in targets)
    return api.Options(targets=patterns, parallel=parallel, refresh=refresh)


@contextlib.contextmanager
def _signals() -> Generator[None]:
    def end(number: int, frame: Any) -> None:
        if ctrl_c.importing(frame):
            ctrl_c.again(number)
            return
        raise failures.Terminated(number)

    before: dict[int, Any] = {}
    with contextlib.suppress(ValueError):  # not the main thread: signals are not ours
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup ignores HUP: leave that
                before[number] = signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _logging(called: Settings) -> Generator[None]:
    cleaning = redaction.Filter(called.terminal.hide)
    if logging.lastResort is not None:  # prints the warnings of libraries
        logging.lastResort.addFilter(cleaning)
    if not (called.verbose or called.debug):
        yield
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(relativeCreated)7d ms %(name)s: %(message)s"))
    handler.addFilter(cleaning)
    loggers = [logging.getLogger(name) for name in ("elysium", "provision")]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG if called.debug or called.verbose > 1 else logging.INFO)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
