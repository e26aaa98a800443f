"""A forge in this process, over HTTPS, with a repository of its own for each test that asks."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator

import pytest

from provision import config
from provision.github import repository
from provision.sandbox.forge import app, authority, listener
from provision.secret import Secret

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[tuple[app.Forge, int]]:
    options = app.Options(
        root=tmp_path_factory.mktemp("forge"),
        api_host="127.0.0.1",
        api_port=0,
        ssh_host="127.0.0.1",
        ssh_port=0,
        owner="me",
        repository="home",
        tls=True,
    )
    forge = app.Forge(options)
    forge.prepare()
    server = listener.Server(forge)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield forge, server.server_address[1]
    server.shutdown()
    server.server_close()
    forge.close()


@pytest.fixture
def opened(served) -> Iterator[Callable[..., repository.Repository]]:
    """Opens a repository without a commit, as elysium does."""
    forge, port = served
    name = f"empty-{next(_numbers)}"
    forge.add_repository("me", name)
    made: list[repository.Repository] = []

    def of(branch: str = "main") -> repository.Repository:
        cfg = config.GitHub(
            owner="me",
            repository=name,
            branch=branch,
            base_url=f"https://127.0.0.1:{port}",
            ca_file=str(authority.ca_file(forge.root)),
        )
        token = Secret((forge.root / "token").read_text().strip())
        made.append(repository.Repository.open(cfg, token, deadline=10))
        return made[-1]

    yield of
    for one in made:
        one.close()
