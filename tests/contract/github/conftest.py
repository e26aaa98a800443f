"""A forge for the session, a repository of its own for each test."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from provision import config
from provision.github import repository
from provision.sandbox.forge import control
from provision.secret import Secret

FILES = {
    "README.md": "# home\n",
    "clusters/kyrion/apps.yaml": "kind: Kustomization\n",
    "apps/ä.yaml": "kind: App\n",
}
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[control.Forge]:
    with control.start_forge(tmp_path_factory.mktemp("forge") / "root") as forge:
        yield forge


@pytest.fixture
def empty(server: control.Forge) -> Iterator[control.Forge]:
    """A repository without a commit."""
    yield server.with_repository(f"gh-{next(_numbers)}")
    server.clear_faults()


@pytest.fixture
def forge(empty: control.Forge) -> control.Forge:
    empty.seed_repository(FILES)
    return empty


def settings(forge: control.Forge) -> config.GitHub:
    return config.GitHub(
        owner=forge.info.owner,
        repository=forge.info.repository,
        base_url=forge.info.api,
        allow_http=True,
        ssh_host=forge.info.ssh_host,
        ssh_port=forge.info.ssh_port,
    )


Opener = Callable[..., repository.Repository]


@pytest.fixture
def open_as(forge: control.Forge) -> Iterator[Opener]:
    """A function that opens the repository with a token; `said` gets the messages."""
    opened: list[repository.Repository] = []

    def open_(
        token: Secret | None = None, *, deadline: float = 20, said: list[str] | None = None
    ) -> repository.Repository:
        found = repository.Repository.open(
            settings(forge),
            token or forge.token(),
            deadline=deadline,
            progress=(said if said is not None else []).append,
        )
        opened.append(found)
        return found

    yield open_
    for found in opened:
        found.close()


@pytest.fixture
def repo(open_as: Opener) -> repository.Repository:
    return open_as()
