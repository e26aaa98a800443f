"""What is told of a restored cluster that is not what it was."""

from __future__ import annotations

import types
from typing import Any

import pytest

from provision import config, errors
from provision.recovery.bundle import inventory
from provision.recovery.restore import cluster as restore_cluster
from provision.recovery.restore import compare, steps
from tests.support import fluxworld

ROOT = inventory.Kustomization(
    namespace="flux-system",
    name="flux-system",
    ready=True,
    revision="main@sha1:1",
    objects=("_arkham__Namespace", "arkham_web_apps_Deployment"),
)
TOKEN = inventory.SecretHash(namespace="arkham", name="token", hash="1")
WAS = inventory.Inventory(
    salt="00",
    kustomizations=(ROOT,),
    helm_releases=(inventory.HelmRelease(namespace="arkham", name="web", ready=True),),
    secrets=(TOKEN,),
    sealed_secrets=("arkham/token",),
    allocatable={"gpu.intel.com/i915": "10"},
)


def other(**changes: object) -> inventory.Inventory:
    return WAS.model_copy(update=changes)


def test_the_same_is_the_same() -> None:
    found = compare.differences(WAS, WAS)
    assert found.same and (found.equal, found.secrets, found.ready) == (1, 1, 1)


def test_each_difference_is_named() -> None:
    for changes, words in (
        ({"kustomizations": ()}, "Kustomization flux-system/flux-system"),
        (
            {"kustomizations": (ROOT.model_copy(update={"ready": False}),)},
            "Kustomization flux-system/flux-system is not Ready",
        ),
        (
            {"kustomizations": (ROOT.model_copy(update={"objects": ROOT.objects[:1]}),)},
            "Deployment arkham/web, of Kustomization flux-system/flux-system",
        ),
        ({"secrets": ()}, "Secret arkham/token"),
        (
            {"secrets": (TOKEN.model_copy(update={"hash": "2"}),)},
            "Secret arkham/token has another content",
        ),
        ({"sealed_secrets": ()}, "SealedSecret arkham/token"),
        ({"allocatable": {}}, "device gpu.intel.com/i915"),
        ({"helm_releases": ()}, "HelmRelease arkham/web is not Ready"),
    ):
        found = compare.differences(WAS, other(**changes))
        assert (*found.missing, *found.different) == (words,)
        assert not found.same


def test_what_was_told_before_is_no_failure() -> None:
    lost = compare.differences(WAS, other(secrets=(), sealed_secrets=()), lost=("arkham/token",))
    assert lost.same and lost.equal == 0
    assert lost.expected == ("Secret arkham/token", "SealedSecret arkham/token")
    changed = other(secrets=(TOKEN.model_copy(update={"hash": "2"}),))
    assert compare.differences(WAS, changed, changed=("arkham/token",)).same


def test_objects_of_another_commit_are_not_missed() -> None:
    moved = ROOT.model_copy(update={"objects": (), "revision": "main@sha1:2"})
    assert compare.differences(WAS, other(kustomizations=(moved,))).same


def test_it_is_looked_at_until_it_is_the_same() -> None:
    seen = iter([other(secrets=()), WAS])
    said: list[str] = []
    found = compare.until_equal(
        lambda: compare.differences(WAS, next(seen)), timeout=60, progress=said.append
    )
    assert found.same and said == ["waiting for Secret arkham/token"]
    late = compare.until_equal(lambda: compare.differences(WAS, other(secrets=())), timeout=0)
    assert late.missing == ("Secret arkham/token",)


# -- the conditions of the old cluster, which a datastore brings ------------------------


def flux_object(version: str, kind: str, name: str, **spec: object) -> dict[str, Any]:
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": name, "namespace": "flux-system"},
        "spec": dict(spec),
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "lastHandledReconcileAt": "of the old cluster",
        },
    }


def restored() -> fluxworld.World:
    """A cluster as its datastore has it: everything was Ready when the backup was made."""
    world = fluxworld.World()
    for version, kind, name, spec in (
        (inventory.SOURCE, "GitRepository", "flux-system", {}),
        (inventory.KUSTOMIZE, "Kustomization", "works", {}),
        (inventory.KUSTOMIZE, "Kustomization", "fails", {}),
        (inventory.KUSTOMIZE, "Kustomization", "suspended", {"suspend": True}),
        (inventory.HELM, "HelmRelease", "web", {}),
    ):
        world.cluster.put(flux_object(version, kind, name, **spec))
    return world


SOURCE = ("flux-system", "flux-system")


def test_only_conditions_that_the_new_cluster_wrote_count() -> None:
    world = restored()
    kube: Any = world.cluster
    was = inventory.take(kube, source=SOURCE)
    assert compare.differences(was, inventory.take(kube, source=SOURCE, salt=was.salt)).same
    stamp = restore_cluster.reconcile_everything(kube)
    found = compare.differences(
        was, inventory.take(kube, source=SOURCE, salt=was.salt, handled=stamp)
    )
    assert found.different == (
        "Kustomization flux-system/works is not Ready",
        "Kustomization flux-system/fails is not Ready",
        "HelmRelease flux-system/web is not Ready",
    )
    for key, obj in kube.objects.items():
        asked = (obj["metadata"].get("annotations") or {}).get("reconcile.fluxcd.io/requestedAt")
        assert asked == (None if key[1] == "suspended" else stamp)
        if asked:
            obj["status"]["lastHandledReconcileAt"] = asked
    fails = kube.objects["Kustomization", "fails", "flux-system"]
    fails["status"]["conditions"][0]["status"] = "False"
    found = compare.differences(
        was, inventory.take(kube, source=SOURCE, salt=was.salt, handled=stamp)
    )
    assert found.different == ("Kustomization flux-system/fails is not Ready",)


def work_of(kube: Any, was: inventory.Inventory, said: list[str]) -> Any:
    return types.SimpleNamespace(
        bundle=types.SimpleNamespace(
            read=lambda _name: was.model_dump_json(by_alias=True).encode()
        ),
        stack=types.SimpleNamespace(
            live=types.SimpleNamespace(kube=lambda _text: kube),
            config=types.SimpleNamespace(flux=config.Flux()),
        ),
        space=types.SimpleNamespace(cluster="kyrion"),
        lost=(),
        progress=said.append,
    )


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses of a comparison, which take no time."""
    pauses: list[float] = []
    monkeypatch.setattr(steps.status, "kubeconfig", lambda _stack: "")
    monkeypatch.setattr(compare.time, "monotonic", lambda: sum(pauses))
    monkeypatch.setattr(compare.time, "sleep", pauses.append)
    return pauses


def unready(kube: Any, *names: str) -> None:
    for name in names:
        for kind in ("Kustomization", "HelmRelease"):
            obj = kube.objects.get((kind, name, "flux-system"))
            if obj is not None:
                obj["status"]["conditions"][0]["status"] = "False"


def test_what_is_suspended_has_the_hint_to_resume_it_at_once(clock: list[float]) -> None:
    kube: Any = restored().cluster
    was = inventory.take(kube, source=SOURCE)
    unready(kube, "suspended", "fails")
    said: list[str] = []
    with pytest.raises(errors.NotConvergedError) as caught:
        steps.comparison(work_of(kube, was, said))
    assert len(caught.value.remaining) == 2
    assert "flux resume kustomization suspended -n flux-system" in caught.value.hint
    assert "resume kustomization fails" not in caught.value.hint
    # What may become ready is waited for; the suspended one is named first.
    assert sum(clock) >= steps.LONGEST
    assert "flux resume kustomization suspended" in said[1]
    assert said[2:] == ["waiting for Kustomization flux-system/fails is not Ready"]


def test_what_waits_for_a_suspended_one_is_not_waited_for(clock: list[float]) -> None:
    world = restored()
    kube: Any = world.cluster
    brought = [
        {"id": "flux-system_deep_kustomize.toolkit.fluxcd.io_Kustomization"},
        {"id": "media_web_helm.toolkit.fluxcd.io_HelmRelease"},
        {"id": "media_token_bitnami.com_SealedSecret"},
        {"id": "media__apps_Deployment"},
    ]
    kube.objects["Kustomization", "suspended", "flux-system"]["status"]["inventory"] = {
        "entries": [entry | {"v": "v1"} for entry in brought]
    }
    release = flux_object(inventory.HELM, "HelmRelease", "web")
    release["metadata"]["namespace"] = "media"
    kube.put(release)
    for name in ("deep", "later", "latest"):
        kube.put(flux_object(inventory.KUSTOMIZE, "Kustomization", name))
    sealed = {"apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret"}
    secret = {"apiVersion": "v1", "kind": "Secret", "data": {"a": "YQ=="}}
    for obj in (sealed, secret):
        kube.put(obj | {"metadata": {"name": "token", "namespace": "media"}})
    was = inventory.take(kube, source=SOURCE)
    for key in (
        ("Kustomization", "deep", "flux-system"),
        ("HelmRelease", "web", "media"),
        ("SealedSecret", "token", "media"),
        ("Secret", "token", "media"),
    ):
        del kube.objects[key]
    for name, needed in (("later", "suspended"), ("latest", "later")):
        obj = kube.objects["Kustomization", name, "flux-system"]
        obj["spec"]["dependsOn"] = [{"name": needed}]
    unready(kube, "suspended", "later", "latest")
    said: list[str] = []
    with pytest.raises(errors.NotConvergedError) as caught:
        steps.comparison(work_of(kube, was, said))
    assert clock == []
    assert len(caught.value.remaining) == 7
    assert caught.value.hint.count("resume") == 2 and "kustomization suspended" in caught.value.hint


def test_what_was_suspended_and_not_ready_before_is_as_it_was(clock: list[float]) -> None:
    kube: Any = restored().cluster
    unready(kube, "suspended")
    was = inventory.take(kube, source=SOURCE)
    work = work_of(kube, was, [])
    steps.comparison(work)
    assert work.compared.same and clock == []


def test_dependants_of_a_suspended_one_at_an_older_revision_wait_for_it(
    clock: list[float],
) -> None:
    """kustomize-controller wants dependencies at the revision of the source that both have."""
    kube: Any = restored().cluster
    source = {"kind": "GitRepository", "name": "flux-system"}
    kube.objects["GitRepository", "flux-system", "flux-system"]["status"]["artifact"] = {
        "revision": "main@sha1:2"
    }
    for name, at in (("suspended", "main@sha1:1"), ("works", "main@sha1:2")):
        obj = kube.objects["Kustomization", name, "flux-system"]
        obj["spec"]["sourceRef"] = source
        obj["status"]["lastAppliedRevision"] = at
    was = inventory.take(kube, source=SOURCE)
    works = kube.objects["Kustomization", "works", "flux-system"]
    works["spec"]["dependsOn"] = [{"name": "suspended"}]
    unready(kube, "works")
    with pytest.raises(errors.NotConvergedError) as caught:
        steps.comparison(work_of(kube, was, []))
    assert caught.value.remaining == ("Kustomization flux-system/works is not Ready",)
    assert clock == [] and "flux resume kustomization suspended" in caught.value.hint


def test_each_request_is_another() -> None:
    kube: Any = restored().cluster
    assert restore_cluster.reconcile_everything(kube) != restore_cluster.reconcile_everything(kube)


def test_a_restore_with_its_datastore_ends_with_such_conditions() -> None:
    assert steps.STEPS["datastore"][-1].do is steps.comparison_of_datastore
    assert steps.STEPS["rebuild"][-1].do is steps.comparison
