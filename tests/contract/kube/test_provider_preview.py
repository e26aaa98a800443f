"""The kubernetes provider's previews, also of what cannot be asked yet."""

from __future__ import annotations

import pytest

from tests.support import kubedriver

pytestmark = pytest.mark.sandbox


def test_preview_before_the_namespace_exists(provider) -> None:
    state = kubedriver.Driver(provider, kubedriver.CONFIG_MAP).create(
        kubedriver.config_map("not-yet", a="1"), preview=True
    )
    assert state["data"] == {"a": "1"}
    assert "uid" not in state["metadata"]


def test_preview_of_a_kind_that_does_not_exist_yet(provider, namespace: str) -> None:
    inputs = kubedriver.config_map(namespace) | {"apiVersion": "new.example/v1", "kind": "Widget"}
    driver = kubedriver.Driver(provider, "kubernetes:new.example/v1:Widget")
    assert driver.create(inputs, preview=True)["kind"] == "Widget"


def test_preview_before_the_cluster_exists() -> None:
    provider = kubedriver.configured(None)
    driver = kubedriver.Driver(provider, kubedriver.CONFIG_MAP)
    assert driver.create(kubedriver.config_map("x", a="1"), preview=True)["data"] == {"a": "1"}
    driver.id, driver.state, driver.inputs = (
        "x/settings",
        driver.check(kubedriver.config_map("x")),
        {},
    )
    assert driver.read()


def test_preview_of_create_has_no_status(provider, namespace: str) -> None:
    state = kubedriver.Driver(provider, kubedriver.DAEMON_SET).create(
        kubedriver.daemon_set(namespace), preview=True
    )
    assert "status" not in state
