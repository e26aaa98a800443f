"""Which contract tests need Linux and root, and what is installed for them."""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path

import pytest

from provision.sandbox import requirements

HERE = Path(__file__).parent
AS_ROOT = frozenset({"github", "provider", "sandbox"})
"""The folders whose tests run daemons or boot nodes."""


def _is_theirs(path: Path) -> bool:
    return path.is_relative_to(HERE) and path.relative_to(HERE).parts[0] in AS_ROOT


def _is_able() -> bool:
    return sys.platform == "linux" and os.geteuid() == 0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _is_theirs(item.path):
            item.add_marker(pytest.mark.sandbox)
            if not _is_able():
                item.add_marker(pytest.mark.skip(reason="needs Linux and root"))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if _is_theirs(item.path) and _is_able():
        _install()


@functools.cache
def _install() -> None:
    """Install the programs of a sandbox where they are not there, sshd among them."""
    requirements.ensure()
