"""A sandbox with a repository of SealedSecrets, whose node is lost again and again."""

from __future__ import annotations

import pathlib
import shutil
from collections.abc import Iterator

import pytest

from provision.gitops.sealing import keys as sealing_keys
from tests.support import coldstarts, night
from tests.support import lab as labs


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[labs.Lab]:
    with labs.sandbox("recovery") as sandbox:
        made = labs.make(sandbox, tmp_path_factory.mktemp("stack"))
        key = sealing_keys.make_key()
        coldstarts.configure(made, key)
        coldstarts.use(made, "deadlocked", coldstarts.repository(key))
        made.elysium("up", "--yes").ok()
        yield made


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
