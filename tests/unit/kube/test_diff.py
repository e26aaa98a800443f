"""What counts as a difference, and what as a replacement."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provision.kube import diff, normal, tokens

POD_LIKE = tokens.Kind(api_version="apps/v1", kind="DaemonSet")
CUSTOM = tokens.Kind(api_version="example.com/v1", kind="Widget")
SECRET = tokens.Kind(api_version="v1", kind="Secret")


def obj(**parts) -> dict:
    return {"metadata": {"name": "x"}, **parts}


def changed(kind: tokens.Kind, live: dict, new: dict, old: dict | None = None) -> dict[str, bool]:
    found = diff.compare(kind, live, new if old is None else old, new)
    return {one.text: one.replace for one in found}


def test_fields_of_others_do_not_count() -> None:
    live = obj(spec={"a": 1, "defaulted": 2}, status={"x": 1})
    assert changed(CUSTOM, live, obj(spec={"a": 1})) == {}


def test_what_we_no_longer_say_is_deleted() -> None:
    live = obj(spec={"a": 1, "b": 2})
    assert changed(CUSTOM, live, obj(spec={"a": 1}), obj(spec={"a": 1, "b": 2})) == {
        "spec.b": False
    }


def test_drift_counts_although_the_program_is_the_same() -> None:
    assert changed(CUSTOM, obj(spec={"a": 2}), obj(spec={"a": 1})) == {"spec.a": False}
    assert changed(CUSTOM, obj(spec={}), obj(spec={"a": 1})) == {"spec.a": False}


def test_lists_go_by_position() -> None:
    live = obj(spec={"list": [{"a": 1, "x": 0}, {"a": 2, "x": 0}]})
    assert changed(CUSTOM, live, obj(spec={"list": [{"a": 1}, {"a": 3}]})) == {
        "spec.list[1].a": False
    }
    longer = obj(spec={"list": [{"a": 1}, {"a": 2}, {"a": 3}]})
    assert changed(CUSTOM, live, longer) == {"spec.list[2]": False}
    shorter = obj(spec={"list": [{"a": 1}]})
    old = obj(spec={"list": [{"a": 1}, {"a": 2}]})
    assert changed(CUSTOM, live, shorter, old) == {"spec.list[1]": False}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1000m", "1"),
        ("0.5Gi", "512Mi"),
        ("1e3", "1k"),
        (2, "2"),
        ("1024", "1Ki"),
        ("100u", "0.1m"),
    ],
)
def test_quantities_are_compared_by_value(one, other) -> None:
    live = obj(spec={"limits": {"cpu": other}})
    assert changed(POD_LIKE, live, obj(spec={"limits": {"cpu": one}})) == {}
    assert changed(POD_LIKE, live, obj(spec={"limits": {"cpu": "7Gi"}}))


def test_what_the_api_leaves_out_is_no_difference() -> None:
    live = obj(spec={"containers": [{"name": "a"}]})
    new = obj(
        spec={
            "hostNetwork": False,
            "nodeSelector": {},
            "minReadySeconds": 0,
            "containers": [{"name": "a", "args": [], "subPath": "", "tty": False}],
        }
    )
    assert changed(POD_LIKE, live, new) == {}


def test_what_the_api_would_keep_is_a_difference() -> None:
    live = obj(spec={"securityContext": {}})
    new = obj(spec={"securityContext": {"allowPrivilegeEscalation": False}, "hostPID": True})
    assert set(changed(POD_LIKE, live, new)) == {
        "spec.hostPID",
        "spec.securityContext.allowPrivilegeEscalation",
    }
    assert changed(POD_LIKE, obj(), obj(storageClassName=""))


def test_custom_resources_keep_zero_values() -> None:
    assert changed(CUSTOM, obj(spec={}), obj(spec={"paused": False})) == {"spec.paused": False}


def test_booleans_are_not_numbers() -> None:
    assert changed(CUSTOM, obj(spec={"a": 1}), obj(spec={"a": True})) == {"spec.a": False}


def test_nulls_are_absent() -> None:
    assert changed(CUSTOM, obj(spec={}), obj(spec={"a": None})) == {}


def test_unknown_is_a_difference() -> None:
    found = changed(CUSTOM, obj(spec={"a": 1}), obj(spec={"a": normal.UNKNOWN}))
    assert found == {"spec.a": False}


def test_the_default_namespace_need_not_be_said() -> None:
    live = {"metadata": {"name": "x", "namespace": "default"}}
    assert changed(SECRET, live, {"metadata": {"name": "x"}}) == {}
    moved = {"metadata": {"name": "x", "namespace": "flux-system"}}
    assert changed(SECRET, live, moved) == {"metadata.namespace": True}


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("apps/v1 Deployment", "spec.selector"),
        ("apps/v1 DaemonSet", "spec.selector"),
        ("apps/v1 StatefulSet", "spec.serviceName"),
        ("batch/v1 Job", "spec.template"),
        ("v1 PersistentVolumeClaim", "spec.storageClassName"),
        ("v1 PersistentVolume", "spec.hostPath"),
        ("v1 Secret", "type"),
        ("v1 Service", "spec.clusterIP"),
        ("rbac.authorization.k8s.io/v1 ClusterRoleBinding", "roleRef"),
        ("storage.k8s.io/v1 StorageClass", "provisioner"),
        ("storage.k8s.io/v1 StorageClass", "reclaimPolicy"),
    ],
)
def test_immutable_fields_are_a_replacement(kind: str, path: str) -> None:
    api_version, name = kind.split()
    keys = [*path.split("."), "inner"]

    def nested(value: str) -> dict:
        made = value
        for key in reversed(keys):
            made = {key: made}
        return obj(**made)

    found = changed(tokens.Kind(api_version=api_version, kind=name), nested("old"), nested("new"))
    assert found == {f"{path}.inner": True}


def test_a_claim_may_grow_and_keeps_its_data() -> None:
    claim = tokens.Kind(api_version="v1", kind="PersistentVolumeClaim")

    def wanting(size: str) -> dict:
        return obj(spec={"resources": {"requests": {"storage": size}}})

    found = changed(claim, wanting("1Gi"), wanting("2Gi"))
    assert found == {"spec.resources.requests.storage": False}


def test_data_is_changed_in_place_unless_marked_immutable() -> None:
    live = obj(kind="Secret", apiVersion="v1", data={"a": "MQ=="})
    new = obj(kind="Secret", apiVersion="v1", data={"a": "Mg=="})
    assert changed(SECRET, live, new) == {"data.a": False}
    assert changed(SECRET, live | {"immutable": True}, new) == {"data.a": True}


def test_paths_are_written_as_pulumi_does() -> None:
    assert diff.render(("metadata", "annotations", "a.b/c")) == 'metadata.annotations["a.b/c"]'
    assert diff.render(("spec", "list", 0, "a")) == "spec.list[0].a"


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("ab1 .", max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("abc.", min_size=1, max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)
objects = st.dictionaries(st.sampled_from(["spec", "data", "x"]), json, max_size=3)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(objects)
def test_an_object_does_not_differ_from_itself(made: dict) -> None:
    live = normal.normalise(obj(**made))
    assert changed(CUSTOM, live, obj(**made)) == {}


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(objects, objects)
def test_after_applying_there_is_no_difference(first: dict, second: dict) -> None:
    """What we own (pruned to old), changed to new, equals new."""
    found = diff.compare(CUSTOM, normal.normalise(obj(**first)), obj(**first), obj(**second))
    again = diff.compare(CUSTOM, normal.normalise(obj(**second)), obj(**second), obj(**second))
    assert again == []
    # As texts: to Python False and 0 are equal, to the API they are not.
    if repr(normal.normalise(first)) == repr(normal.normalise(second)):
        assert found == []
