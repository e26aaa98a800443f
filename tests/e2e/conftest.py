"""One whole sandbox for the end-to-end tests, and a stack brought up in it once."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from provision.sandbox import lifecycle
from tests.support import lab as labs


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "e2e" in item.path.parts:
            item.add_marker(pytest.mark.sandbox)


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[labs.Lab]:
    if os.geteuid() != 0:
        pytest.fail("the end-to-end tests make a sandbox, which needs root")
    name = f"e2e-{os.getpid()}"
    try:
        sandbox = lifecycle.up(name)
        folder = tmp_path_factory.mktemp("stack")
        made = labs.make(sandbox, folder)
        labs.configure(made)
        yield made
    finally:
        keep = os.environ.get("ELYSIUM_KEEP_SANDBOX")
        if not keep:
            lifecycle.down(name)


@pytest.fixture(scope="session")
def before(lab: labs.Lab) -> dict[str, str]:
    """The node's files before anything was done to it."""
    return labs.files(lab)


@pytest.fixture(scope="session")
def up(lab: labs.Lab, before: dict[str, str]) -> labs.Done:
    """The first ``elysium up``."""
    del before
    return lab.elysium("up", "--yes").ok()
