"""What every test relies on."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    # A shell starts what it puts in the background with SIGINT ignored, and so would be every
    # process the tests start: those about Ctrl-C could then never see it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # The same for SIGHUP under nohup.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
