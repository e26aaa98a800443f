"""A real API server shared by the contract tests of this folder, and our provider for it."""

from __future__ import annotations

import pytest

from provision.kube.provider import KubernetesProvider
from tests.support import kubedriver
from tests.support.kubefixtures import apiserver, client, namespace

__all__ = ["apiserver", "client", "namespace", "provider"]


@pytest.fixture(scope="session")
def provider(apiserver) -> KubernetesProvider:
    """Configured for it."""
    return kubedriver.configured(apiserver.kubeconfig)
