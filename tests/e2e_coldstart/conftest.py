"""A sandbox whose repositories Flux alone cannot bring up."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from provision.gitops import sealing
from provision.sandbox import lifecycle
from tests.support import coldstarts
from tests.support import lab as labs


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "e2e_coldstart" in item.path.parts:
            item.add_marker(pytest.mark.sandbox)


@pytest.fixture(scope="session")
def key() -> sealing.SealingKey:
    """The key the repositories are sealed for: of a cluster that is gone."""
    return sealing.make_key()


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory, key: sealing.SealingKey) -> Iterator[labs.Lab]:
    if os.geteuid() != 0:
        pytest.fail("the end-to-end tests make a sandbox, which needs root")
    name = f"coldstart-{os.getpid()}"
    try:
        sandbox = lifecycle.up(name)
        made = labs.make(sandbox, tmp_path_factory.mktemp("stack"))
        coldstarts.configure(made, key)
        yield made
    finally:
        if not os.environ.get("ELYSIUM_KEEP_SANDBOX"):
            lifecycle.down(name)
