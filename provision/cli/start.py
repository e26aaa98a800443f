"""Where the process begins: a signal ends it in silence until `main` hears signals itself.

Nothing is imported before that but the standard library: a Ctrl-C during the imports, which
take a while on a slow machine, would show a traceback otherwise.
"""

from __future__ import annotations

import os
import signal
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    """Run the process's arguments and return the exit status."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup ignores HUP: leave that
            signal.signal(number, _leave)
    from provision.cli import streams

    streams.prepare()
    from provision.cli.main import main as run

    return streams.finish(run())


def _leave(number: int, _frame: FrameType | None) -> None:
    """End the process: nothing was begun."""
    os._exit(128 + number)
