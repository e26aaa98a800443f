"""Deletion with real controllers behind the API server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from pulumi.provider.experimental import provider as protocol
from pulumi.provider.experimental.property_value import PropertyValue

from provision.kube import properties
from provision.kube.client import KubeClient
from provision.kube.provider import KubernetesProvider

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def controllers(apiserver, tmp_path_factory) -> Iterator[None]:
    before = len(apiserver.processes)
    apiserver.start_controllers(
        "namespace-controller,garbage-collector-controller,deployment-controller,"
        "replicaset-controller"
    )
    yield
    for process in apiserver.processes[before:]:
        process.terminate()
        process.wait()
    del apiserver.processes[before:]


def make(apiserver) -> KubernetesProvider:
    provider = KubernetesProvider()
    args = {
        "kubeconfig": PropertyValue(apiserver.kubeconfig),
        "upsertExistingObjects": PropertyValue("true"),
    }
    asyncio.run(provider.configure(protocol.ConfigureRequest({}, args, True, True)))
    return provider


def create(provider: KubernetesProvider, token: str, obj: dict) -> tuple[str, str, dict]:
    urn = f"urn:pulumi:kyrion::elysium::{token}::thing"
    made = properties.from_object(obj)
    answer = asyncio.run(provider.create(protocol.CreateRequest(urn, made, 30, False)))
    return urn, answer.resource_id, answer.properties


def test_a_deployment_is_deleted_with_its_replicas(
    apiserver, controllers, client: KubeClient, namespace: str
) -> None:
    labels = {"app": "web"}
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "web", "image": "web"}]},
    }
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template},
    }
    provider = make(apiserver)
    urn, id_, state = create(provider, "kubernetes:apps/v1:Deployment", deployment)
    assert properties.to_object(state)["status"]["observedGeneration"] == 1
    asyncio.run(provider.delete(protocol.DeleteRequest(urn, id_, state, 30)))
    assert client.get("apps/v1", "Deployment", "web", namespace) is None
    assert client.list("apps/v1", "ReplicaSet", namespace) == []


def test_a_namespace_is_gone_with_what_is_in_it(apiserver, controllers, client: KubeClient) -> None:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "doomed"}}
    provider = make(apiserver)
    urn, id_, state = create(provider, "kubernetes:core/v1:Namespace", namespace)
    inside = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "inside", "namespace": "doomed"},
    }
    client.create(inside, field_manager="test")
    asyncio.run(provider.delete(protocol.DeleteRequest(urn, id_, state, 60)))
    assert client.get("v1", "Namespace", "doomed") is None
    assert client.get("v1", "Secret", "inside", "doomed") is None
