"""The kubernetes provider against a real API server: the life of one object."""

from __future__ import annotations

import pytest

from provision.kube import properties
from provision.kube.client import KubeClient
from tests.support import kubedriver

pytestmark = pytest.mark.sandbox


def test_state_is_what_upstream_writes(provider, client: KubeClient, namespace: str) -> None:
    driver = kubedriver.Driver(provider, kubedriver.SECRET)
    state = driver.create(kubedriver.secret(namespace, identity="canary"))
    assert driver.id == f"{namespace}/flux-system"
    assert state["data"] == {"identity": kubedriver.b64("canary")}
    assert state["metadata"]["uid"]
    assert state["__initialApiVersion"] == "v1"
    assert state["__fieldManager"].startswith("pulumi-kubernetes-")
    assert len(state["__fieldManager"]) == len("pulumi-kubernetes-") + 8
    assert state["__inputs"] == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "flux-system", "namespace": namespace},
        "data": {"identity": kubedriver.b64("canary")},
    }
    assert driver.state["data"].is_secret
    assert driver.state["__inputs"].value["data"].is_secret
    assert driver.inputs["data"].is_secret
    managed = state["metadata"]["managedFields"]
    assert [(m["manager"], m["operation"]) for m in managed] == [(state["__fieldManager"], "Apply")]


@pytest.mark.parametrize("make", [kubedriver.config_map, kubedriver.secret, kubedriver.daemon_set])
def test_second_run_has_no_difference(provider, namespace: str, make) -> None:
    inputs = make(namespace)
    kind = inputs["kind"]
    token = {
        "ConfigMap": kubedriver.CONFIG_MAP,
        "Secret": kubedriver.SECRET,
        "DaemonSet": kubedriver.DAEMON_SET,
    }[kind]
    driver = kubedriver.Driver(provider, token)
    driver.create(inputs)
    first = driver.diff(inputs)
    assert (first.changes, first.diffs) == (False, [])
    assert driver.read()
    second = driver.diff(inputs)
    assert (second.changes, second.diffs) == (False, [])


def test_update_keeps_manager_and_removes_what_is_gone(provider, client, namespace: str) -> None:
    driver = kubedriver.Driver(provider, kubedriver.CONFIG_MAP)
    manager = driver.create(kubedriver.config_map(namespace, a="1", b="2"))["__fieldManager"]
    found = driver.diff(kubedriver.config_map(namespace, a="9"))
    assert set(found.diffs) == {"data.a", "data.b"}
    assert not found.replaces
    preview = driver.update(kubedriver.config_map(namespace, a="9"), preview=True)
    assert preview["data"] == {"a": "9"}
    assert client.get("v1", "ConfigMap", "settings", namespace)["data"] == {"a": "1", "b": "2"}
    after = driver.update(kubedriver.config_map(namespace, a="9"))
    assert after["__fieldManager"] == manager
    assert client.get("v1", "ConfigMap", "settings", namespace)["data"] == {"a": "9"}


def test_gone_is_gone(provider, client: KubeClient, namespace: str) -> None:
    driver = kubedriver.Driver(provider, kubedriver.CONFIG_MAP)
    driver.create(kubedriver.config_map(namespace, a="1"))
    client.delete("v1", "ConfigMap", "settings", namespace)
    assert not driver.read()


def test_names_are_made_and_kept(provider, namespace: str) -> None:
    inputs = kubedriver.config_map(namespace, a="1")
    del inputs["metadata"]["name"]
    driver = kubedriver.Driver(provider, kubedriver.CONFIG_MAP, "vars")
    state = driver.create(inputs)
    name = state["metadata"]["name"]
    assert name.startswith("vars-")
    assert len(name) == len("vars-") + 8
    assert state["metadata"]["annotations"]["pulumi.com/autonamed"] == "true"
    assert not driver.diff(inputs).changes


def test_another_name_is_a_replacement(provider, namespace: str) -> None:
    driver = kubedriver.Driver(provider, kubedriver.CONFIG_MAP)
    driver.create(kubedriver.config_map(namespace, a="1"))
    other = kubedriver.config_map(namespace, a="1")
    other["metadata"]["name"] = "other"
    found = driver.diff(other)
    assert found.replaces == ["metadata.name"]
    assert not found.delete_before_replace


def test_ignored_changes(provider, namespace: str) -> None:
    driver = kubedriver.Driver(provider, kubedriver.DAEMON_SET)
    driver.create(kubedriver.daemon_set(namespace))
    other = kubedriver.daemon_set(namespace, "example/plugin:2")
    assert driver.diff(other).diffs == ["spec.template.spec.containers[0].image"]
    assert not driver.diff(other, ["spec.template"]).changes


def test_import_without_inputs(provider, client: KubeClient, namespace: str) -> None:
    client.create(kubedriver.config_map(namespace, a="1"), field_manager="someone")
    driver = kubedriver.Driver(provider, kubedriver.CONFIG_MAP)
    driver.id = f"{namespace}/settings"
    assert driver.read()
    assert properties.to_object(driver.inputs) == kubedriver.config_map(namespace, a="1")
    assert not driver.diff(kubedriver.config_map(namespace, a="1")).changes
