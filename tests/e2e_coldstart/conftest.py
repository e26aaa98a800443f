"""A sandbox whose repositories Flux alone cannot bring up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from provision.gitops.sealing import keys as sealing_keys
from tests.support import coldstarts
from tests.support import lab as labs


@pytest.fixture(scope="session")
def key() -> sealing_keys.SealingKey:
    """The key the repositories are sealed for: of a cluster that is gone."""
    return sealing_keys.make_key()


@pytest.fixture(scope="session")
def lab(
    tmp_path_factory: pytest.TempPathFactory, key: sealing_keys.SealingKey
) -> Iterator[labs.Lab]:
    with labs.sandbox("coldstart") as sandbox:
        made = labs.make(sandbox, tmp_path_factory.mktemp("stack"))
        coldstarts.configure(made, key)
        yield made
