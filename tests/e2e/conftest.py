"""One whole sandbox for the end-to-end tests, and a stack brought up in it once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import lab as labs


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[labs.Lab]:
    with labs.sandbox("e2e") as sandbox:
        folder = tmp_path_factory.mktemp("stack")
        made = labs.make(sandbox, folder)
        labs.configure(made)
        yield made


@pytest.fixture(scope="session")
def before(lab: labs.Lab) -> dict[str, str]:
    """The node's files before anything was done to it."""
    return labs.files(lab)


@pytest.fixture(scope="session")
def up(lab: labs.Lab, before: dict[str, str]) -> labs.Done:
    """The first ``elysium up``."""
    del before
    return lab.elysium("up", "--yes").ok()
