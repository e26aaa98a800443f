"""The kubernetes provider and the kinds that have ways of their own."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from provision.kube.client import KubeClient
from tests.support import kubedriver, kubewatch

pytestmark = pytest.mark.sandbox


def test_a_secret_is_changed_in_place_and_never_absent(
    apiserver, provider, client, namespace: str, tmp_path: Path
) -> None:
    driver = kubedriver.Driver(provider, kubedriver.SECRET)
    uid = driver.create(kubedriver.secret(namespace, identity="one"))["metadata"]["uid"]
    version = client.get("v1", "Secret", "flux-system", namespace)["metadata"]["resourceVersion"]
    seen: list[tuple[str, str]] = []
    done = threading.Event()

    def look() -> None:
        for event, obj in kubewatch.secrets(
            tmp_path, apiserver.kubeconfig, namespace, since=version
        ):
            seen.append((event, obj["data"].get("identity", "")))
            if obj["data"].get("identity") == kubedriver.b64("four"):
                break
        done.set()

    thread = threading.Thread(target=look)
    thread.start()
    for value in ("two", "three", "four"):
        inputs = kubedriver.secret(namespace, identity=value, **{"identity.pub": "public"})
        found = driver.diff(inputs)
        assert found.changes
        assert not found.replaces
        assert "canary" not in repr(found.diffs)
        driver.update(inputs)
    assert done.wait(30)
    thread.join()
    assert {event for event, _ in seen} == {"MODIFIED"}
    assert seen[-1][1] == kubedriver.b64("four")
    assert client.get("v1", "Secret", "flux-system", namespace)["metadata"]["uid"] == uid


def test_a_selector_is_a_replacement_deleted_first(provider, namespace: str) -> None:
    driver = kubedriver.Driver(provider, kubedriver.DAEMON_SET)
    driver.create(kubedriver.daemon_set(namespace))
    other = kubedriver.daemon_set(namespace)
    other["spec"]["selector"]["matchLabels"] = {"app": "other"}
    other["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    found = driver.diff(other)
    assert found.replaces == ["spec.selector.matchLabels.app"]
    assert found.delete_before_replace


def test_a_namespace_that_comes_late_is_waited_for(provider, client: KubeClient) -> None:
    def later() -> None:
        obj = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "late"}}
        client.create(obj, field_manager="test")

    timer = threading.Timer(0.5, later)
    timer.start()
    try:
        assert kubedriver.Driver(provider, kubedriver.CONFIG_MAP).create(
            kubedriver.config_map("late", a="1")
        )["metadata"]["uid"]
    finally:
        timer.join()


def test_namespace_is_awaited_and_deleted(provider, client: KubeClient) -> None:
    driver = kubedriver.Driver(provider, kubedriver.NAMESPACE)
    inputs = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "short-lived"}}
    assert driver.create(inputs)["status"]["phase"] == "Active"
    assert driver.id == "short-lived"


def test_a_ready_daemon_set_is_ready(provider, client, namespace: str) -> None:
    inputs = kubedriver.daemon_set(namespace)
    del inputs["metadata"]["annotations"]
    status = {
        "observedGeneration": 1,
        "desiredNumberScheduled": 1,
        "currentNumberScheduled": 1,
        "numberMisscheduled": 0,
        "numberReady": 1,
        "updatedNumberScheduled": 1,
        "numberAvailable": 1,
    }

    def schedule() -> None:
        deadline = threading.Event()
        while client.get("apps/v1", "DaemonSet", "plugin", namespace) is None:
            deadline.wait(0.02)
        client.patch(
            "apps/v1", "DaemonSet", "plugin", namespace, {"status": status}, subresource="status"
        )

    thread = threading.Thread(target=schedule)
    thread.start()
    state = kubedriver.Driver(provider, kubedriver.DAEMON_SET).create(inputs, timeout=20)
    thread.join()
    assert state["status"]["numberAvailable"] == 1


def test_definition_keys_are_underscored_in_state(provider, client: KubeClient) -> None:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True}
    inputs = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "gizmos.shop.example"},
        "spec": {
            "group": "shop.example",
            "scope": "Cluster",
            "names": {"kind": "Gizmo", "plural": "gizmos", "singular": "gizmo"},
            "versions": [version | {"schema": {"openAPIV3Schema": schema}}],
        },
    }
    driver = kubedriver.Driver(
        provider, "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition"
    )
    driver.create(inputs)
    kept = driver.state["spec"].value["versions"].value[0].value["schema"].value["openAPIV3Schema"]
    assert kept.value["x_kubernetes_preserve_unknown_fields"].value is True
    assert not driver.diff(inputs).changes
    gizmo = {"apiVersion": "shop.example/v1", "kind": "Gizmo", "metadata": {"name": "one"}}
    custom = kubedriver.Driver(provider, "kubernetes:shop.example/v1:Gizmo")
    custom.create(gizmo | {"spec": {"size": 1.5, "tags": [], "off": False}})
    assert custom.id == "one"
    assert not custom.diff(gizmo | {"spec": {"size": 1.5, "tags": [], "off": False}}).changes
    custom.delete()
    driver.delete()
    assert client.get("apiextensions.k8s.io/v1", "CustomResourceDefinition", driver.id) is None
