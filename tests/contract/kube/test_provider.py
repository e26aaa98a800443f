"""The kubernetes provider against a real API server."""

from __future__ import annotations

import asyncio
import base64
import threading

import pytest
from pulumi.provider.experimental import provider as protocol
from pulumi.provider.experimental.property_value import PropertyValue

from provision import errors
from provision.kube import failures, objects, outcome, properties
from provision.kube.client import KubeClient
from provision.kube.provider import KubernetesProvider

pytestmark = pytest.mark.sandbox

SECRET = "kubernetes:core/v1:Secret"
CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
NAMESPACE = "kubernetes:core/v1:Namespace"
DAEMON_SET = "kubernetes:apps/v1:DaemonSet"


def urn(token: str, name: str = "thing") -> str:
    return f"urn:pulumi:kyrion::elysium::{token}::{name}"


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


class Driver:
    """Calls the provider in the order an engine does, for one resource."""

    def __init__(self, provider: KubernetesProvider, token: str, name: str = "thing") -> None:
        self.provider = provider
        self.token = token
        self.urn = urn(token, name)
        self.id = ""
        self.inputs: properties.Properties = {}
        self.state: properties.Properties = {}

    def check(self, inputs: dict, secret: tuple[str, ...] = ()) -> properties.Properties:
        given = {
            key: properties.to_property(value).with_secret(key in secret)
            for key, value in inputs.items()
        }
        request = protocol.CheckRequest(self.urn, self.inputs, given, b"seed")
        answer = asyncio.run(self.provider.check(request))
        assert not answer.failures, [f"{f.property}: {f.reason}" for f in answer.failures]
        return answer.inputs

    def create(self, inputs: dict, *, preview: bool = False, timeout: float = 0, secret=()) -> dict:
        checked = self.check(inputs, secret)
        request = protocol.CreateRequest(self.urn, checked, timeout, preview)
        answer = asyncio.run(self.provider.create(request))
        if not preview:
            self.id, self.inputs, self.state = answer.resource_id, checked, answer.properties
        return properties.to_object(answer.properties)

    def diff(self, inputs: dict, ignore: list[str] | None = None) -> protocol.DiffResponse:
        request = protocol.DiffRequest(
            self.urn, self.id, self.state, self.check(inputs), ignore or []
        )
        return asyncio.run(self.provider.diff(request))

    def update(self, inputs: dict, *, preview: bool = False) -> dict:
        checked = self.check(inputs)
        request = protocol.UpdateRequest(self.urn, self.id, self.state, checked, 0, [], preview)
        answer = asyncio.run(self.provider.update(request))
        if not preview:
            self.inputs, self.state = checked, answer.properties
        return properties.to_object(answer.properties)

    def read(self) -> bool:
        request = protocol.ReadRequest(self.urn, self.id, self.state, self.inputs)
        answer = asyncio.run(self.provider.read(request))
        self.state, self.inputs = answer.properties, answer.inputs
        return bool(answer.resource_id)

    def delete(self, timeout: float = 0) -> None:
        request = protocol.DeleteRequest(self.urn, self.id, self.state, timeout)
        asyncio.run(self.provider.delete(request))


def configured(kubeconfig: str | None, **settings: str) -> KubernetesProvider:
    provider = KubernetesProvider()
    args = {
        "kubeconfig": PropertyValue.computed()
        if kubeconfig is None
        else PropertyValue(kubeconfig, is_secret=True),
        "upsertExistingObjects": PropertyValue("true"),
        "enableServerSideApply": PropertyValue("true"),
        **{key: PropertyValue(value) for key, value in settings.items()},
    }
    asyncio.run(provider.configure(protocol.ConfigureRequest({}, args, True, True)))
    return provider


@pytest.fixture(scope="module")
def provider(apiserver) -> KubernetesProvider:
    return configured(apiserver.kubeconfig)


def config_map(namespace: str, **data: str) -> dict:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "settings", "namespace": namespace},
        "data": data,
    }


def secret(namespace: str, **data: str) -> dict:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "flux-system", "namespace": namespace},
        "stringData": data,
    }


def daemon_set(namespace: str, image: str = "example/plugin:1") -> dict:
    labels = {"app": "plugin"}
    container = {
        "name": "plugin",
        "image": image,
        "args": ["-shared-dev-num=10"],
        "env": [{"name": "EMPTY", "value": ""}],
        "resources": {"limits": {"cpu": "1000m", "memory": "0.5Gi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True},
        "volumeMounts": [{"name": "dev", "mountPath": "/dev/dri", "readOnly": False}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {
            "name": "plugin",
            "namespace": namespace,
            "labels": {},
            "annotations": {"pulumi.com/skipAwait": "true"},
        },
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "hostNetwork": False,
                    "containers": [container],
                    "volumes": [{"name": "dev", "hostPath": {"path": "/dev/dri", "type": ""}}],
                },
            },
        },
    }


def test_state_is_what_upstream_writes(provider, client: KubeClient, namespace: str) -> None:
    driver = Driver(provider, SECRET)
    state = driver.create(secret(namespace, identity="canary"))
    assert driver.id == f"{namespace}/flux-system"
    assert state["data"] == {"identity": b64("canary")}
    assert state["metadata"]["uid"]
    assert state["__initialApiVersion"] == "v1"
    assert state["__fieldManager"].startswith("pulumi-kubernetes-")
    assert len(state["__fieldManager"]) == len("pulumi-kubernetes-") + 8
    assert state["__inputs"] == {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "flux-system", "namespace": namespace},
        "data": {"identity": b64("canary")},
    }
    assert driver.state["data"].is_secret
    assert driver.state["__inputs"].value["data"].is_secret
    assert driver.inputs["data"].is_secret
    managed = state["metadata"]["managedFields"]
    assert [(m["manager"], m["operation"]) for m in managed] == [(state["__fieldManager"], "Apply")]


@pytest.mark.parametrize("make", [config_map, secret, daemon_set])
def test_second_run_has_no_difference(provider, namespace: str, make) -> None:
    inputs = make(namespace)
    kind = inputs["kind"]
    token = {"ConfigMap": CONFIG_MAP, "Secret": SECRET, "DaemonSet": DAEMON_SET}[kind]
    driver = Driver(provider, token)
    driver.create(inputs)
    first = driver.diff(inputs)
    assert (first.changes, first.diffs) == (False, [])
    assert driver.read()
    second = driver.diff(inputs)
    assert (second.changes, second.diffs) == (False, [])


def test_update_keeps_manager_and_removes_what_is_gone(provider, client, namespace: str) -> None:
    driver = Driver(provider, CONFIG_MAP)
    manager = driver.create(config_map(namespace, a="1", b="2"))["__fieldManager"]
    found = driver.diff(config_map(namespace, a="9"))
    assert set(found.diffs) == {"data.a", "data.b"}
    assert not found.replaces
    preview = driver.update(config_map(namespace, a="9"), preview=True)
    assert preview["data"] == {"a": "9"}
    assert client.get("v1", "ConfigMap", "settings", namespace)["data"] == {"a": "1", "b": "2"}
    after = driver.update(config_map(namespace, a="9"))
    assert after["__fieldManager"] == manager
    assert client.get("v1", "ConfigMap", "settings", namespace)["data"] == {"a": "9"}


def test_a_secret_is_changed_in_place_and_never_absent(provider, client, namespace: str) -> None:
    driver = Driver(provider, SECRET)
    uid = driver.create(secret(namespace, identity="one"))["metadata"]["uid"]
    version = client.get("v1", "Secret", "flux-system", namespace)["metadata"]["resourceVersion"]
    seen: list[tuple[str, str]] = []
    done = threading.Event()

    def look() -> None:
        for event, obj in client.watch(
            "v1", "Secret", namespace, resource_version=version, timeout=30
        ):
            seen.append((event, obj["data"].get("identity", "")))
            if obj["data"].get("identity") == b64("four"):
                break
        done.set()

    thread = threading.Thread(target=look)
    thread.start()
    for value in ("two", "three", "four"):
        inputs = secret(namespace, identity=value, **{"identity.pub": "public"})
        found = driver.diff(inputs)
        assert found.changes
        assert not found.replaces
        assert not found.delete_before_replace
        assert "canary" not in repr(found.diffs)
        driver.update(inputs)
    assert done.wait(30)
    thread.join()
    assert {event for event, _ in seen} == {"MODIFIED"}
    assert seen[-1][1] == b64("four")
    assert client.get("v1", "Secret", "flux-system", namespace)["metadata"]["uid"] == uid


def test_create_adopts_what_is_there(provider, client: KubeClient, namespace: str) -> None:
    there = client.create(config_map(namespace, a="1", mine="kept"), field_manager="kubectl-create")
    driver = Driver(provider, CONFIG_MAP)
    state = driver.create(config_map(namespace, a="1"))
    assert state["metadata"]["uid"] == there["metadata"]["uid"]
    assert state["data"] == {"a": "1", "mine": "kept"}
    assert not driver.diff(config_map(namespace, a="1")).changes


def test_create_over_a_controllers_object_names_it(provider, client, namespace: str) -> None:
    client.apply(config_map(namespace, a="1"), field_manager="helm")
    with pytest.raises(failures.ConflictError) as caught:
        Driver(provider, CONFIG_MAP).create(config_map(namespace, a="2"))
    assert '"helm"' in caught.value.summary


def test_without_upsert_an_existing_object_is_refused(apiserver, client, namespace: str) -> None:
    provider = configured(apiserver.kubeconfig, upsertExistingObjects="false")
    client.create(config_map(namespace), field_manager="someone")
    with pytest.raises(errors.KubeError) as caught:
        Driver(provider, CONFIG_MAP).create(config_map(namespace))
    assert caught.value.reason == "AlreadyExists"


def test_client_side_fields_become_ours_at_the_first_update(apiserver, client, namespace) -> None:
    provider = configured(apiserver.kubeconfig, upsertExistingObjects="false")
    driver = Driver(provider, CONFIG_MAP)
    created = driver.create(config_map(namespace, a="1", b="2"))
    assert created["metadata"]["managedFields"][0]["manager"] == "pulumi-kubernetes"
    driver.update(config_map(namespace, b="3"))
    live = client.get("v1", "ConfigMap", "settings", namespace)
    assert live["data"] == {"b": "3"}
    assert {m["manager"] for m in live["metadata"]["managedFields"]} == {created["__fieldManager"]}


def test_drift_by_hand_is_seen_and_repaired(provider, client, namespace: str) -> None:
    driver = Driver(provider, CONFIG_MAP)
    driver.create(config_map(namespace, a="1"))
    client.patch(
        "v1",
        "ConfigMap",
        "settings",
        namespace,
        {"data": {"a": "hand"}},
        field_manager="kubectl-edit",
    )
    assert driver.read()
    assert driver.diff(config_map(namespace, a="1")).diffs == ["data.a"]
    assert driver.update(config_map(namespace, a="1"), preview=True)["data"] == {"a": "1"}
    driver.update(config_map(namespace, a="1"))
    assert client.get("v1", "ConfigMap", "settings", namespace)["data"] == {"a": "1"}
    assert driver.read()
    assert not driver.diff(config_map(namespace, a="1")).changes


def test_drift_by_a_controller_is_a_named_conflict(provider, client, namespace: str) -> None:
    driver = Driver(provider, CONFIG_MAP)
    driver.create(config_map(namespace, a="1"))
    client.apply(config_map(namespace, a="theirs"), field_manager="flux-controller", force=True)
    driver.read()
    with pytest.raises(failures.ConflictError) as caught:
        driver.update(config_map(namespace, a="1"))
    assert "flux-controller" in caught.value.summary


def test_gone_is_gone(provider, client: KubeClient, namespace: str) -> None:
    driver = Driver(provider, CONFIG_MAP)
    driver.create(config_map(namespace, a="1"))
    client.delete("v1", "ConfigMap", "settings", namespace)
    assert not driver.read()


def test_names_are_made_and_kept(provider, namespace: str) -> None:
    inputs = config_map(namespace, a="1")
    del inputs["metadata"]["name"]
    driver = Driver(provider, CONFIG_MAP, "vars")
    state = driver.create(inputs)
    name = state["metadata"]["name"]
    assert name.startswith("vars-")
    assert len(name) == len("vars-") + 8
    assert state["metadata"]["annotations"]["pulumi.com/autonamed"] == "true"
    assert not driver.diff(inputs).changes


def test_another_name_is_a_replacement(provider, namespace: str) -> None:
    driver = Driver(provider, CONFIG_MAP)
    driver.create(config_map(namespace, a="1"))
    other = config_map(namespace, a="1")
    other["metadata"]["name"] = "other"
    found = driver.diff(other)
    assert found.replaces == ["metadata.name"]
    assert not found.delete_before_replace


def test_a_selector_is_a_replacement_deleted_first(provider, namespace: str) -> None:
    driver = Driver(provider, DAEMON_SET)
    driver.create(daemon_set(namespace))
    other = daemon_set(namespace)
    other["spec"]["selector"]["matchLabels"] = {"app": "other"}
    other["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    found = driver.diff(other)
    assert found.replaces == ["spec.selector.matchLabels.app"]
    assert found.delete_before_replace


def test_ignored_changes(provider, namespace: str) -> None:
    driver = Driver(provider, DAEMON_SET)
    driver.create(daemon_set(namespace))
    other = daemon_set(namespace, "example/plugin:2")
    assert driver.diff(other).diffs == ["spec.template.spec.containers[0].image"]
    assert not driver.diff(other, ["spec.template"]).changes


def test_preview_before_the_namespace_exists(provider) -> None:
    state = Driver(provider, CONFIG_MAP).create(config_map("not-yet", a="1"), preview=True)
    assert state["data"] == {"a": "1"}
    assert "uid" not in state["metadata"]


def test_preview_of_a_kind_that_does_not_exist_yet(provider, namespace: str) -> None:
    inputs = config_map(namespace) | {"apiVersion": "new.example/v1", "kind": "Widget"}
    driver = Driver(provider, "kubernetes:new.example/v1:Widget")
    assert driver.create(inputs, preview=True)["kind"] == "Widget"


def test_preview_before_the_cluster_exists() -> None:
    provider = configured(None)
    driver = Driver(provider, CONFIG_MAP)
    assert driver.create(config_map("x", a="1"), preview=True)["data"] == {"a": "1"}
    driver.id, driver.state, driver.inputs = "x/settings", driver.check(config_map("x")), {}
    assert driver.read()


def test_unreachable_is_status_0(apiserver) -> None:
    provider = configured(apiserver.kubeconfig_for("admin", "system:masters", port=1))
    driver = Driver(provider, CONFIG_MAP)
    driver.id = "x/settings"
    driver.state = driver.inputs = driver.check(config_map("x"))
    with pytest.raises(errors.KubeError) as caught:
        driver.read()
    assert caught.value.status == 0
    assert driver.create(config_map("x", a="1"), preview=True)["data"] == {"a": "1"}


def test_preview_of_create_has_no_status(provider, namespace: str) -> None:
    state = Driver(provider, DAEMON_SET).create(daemon_set(namespace), preview=True)
    assert "status" not in state


def test_a_namespace_that_comes_late_is_waited_for(provider, client: KubeClient) -> None:
    def later() -> None:
        obj = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "late"}}
        client.create(obj, field_manager="test")

    timer = threading.Timer(0.5, later)
    timer.start()
    try:
        assert Driver(provider, CONFIG_MAP).create(config_map("late", a="1"))["metadata"]["uid"]
    finally:
        timer.join()


def test_namespace_is_awaited_and_deleted(provider, client: KubeClient) -> None:
    driver = Driver(provider, NAMESPACE)
    inputs = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "short-lived"}}
    assert driver.create(inputs)["status"]["phase"] == "Active"
    assert driver.id == "short-lived"


def test_delete_waits_and_names_the_finalizer(provider, client, namespace: str) -> None:
    driver = Driver(provider, CONFIG_MAP)
    driver.create(config_map(namespace, a="1"))
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
    inputs = daemon_set(namespace)
    del inputs["metadata"]["annotations"]
    driver = Driver(provider, DAEMON_SET)
    with pytest.raises(outcome.InitFailedError) as caught:
        driver.create(inputs, timeout=0.3)
    error = caught.value
    assert error.resource_id == f"{namespace}/plugin"
    assert properties.from_state(error.properties).live["metadata"]["uid"]
    assert "its controller has not looked at it yet" in error.reasons[0]


def test_cancelling_ends_the_wait(apiserver, namespace: str) -> None:
    inputs = daemon_set(namespace)
    del inputs["metadata"]["annotations"]
    provider = configured(apiserver.kubeconfig)
    timer = threading.Timer(0.3, lambda: asyncio.run(provider.cancel()))
    timer.start()
    with pytest.raises(errors.InterruptedByUser):
        Driver(provider, DAEMON_SET).create(inputs, timeout=60)
    timer.join()


def test_a_ready_daemon_set_is_ready(provider, client, namespace: str) -> None:
    inputs = daemon_set(namespace)
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
    state = Driver(provider, DAEMON_SET).create(inputs, timeout=20)
    thread.join()
    assert state["status"]["numberAvailable"] == 1


def test_import_without_inputs(provider, client: KubeClient, namespace: str) -> None:
    client.create(config_map(namespace, a="1"), field_manager="someone")
    driver = Driver(provider, CONFIG_MAP)
    driver.id = f"{namespace}/settings"
    assert driver.read()
    assert properties.to_object(driver.inputs) == config_map(namespace, a="1")
    assert not driver.diff(config_map(namespace, a="1")).changes


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
    driver = Driver(provider, "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition")
    driver.create(inputs)
    kept = driver.state["spec"].value["versions"].value[0].value["schema"].value["openAPIV3Schema"]
    assert kept.value["x_kubernetes_preserve_unknown_fields"].value is True
    assert not driver.diff(inputs).changes
    gizmo = {"apiVersion": "shop.example/v1", "kind": "Gizmo", "metadata": {"name": "one"}}
    custom = Driver(provider, "kubernetes:shop.example/v1:Gizmo")
    custom.create(gizmo | {"spec": {"size": 1.5, "tags": [], "off": False}})
    assert custom.id == "one"
    assert not custom.diff(gizmo | {"spec": {"size": 1.5, "tags": [], "off": False}}).changes
    custom.delete()
    driver.delete()
    assert client.get("apiextensions.k8s.io/v1", "CustomResourceDefinition", driver.id) is None


def test_a_restarting_api_server_is_waited_for(apiserver, namespace: str) -> None:
    provider = configured(apiserver.kubeconfig)
    driver = Driver(provider, CONFIG_MAP)
    driver.create(config_map(namespace, a="1"))
    apiserver.stop()
    with pytest.raises(errors.KubeError) as caught:
        driver.read()
    assert caught.value.status == 0
    timer = threading.Timer(0.3, apiserver.start)
    timer.start()
    try:
        driver.update(config_map(namespace, a="2"))
    finally:
        timer.join()
    assert driver.read()
    assert properties.from_state(driver.state).live["data"] == {"a": "2"}
    assert objects.seconds({}, 0) == objects.DEFAULT_TIMEOUT
