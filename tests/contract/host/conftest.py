"""A throwaway sshd on loopback: the real server the transport is held against."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterator

import pytest

from provision import secret
from provision.host import session
from tests.support.sshd import SSHD, Sshd, free_port, keygen, start_sshd

__all__ = ["SSHD", "Sshd", "free_port", "keygen", "start_sshd"]


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    server = start_sshd(tmp_path_factory.mktemp("sshd"))
    yield server
    server.process.terminate()
    server.process.wait(10)


@pytest.fixture
def make_sshd(tmp_path: pathlib.Path) -> Iterator[Callable[..., Sshd]]:
    """Start further servers with extra configuration; all are stopped afterwards."""
    servers: list[Sshd] = []

    def make(extra: str = "", wrap: tuple[str, ...] = ()) -> Sshd:
        server = start_sshd(tmp_path / f"sshd{len(servers)}", extra=extra, wrap=wrap)
        servers.append(server)
        return server

    yield make
    for server in servers:
        server.process.terminate()
        server.process.wait(10)


@pytest.fixture
def node_session(sshd: Sshd) -> Iterator[session.NodeSession]:
    with session.NodeSession(sshd.node()) as opened:
        yield opened


@pytest.fixture
def canary() -> secret.Secret:
    return secret.Secret("canary-5f2c-do-not-print")
