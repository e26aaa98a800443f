"""A real API server shared by the contract tests of this folder."""

from __future__ import annotations

import importlib.util
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from provision.kube.client import KubeClient
from provision.kube.provider import KubernetesProvider
from tests.support import kubedriver


def _support(name: str) -> ModuleType:
    full = f"elysium_tests_support_{name}"
    if full not in sys.modules:
        path = Path(__file__).parents[2] / "support" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(full, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[full] = module
        spec.loader.exec_module(module)
    return sys.modules[full]


apiserver_ = _support("apiserver")
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def apiserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    with apiserver_.running(tmp_path_factory.mktemp("apiserver")) as server:
        yield server


@pytest.fixture(scope="session")
def client(apiserver) -> Iterator[KubeClient]:
    with KubeClient.from_kubeconfig(apiserver.kubeconfig) as client:
        yield client


@pytest.fixture(scope="session")
def provider(apiserver) -> KubernetesProvider:
    return kubedriver.configured(apiserver.kubeconfig)


@pytest.fixture
def namespace(client: KubeClient) -> str:
    """A namespace of the test's own."""
    name = f"test-{next(_numbers)}"
    obj = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    client.create(obj, field_manager="test")
    return name
