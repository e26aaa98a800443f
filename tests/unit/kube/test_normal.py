"""Normal form, names, pruning, types, settings, field managers."""

from __future__ import annotations

import base64

import pytest
from pulumi.provider.experimental.property_value import PropertyValue

from provision.kube import failures, managers, normal, properties, settings, tokens
from provision.kube.normal import UNKNOWN


def secret(**parts) -> dict:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, **parts}


def test_string_data_becomes_data_and_wins() -> None:
    made = normal.normalise(secret(data={"a": "MQ==", "b": "Mg=="}, stringData={"a": "9"}))
    assert made["data"] == {"a": base64.b64encode(b"9").decode(), "b": "Mg=="}
    assert "stringData" not in made


def test_base64_is_written_as_the_api_does() -> None:
    assert normal.normalise(secret(data={"a": "YW\nJj\n"}))["data"] == {"a": "YWJj"}
    assert normal.bad_data_keys(secret(data={"a": "%", "b": "YWJj"})) == ["a"]


def test_unknown_data_stays_unknown() -> None:
    assert normal.normalise(secret(stringData=UNKNOWN))["data"] is UNKNOWN
    made = normal.normalise(secret(stringData={"a": UNKNOWN, "b": "x"}))
    assert made["data"]["a"] is UNKNOWN
    assert normal.has_unknown(made)


def test_read_only_fields_and_nulls_go() -> None:
    made = normal.normalise(
        {"metadata": {"name": "x", "uid": "u", "resourceVersion": "1"}, "a": None}
    )
    assert made == {"metadata": {"name": "x"}}


def test_names() -> None:
    made = normal.named({"metadata": {}}, "Vars", {}, b"seed")
    assert made == normal.named({"metadata": {}}, "Vars", {}, b"seed")
    assert made["metadata"]["name"].startswith("vars-")
    assert normal.named({"metadata": {}}, "Vars", made, b"other") == made
    own = {"metadata": {"name": "own"}}
    assert normal.named(own, "Vars", made, b"") == own
    assert normal.named({"metadata": UNKNOWN}, "Vars", {}, b"") == {"metadata": UNKNOWN}
    one, other = (normal.named({}, "v", {}, b"")["metadata"]["name"] for _ in "ab")
    assert one != other


def test_prune() -> None:
    live = {"a": {"b": 1, "c": 2}, "l": [{"x": 1, "y": 2}, {"x": 3}], "z": 1}
    assert normal.prune(live, {"a": {"b": 0}, "l": [{"x": 0}], "n": 1}) == {
        "a": {"b": 1},
        "l": [{"x": 1}],
    }


@pytest.mark.parametrize(
    ("token", "kind"),
    [
        ("kubernetes:core/v1:Secret", ("v1", "Secret")),
        ("kubernetes:apps/v1:DaemonSet", ("apps/v1", "DaemonSet")),
        (
            "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole",
            ("rbac.authorization.k8s.io/v1", "ClusterRole"),
        ),
        (
            "kubernetes:kustomize.toolkit.fluxcd.io/v1:Kustomization",
            ("kustomize.toolkit.fluxcd.io/v1", "Kustomization"),
        ),
        (
            "kubernetes:snapshot.storage.k8s.io/v1:VolumeSnapshot",
            ("snapshot.storage.k8s.io/v1", "VolumeSnapshot"),
        ),
    ],
)
def test_served_types(token: str, kind: tuple[str, str]) -> None:
    found = tokens.parse(token)
    assert (found.api_version, found.kind) == kind


@pytest.mark.parametrize(
    "token",
    [
        "kubernetes:helm.sh/v3:Release",
        "kubernetes:core/v1:SecretPatch",
        "kubernetes:core/v1:SecretList",
        "kubernetes:autoscaling/v2:HorizontalPodAutoscaler",
        "kubernetes:yaml:ConfigFile",
        "aws:s3/bucket:Bucket",
        "nonsense",
    ],
)
def test_other_types_are_refused_by_name(token: str) -> None:
    with pytest.raises(tokens.UnservedError, match=token):
        tokens.parse(token)


def test_settings() -> None:
    made = settings.read(
        {"kubeconfig": '{"a": 1}', "upsertExistingObjects": "true", "namespace": "n"}
    )
    assert (made.kubeconfig, made.upsert, made.namespace) == ('{"a": 1}', True, "n")
    assert settings.read({"kubeconfig": UNKNOWN}).kubeconfig is None
    assert "{" not in repr(made).replace("Settings(", "")


def test_kubeconfig_by_path(tmp_path, monkeypatch) -> None:
    (tmp_path / "config").write_text("text\n")
    assert settings.read({"kubeconfig": str(tmp_path / "config")}).kubeconfig == "text\n"
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    assert settings.read({}).kubeconfig == "text\n"


@pytest.mark.parametrize(
    ("inputs", "keys"),
    [
        ({"enableServerSideApply": "false"}, ["enableServerSideApply"]),
        ({"renderYamlToDirectory": "out"}, ["renderYamlToDirectory"]),
        ({"enableServerSideApply": "true", "alwaysRender": "false"}, []),
    ],
)
def test_unsupported_settings_are_refused(inputs: dict, keys: list[str]) -> None:
    assert [key for key, _why in settings.problems(inputs)] == keys


def kubeconfig(server: str, token: str = "") -> str:
    return (
        "{current-context: c, contexts: [{name: c, context: {cluster: k, user: u}}],"
        f" clusters: [{{name: k, cluster: {{server: '{server}'}}}}],"
        f" users: [{{name: u, user: {{token: t{token}}}}}]}}"
    )


def test_another_cluster_replaces_and_new_credentials_do_not() -> None:
    old = {"kubeconfig": kubeconfig("https://a")}
    assert settings.differences(old, dict(old)) == ([], [])
    fresh = {"kubeconfig": kubeconfig("https://a", "other")}
    assert settings.differences(old, fresh) == (["kubeconfig"], [])
    moved = {"kubeconfig": kubeconfig("https://b")}
    assert settings.differences(old, moved) == (["kubeconfig"], ["kubeconfig"])
    unknown = {"kubeconfig": UNKNOWN}
    assert settings.differences(old, unknown) == (["kubeconfig"], ["kubeconfig"])


def test_the_identifier_decides_alone() -> None:
    old = {"kubeconfig": kubeconfig("https://a"), "clusterIdentifier": "kyrion"}
    rebuilt = old | {"kubeconfig": kubeconfig("https://b")}
    assert settings.differences(old, rebuilt) == (["kubeconfig"], [])
    assert settings.differences(old, old | {"kubeconfig": UNKNOWN}) == (["kubeconfig"], [])
    other = old | {"clusterIdentifier": "other"}
    assert settings.differences(old, other)[1] == ["clusterIdentifier"]


def entry(manager: str, operation: str, **more) -> dict:
    return {
        "manager": manager,
        "operation": operation,
        "fieldsV1": {"f:data": {f"f:{manager}": {}}},
        **more,
    }


def live(*entries: dict) -> dict:
    return {
        "apiVersion": "v1",
        "metadata": {"name": "x", "resourceVersion": "7", "managedFields": list(entries)},
    }


def test_takeover_merges_hand_made_fields_and_leaves_controllers_alone() -> None:
    own = "pulumi-kubernetes-12345678"
    patch = managers.takeover(
        live(
            entry(own, "Apply"),
            entry("kubectl-edit", "Update"),
            entry("helm", "Update"),
            entry("pulumi-kubernetes-87654321", "Apply"),
            entry("kubectl", "Update", subresource="status"),
        ),
        own,
    )
    assert patch[0]["value"] == "7"
    after = patch[1]["value"]
    assert [e["manager"] for e in after] == ["helm", "pulumi-kubernetes-87654321", "kubectl", own]
    assert set(after[-1]["fieldsV1"]["f:data"]) == {f"f:{own}", "f:kubectl-edit"}


def test_nothing_to_take_over() -> None:
    assert managers.takeover(live(entry("helm", "Update")), "mine") is None
    assert managers.takeover({"metadata": {}}, "mine") is None


def test_the_manager_is_kept() -> None:
    assert managers.manager({}, "pulumi-kubernetes-1") == "pulumi-kubernetes-1"
    assert managers.manager({}, "").startswith("pulumi-kubernetes-")
    annotated = {"metadata": {"annotations": {"pulumi.com/patchFieldManager": "me"}}}
    assert managers.manager(annotated, "kept") == "me"


def test_secret_marks_follow_the_inputs() -> None:
    source = {
        "spec": PropertyValue(
            {
                "token": PropertyValue("t", is_secret=True),
                "list": PropertyValue([PropertyValue("a", is_secret=True)]),
                "plain": PropertyValue("p"),
            }
        )
    }
    made = properties.from_object(
        {"spec": {"token": "t", "list": ["a"], "plain": "p", "new": 1}}, source
    )
    inner = made["spec"].value
    assert {key: value.is_secret for key, value in inner.items()} == {
        "token": True,
        "list": True,
        "plain": False,
        "new": False,
    }
    assert properties.to_object(made)["spec"]["new"] == 1


def test_state_there_and_back() -> None:
    state = properties.State(
        live={"kind": "CustomResourceDefinition", "s": {"x-kubernetes-map-type": "atomic"}},
        inputs={"kind": "CustomResourceDefinition"},
        initial_api_version="v1",
        field_manager="m",
    )
    made = properties.to_state(state, {})
    assert "x_kubernetes_map_type" in made["s"].value
    assert properties.from_state(made) == state


@pytest.mark.parametrize(
    ("status", "body", "again"),
    [
        (503, "", True),
        (429, "", True),
        (403, "", False),
        (500, '{"kind":"Status","message":"etcdserver: request timed out"}', True),
        (500, '{"kind":"Status","message":"nil pointer"}', False),
    ],
)
def test_what_is_worth_another_try(status: int, body: str, again: bool) -> None:
    assert failures.transient(failures.refused("x", status, body)) is again
