"""What every test relies on."""

from __future__ import annotations

import signal
from pathlib import Path

import hypothesis
import pytest

# A time limit for one example fails on a machine that does something else, too.
hypothesis.settings.register_profile("elysium", deadline=None)
hypothesis.settings.load_profile("elysium")

HERE = Path(__file__).parent
IN_SANDBOXES = frozenset(
    {"e2e", "e2e_coldstart", "e2e_https", "e2e_k3s", "e2e_recovery", "e2e_variants", "faults"}
    | {"links"}
)
"""The folders whose tests all need the sandbox's parts, root and namespaces."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE) and item.path.relative_to(HERE).parts[0] in IN_SANDBOXES:
            item.add_marker(pytest.mark.sandbox)


def pytest_configure() -> None:
    # A shell starts what it puts in the background with SIGINT ignored, and so would be every
    # process the tests start: those about Ctrl-C could then never see it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # The same for SIGHUP under nohup.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
