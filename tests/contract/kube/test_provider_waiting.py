"""The kubernetes provider waits for objects and for the API server, and says why."""

from __future__ import annotations

import asyncio
import threading

import pytest

from provision import errors
from provision.kube import objects, outcome, properties
from tests.support import kubedriver

pytestmark = pytest.mark.sandbox


def test_unreachable_is_status_0(apiserver) -> None:
    provider = kubedriver.configured(apiserver.kubeconfig_for("admin", "system:masters", port=1))
    driver = kubedriver.Driver(provider, kubedriver.CONFIG_MAP)
    driver.id = "x/settings"
    driver.state = driver.inputs = driver.check(kubedriver.config_map("x"))
    with pytest.raises(errors.KubeError) as caught:
        driver.read()
    assert caught.value.status == 0
    assert driver.create(kubedriver.config_map("x", a="1"), preview=True)["data"] == {"a": "1"}


def test_delete_waits_and_names_the_finalizer(provider, client, namespace: str) -> None:
    driver = kubedriver.Driver(provider, kubedriver.CONFIG_MAP)
    driver.create(kubedriver.config_map(namespace, a="1"))
    hold = {"metadata": {"finalizers": ["example.com/hold"]}}
    client.patch("v1", "ConfigMap", "settings", namespace, hold)
    with pytest.raises(errors.WaitError) as caught:
        driver.delete(timeout=0.5)
    assert "example.com/hold" in caught.value.summary
    client.patch("v1", "ConfigMap", "settings", namespace, {"metadata": {"finalizers": None}})
    driver.delete()
    assert client.get("v1", "ConfigMap", "settings", namespace) is None
    driver.delete()


def test_not_ready_in_time_keeps_the_state(provider, client, namespace: str) -> None:
    inputs = kubedriver.daemon_set(namespace)
    del inputs["metadata"]["annotations"]
    driver = kubedriver.Driver(provider, kubedriver.DAEMON_SET)
    with pytest.raises(outcome.InitFailedError) as caught:
        driver.create(inputs, timeout=0.3)
    error = caught.value
    assert error.resource_id == f"{namespace}/plugin"
    assert properties.from_state(error.properties).live["metadata"]["uid"]
    assert "its controller has not looked at it yet" in error.reasons[0]


def test_the_reason_of_a_pod_is_told(provider, client, namespace: str) -> None:
    account = {"apiVersion": "v1", "kind": "ServiceAccount"}
    account |= {"metadata": {"name": "default", "namespace": namespace}}
    client.create(account, field_manager="test")
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "plugin-1", "namespace": namespace, "labels": {"app": "plugin"}},
        "spec": {"containers": [{"name": "plugin", "image": "example/plugin:1"}]},
    }
    client.create(pod, field_manager="test")
    waiting = {"reason": "ImagePullBackOff", "message": "no such image"}
    container = {
        "name": "plugin",
        "state": {"waiting": waiting},
        **{"image": "", "imageID": "", "ready": False, "restartCount": 0},
    }
    status = {"status": {"phase": "Pending", "containerStatuses": [container]}}
    client.patch("v1", "Pod", "plugin-1", namespace, status, subresource="status")
    inputs = kubedriver.daemon_set(namespace)
    del inputs["metadata"]["annotations"]
    with pytest.raises(outcome.InitFailedError) as caught:
        kubedriver.Driver(provider, kubedriver.DAEMON_SET).create(inputs, timeout=0.3)
    said = "pod plugin-1: container plugin: ImagePullBackOff: no such image"
    assert said in caught.value.reasons[0]


def test_cancelling_ends_the_wait(apiserver, namespace: str) -> None:
    inputs = kubedriver.daemon_set(namespace)
    del inputs["metadata"]["annotations"]
    provider = kubedriver.configured(apiserver.kubeconfig)
    timer = threading.Timer(0.3, lambda: asyncio.run(provider.cancel()))
    timer.start()
    with pytest.raises(errors.InterruptedByUser):
        kubedriver.Driver(provider, kubedriver.DAEMON_SET).create(inputs, timeout=60)
    timer.join()


def test_a_restarting_api_server_is_waited_for(apiserver, namespace: str) -> None:
    provider = kubedriver.configured(apiserver.kubeconfig)
    driver = kubedriver.Driver(provider, kubedriver.CONFIG_MAP)
    driver.create(kubedriver.config_map(namespace, a="1"))
    apiserver.stop()
    with pytest.raises(errors.KubeError) as caught:
        driver.read()
    assert caught.value.status == 0
    timer = threading.Timer(0.3, apiserver.start)
    timer.start()
    try:
        driver.update(kubedriver.config_map(namespace, a="2"))
    finally:
        timer.join()
    assert driver.read()
    assert properties.from_state(driver.state).live["data"] == {"a": "2"}
    assert objects.seconds({}, 0) == objects.DEFAULT_TIMEOUT
