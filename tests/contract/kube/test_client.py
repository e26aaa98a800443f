"""The client against a real API server."""

from __future__ import annotations

import base64
import time

import pytest

from provision import errors
from provision.kube import failures, wait
from provision.kube.client import KubeClient

pytestmark = pytest.mark.sandbox


def config_map(namespace: str, name: str = "one", **data: str) -> dict:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": data,
    }


def definition(group: str, kind: str) -> dict:
    plural = kind.lower() + "s"
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema},
                    "subresources": {"status": {}},
                }
            ],
        },
    }


def test_version(client: KubeClient) -> None:
    assert client.version().startswith("v1.")


def test_get_of_nothing_is_none(client: KubeClient, namespace: str) -> None:
    assert client.get("v1", "Secret", "none", namespace) is None
    assert client.get("nothing.example/v1", "Thing", "none", namespace) is None
    assert client.list("nothing.example/v1", "Thing") == []


def test_apply_get_list_delete(client: KubeClient, namespace: str) -> None:
    obj = config_map(namespace, a="1")
    obj["metadata"]["labels"] = {"x": "y"}
    applied = client.apply(obj, field_manager="one")
    assert applied["metadata"]["uid"]
    assert client.get("v1", "ConfigMap", "one", namespace)["data"] == {"a": "1"}
    found = client.list("v1", "ConfigMap", namespace, label_selector="x=y")
    assert [(o["kind"], o["metadata"]["name"]) for o in found] == [("ConfigMap", "one")]
    assert client.list("v1", "ConfigMap", namespace, label_selector="x=z") == []
    assert client.delete("v1", "ConfigMap", "one", namespace)
    assert not client.delete("v1", "ConfigMap", "one", namespace)


def test_list_pages_are_joined(client: KubeClient, namespace: str, monkeypatch) -> None:
    for number in range(7):
        client.create(config_map(namespace, f"many-{number}"), field_manager="t")
    original = client._wire.ask

    def small(method, url, what, **options):
        if options.get("params", {}).get("limit"):
            options["params"] = {**options["params"], "limit": "3"}
        return original(method, url, what, **options)

    monkeypatch.setattr(client._wire, "ask", small)
    names = {o["metadata"]["name"] for o in client.list("v1", "ConfigMap", namespace)}
    assert {f"many-{number}" for number in range(7)} <= names


def test_dry_run_changes_nothing(client: KubeClient, namespace: str) -> None:
    assert client.apply(config_map(namespace, a="1"), field_manager="one", dry_run=True)
    assert client.create(config_map(namespace, a="1"), field_manager="one", dry_run=True)
    assert client.get("v1", "ConfigMap", "one", namespace) is None


def test_conflict_names_the_other_manager(client: KubeClient, namespace: str) -> None:
    client.apply(config_map(namespace, a="1"), field_manager="helm")
    with pytest.raises(failures.ConflictError) as caught:
        client.apply(config_map(namespace, a="2"), field_manager="mine")
    assert '"helm"' in caught.value.summary
    assert caught.value.managers == ('"helm"',)
    assert caught.value.fields == (".data.a",)
    assert caught.value.status == 409
    assert client.apply(config_map(namespace, a="2"), field_manager="mine", force=True)


def test_create_twice(client: KubeClient, namespace: str) -> None:
    client.create(config_map(namespace), field_manager="one")
    with pytest.raises(errors.KubeError) as caught:
        client.create(config_map(namespace), field_manager="one")
    assert (caught.value.status, caught.value.reason) == (409, "AlreadyExists")


def test_refusal_carries_the_servers_words(client: KubeClient) -> None:
    with pytest.raises(errors.KubeError) as caught:
        client.create(config_map("nowhere"), field_manager="one")
    assert caught.value.status == 404
    assert 'namespaces "nowhere" not found' in caught.value.detail


def test_refusal_quotes_no_secret_value(client: KubeClient, namespace: str) -> None:
    secret = config_map(namespace, a="canary-not-base64!") | {"kind": "Secret"}
    secret["type"] = "kubernetes.io/tls"
    with pytest.raises(errors.KubeError) as caught:
        client.create(secret, field_manager="one")
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind_of_patch", "patch", "expected"),
    [
        ("merge", {"data": {"b": "2", "a": None}}, {"b": "2"}),
        ("json", [{"op": "add", "path": "/data/b", "value": "2"}], {"a": "1", "b": "2"}),
        ("strategic", {"data": {"b": "2"}}, {"a": "1", "b": "2"}),
    ],
)
def test_patches(client: KubeClient, namespace: str, kind_of_patch, patch, expected) -> None:
    client.create(config_map(namespace, a="1"), field_manager="one")
    result = client.patch("v1", "ConfigMap", "one", namespace, patch, kind_of_patch=kind_of_patch)
    assert result["data"] == expected


def test_new_kinds_are_found_and_status_patched(client: KubeClient, namespace: str) -> None:
    crd = definition("things.example", "Gadget")
    gadget = config_map(namespace) | {"apiVersion": "things.example/v1", "kind": "Gadget"}
    del gadget["data"]
    with pytest.raises(errors.KubeError) as caught:
        client.apply(gadget, field_manager="one")
    assert caught.value.reason == "NoKind"
    client.apply(crd, field_manager="one")
    wait.wait_ready(client, [wait.Ref.of(crd)], timeout=20)
    # Established comes before discovery lists the kind.
    deadline = time.monotonic() + 20
    while client.namespaced("things.example/v1", "Gadget") is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert client.apply(gadget, field_manager="one")
    status = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    client.patch("things.example/v1", "Gadget", "one", namespace, status, subresource="status")
    assert wait.readiness(client.get("things.example/v1", "Gadget", "one", namespace)).ready


def test_known_kinds_need_no_discovery(apiserver) -> None:
    with KubeClient.from_kubeconfig(apiserver.kubeconfig) as client:
        asked: list[str] = []
        original = client._wire.ask

        def recording(method, url, what, **options):
            asked.append(url)
            return original(method, url, what, **options)

        client._wire.ask = recording  # type: ignore[method-assign]
        client.get("v1", "Secret", "none", "default")
        client.get("apps/v1", "DaemonSet", "none", "default")
        assert len(asked) == 2
        client.list("discovery.k8s.io/v1", "EndpointSlice")
        client.list("policy/v1", "PodDisruptionBudget")
        assert asked.count("/apis") == 1
        assert len(asked) == 5


def test_builtin_table_is_what_the_server_serves(apiserver) -> None:
    from provision.kube import kinds

    with KubeClient.from_kubeconfig(apiserver.kubeconfig) as client:
        asked = kinds.Kinds(client._discover)
        asked._known.clear()
        for (api_version, kind), served in kinds.BUILTIN.items():
            assert asked.find(api_version, kind) == served, kind


def test_events_are_sentences(client: KubeClient, namespace: str) -> None:
    for number, reason in enumerate(("First", "Second")):
        stamp = f"2026-01-01T00:00:0{number}Z"
        client.create(
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"name": f"e-{number}", "namespace": namespace},
                "involvedObject": {"kind": "Pod", "name": "p", "namespace": namespace},
                "reason": reason,
                "message": "it\nbroke",
                "type": "Warning",
                "count": number + 1,
                "firstTimestamp": stamp,
                "lastTimestamp": stamp,
            },
            field_manager="t",
        )
    assert client.events(namespace, "Pod", "p") == [
        "Warning First: it broke",
        "Warning Second (x2): it broke",
    ]


def test_forbidden_says_so(apiserver) -> None:
    config = apiserver.kubeconfig_for("guest")
    with KubeClient.from_kubeconfig(config) as guest, pytest.raises(errors.KubeError) as caught:
        guest.get("v1", "Secret", "x", "default")
    assert caught.value.status == 403
    assert '"guest" cannot get resource "secrets"' in caught.value.detail
    assert caught.value.hint


def test_unreachable_is_status_0(apiserver) -> None:
    config = apiserver.kubeconfig_for("admin", port=1)
    with KubeClient.from_kubeconfig(config) as client, pytest.raises(errors.KubeError) as caught:
        client.get("v1", "Secret", "x", "default")
    assert caught.value.status == 0
    assert "127.0.0.1:1" in caught.value.summary


def test_foreign_certificate_is_told_apart(apiserver, tmp_path) -> None:
    import json

    other = type(apiserver.authority)()
    config = json.loads(apiserver.kubeconfig)
    ca = base64.b64encode(other.pem()).decode()
    config["clusters"][0]["cluster"]["certificate-authority-data"] = ca
    text = json.dumps(config)
    with KubeClient.from_kubeconfig(text) as client, pytest.raises(errors.KubeError) as caught:
        client.version()
    assert (caught.value.status, caught.value.reason) == (0, "TLS")


def test_a_restarted_server_is_met_again(apiserver, namespace: str) -> None:
    with KubeClient.from_kubeconfig(apiserver.kubeconfig) as client:
        client.apply(config_map(namespace, a="1"), field_manager="t")
        apiserver.stop()
        apiserver.start()
        assert client.get("v1", "ConfigMap", "one", namespace)
        apiserver.stop()
        apiserver.start()
        assert client.apply(config_map(namespace, a="2"), field_manager="t")
