"""The kubernetes provider among others: what was there before, and who else writes."""

from __future__ import annotations

import pytest

from provision import errors
from provision.kube import failures
from provision.kube.client import KubeClient
from tests.support import kubedriver

pytestmark = pytest.mark.sandbox


def test_create_adopts_what_is_there(provider, client: KubeClient, namespace: str) -> None:
    there = client.create(
        kubedriver.config_map(namespace, a="1", mine="kept"), field_manager="kubectl-create"
    )
    driver = kubedriver.Driver(provider, kubedriver.CONFIG_MAP)
    state = driver.create(kubedriver.config_map(namespace, a="1"))
    assert state["metadata"]["uid"] == there["metadata"]["uid"]
    assert state["data"] == {"a": "1", "mine": "kept"}
    assert not driver.diff(kubedriver.config_map(namespace, a="1")).changes


def test_create_over_a_controllers_object_names_it(provider, client, namespace: str) -> None:
    client.apply(kubedriver.config_map(namespace, a="1"), field_manager="helm")
    with pytest.raises(failures.ConflictError) as caught:
        kubedriver.Driver(provider, kubedriver.CONFIG_MAP).create(
            kubedriver.config_map(namespace, a="2")
        )
    assert '"helm"' in caught.value.summary


def test_without_upsert_an_existing_object_is_refused(apiserver, client, namespace: str) -> None:
    provider = kubedriver.configured(apiserver.kubeconfig, upsertExistingObjects="false")
    client.create(kubedriver.config_map(namespace), field_manager="someone")
    with pytest.raises(errors.KubeError) as caught:
        kubedriver.Driver(provider, kubedriver.CONFIG_MAP).create(kubedriver.config_map(namespace))
    assert caught.value.reason == "AlreadyExists"


def test_client_side_fields_become_ours_at_the_first_update(apiserver, client, namespace) -> None:
    provider = kubedriver.configured(apiserver.kubeconfig, upsertExistingObjects="false")
    driver = kubedriver.Driver(provider, kubedriver.CONFIG_MAP)
    created = driver.create(kubedriver.config_map(namespace, a="1", b="2"))
    assert created["metadata"]["managedFields"][0]["manager"] == "pulumi-kubernetes"
    driver.update(kubedriver.config_map(namespace, b="3"))
    live = client.get("v1", "ConfigMap", "settings", namespace)
    assert live["data"] == {"b": "3"}
    assert {m["manager"] for m in live["metadata"]["managedFields"]} == {created["__fieldManager"]}


def test_drift_by_hand_is_seen_and_repaired(provider, client, namespace: str) -> None:
    driver = kubedriver.Driver(provider, kubedriver.CONFIG_MAP)
    driver.create(kubedriver.config_map(namespace, a="1"))
    client.patch(
        "v1",
        "ConfigMap",
        "settings",
        namespace,
        {"data": {"a": "hand"}},
        field_manager="kubectl-edit",
    )
    assert driver.read()
    assert driver.diff(kubedriver.config_map(namespace, a="1")).diffs == ["data.a"]
    assert driver.update(kubedriver.config_map(namespace, a="1"), preview=True)["data"] == {
        "a": "1"
    }
    driver.update(kubedriver.config_map(namespace, a="1"))
    assert client.get("v1", "ConfigMap", "settings", namespace)["data"] == {"a": "1"}
    assert driver.read()
    assert not driver.diff(kubedriver.config_map(namespace, a="1")).changes


def test_drift_by_a_controller_is_a_named_conflict(provider, client, namespace: str) -> None:
    driver = kubedriver.Driver(provider, kubedriver.CONFIG_MAP)
    driver.create(kubedriver.config_map(namespace, a="1"))
    client.apply(
        kubedriver.config_map(namespace, a="theirs"), field_manager="flux-controller", force=True
    )
    driver.read()
    with pytest.raises(failures.ConflictError) as caught:
        driver.update(kubedriver.config_map(namespace, a="1"))
    assert "flux-controller" in caught.value.summary
