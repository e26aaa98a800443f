"""Fixtures of a real API server: import those that a folder's tests want into its conftest."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from provision.kube.client import KubeClient
from tests.support import apiserver as servers

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def apiserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.ApiServer]:
    """One for the session."""
    with servers.running(tmp_path_factory.mktemp("apiserver")) as server:
        yield server


@pytest.fixture(scope="session")
def client(apiserver: servers.ApiServer) -> Iterator[KubeClient]:
    """A client of it, as an administrator."""
    with KubeClient.from_kubeconfig(apiserver.kubeconfig) as client:
        yield client


@pytest.fixture
def namespace(client: KubeClient) -> str:
    """A namespace of the test's own."""
    name = f"test-{next(_numbers)}"
    obj = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    client.create(obj, field_manager="test")
    return name
