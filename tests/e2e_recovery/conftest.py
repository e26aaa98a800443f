"""A sandbox with a repository of SealedSecrets, whose node is lost again and again."""

from __future__ import annotations

import os
import pathlib
import shutil
from collections.abc import Iterator

import pytest

from provision.gitops import sealing
from provision.sandbox import lifecycle
from tests.support import coldstarts, night
from tests.support import lab as labs


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "e2e_recovery" in item.path.parts:
            item.add_marker(pytest.mark.sandbox)


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[labs.Lab]:
    if os.geteuid() != 0:
        pytest.fail("the end-to-end tests make a sandbox, which needs root")
    name = f"recovery-{os.getpid()}"
    try:
        sandbox = lifecycle.up(name)
        made = labs.make(sandbox, tmp_path_factory.mktemp("stack"))
        key = sealing.make_key()
        coldstarts.configure(made, key)
        coldstarts.use(made, "deadlocked", coldstarts.repository(key))
        made.elysium("up", "--yes").ok()
        yield made
    finally:
        if not os.environ.get("ELYSIUM_KEEP_SANDBOX"):
            lifecycle.down(name)


@pytest.fixture(scope="session")
def kept(lab: labs.Lab, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A backup with the datastore, elsewhere."""
    said = (
        lab.elysium("--json", "backup", "--datastore", environ=night.PHRASE).ok().json_lines()[-1]
    )
    path = tmp_path_factory.mktemp("stick") / pathlib.Path(said["path"]).name
    return pathlib.Path(shutil.copy(said["path"], path))


@pytest.fixture(scope="session")
def before(lab: labs.Lab, kept: pathlib.Path) -> dict[str, object]:
    """Every Secret as it was when the backup was made."""
    return night.secrets(lab)
