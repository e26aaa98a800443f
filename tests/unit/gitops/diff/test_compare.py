"""What Flux changes, deletes and leaves between two builds."""

from __future__ import annotations

from typing import Any

import pytest

from provision import errors
from provision.gitops import documents
from provision.gitops.build import discovery, flux
from provision.gitops.diff import compare
from tests.support import gitopsdocs as docs

ROOT = flux.root("clusters/home")
FLUX = "kustomize.toolkit.fluxcd.io"
CLAIM = docs.obj("v1:PersistentVolumeClaim", "media", "arkham", spec={"volumeName": "disk"})


def parsed(text: str) -> tuple[documents.Document, ...]:
    return tuple(documents.read_text(text, "all.yaml", []))


def units(
    own: str, parts: dict[str, str] | None = None, **more: dict[str, Any]
) -> list[discovery.Unit]:
    """Return the root with the objects `own`, and each Kustomization in it with those in `parts`.

    `more` are further fields of a unit, by the name of its Kustomization.
    """
    objects = parsed(own)
    found = [discovery.Unit(kustomization=ROOT, objects=objects, parent=None)]
    for doc in objects:
        if flux.is_kustomization(doc.obj):
            one = flux.read(doc)
            made = {"objects": parsed((parts or {}).get(one.name, "")), **more.get(one.name, {})}
            found.append(discovery.Unit(kustomization=one, parent=ROOT.key, **made))
    return found


def apps(content: str, unit: dict[str, Any] | None = None, **spec: Any) -> list[discovery.Unit]:
    own = docs.kustomization("apps", "./apps", **spec)
    return units(own, {"apps": content}, **({"apps": unit} if unit else {}))


def only(found: compare.Comparison, name: str = "media") -> compare.Change:
    (change,) = [one for one in found.changes if one.place[2] == name]
    return change


def test_nothing_changes():
    found = compare.compare(apps(CLAIM), apps(CLAIM))
    assert list(found.changes) == [] and found.unchanged == 2


def test_fields_that_change():
    before = docs.config_map("web", host="a", old="x", port="1")
    after = docs.config_map("web", host="b", new="y", port="1")
    change = only(compare.compare(apps(before), apps(after)), "web")
    assert change.action == "update" and change.by == "apps"
    told = {one.path: one.to_json() for one in change.fields}
    assert told["data.host"] == {"path": "data.host", "before": "a", "after": "b"}
    assert "before" not in told["data.new"] and "after" not in told["data.old"]
    assert len(told) == 3


def test_the_type_of_a_value_counts():
    before, after = ({"spec": {"on": one}} for one in (1, True))
    found = compare.compare(
        apps(docs.custom("a.io/v1:Thing", "t", "x", **before["spec"])),
        apps(docs.custom("a.io/v1:Thing", "t", "x", **after["spec"])),
    )
    assert only(found, "t").action == "update"


def test_another_version_of_the_api_is_the_same_object():
    before = docs.obj("a.io/v1beta1:Thing", "t", "x")
    after = docs.obj("a.io/v1:Thing", "t", "x")
    assert only(compare.compare(apps(before), apps(after)), "t").action == "update"


@pytest.mark.parametrize(
    ("kind", "namespace", "words"),
    [
        ("v1:PersistentVolumeClaim", "arkham", "the claim's data"),
        ("v1:PersistentVolume", "", "the volume's data"),
        ("v1:Namespace", "", "everything in it"),
        ("apiextensions.k8s.io/v1:CustomResourceDefinition", "", "every object of this kind"),
    ],
)
def test_a_deletion_that_loses_data(kind, namespace, words):
    found = compare.compare(apps(docs.obj(kind, "media", namespace)), apps(""))
    change = only(found)
    assert change.action == "delete" and words in change.loss
    assert found.changes[0] is change and found.losses == [change]


def test_a_deletion_that_loses_none():
    found = compare.compare(apps(docs.config_map("media")), apps(""))
    assert only(found).action == "delete" and found.losses == []
    alike = docs.obj("other.io/v1:PersistentVolumeClaim", "media", "arkham")
    assert compare.compare(apps(alike), apps("")).losses == []


def test_claims_of_pods_that_go_with_their_stateful_set():
    kept = {"volumeClaimTemplates": [{"metadata": {"name": "data"}}]}
    goes = {**kept, "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"}}
    for spec, lost in ((kept, False), (goes, True)):
        text = docs.obj("apps/v1:StatefulSet", "media", "arkham", spec=spec)
        assert bool(compare.compare(apps(text), apps("")).losses) is lost


@pytest.mark.parametrize("key", ["prune", "reconcile"])
@pytest.mark.parametrize("part", ["annotations", "labels"])
def test_an_object_that_flux_is_told_to_leave(key, part):
    marked = docs.obj(
        "v1:PersistentVolumeClaim",
        "media",
        "arkham",
        metadata={part: {f"{FLUX}/{key}": "Disabled"}},
    )
    change = only(compare.compare(apps(marked), apps("")))
    assert change.action == "keep" and not change.loss and key in change.reason


def test_without_prune_it_stays():
    change = only(compare.compare(apps(CLAIM), apps("", prune=False)))
    assert change.action == "keep" and "spec.prune" in change.reason


def test_the_prune_that_counts_is_the_new_one():
    assert only(compare.compare(apps(CLAIM, prune=False), apps(""))).action == "delete"


def test_what_does_not_build_deletes_nothing():
    broken = {"problems": (errors.Problem(where="apps/x.yaml:1", message="broken"),), "objects": ()}
    found = compare.compare(apps(CLAIM), apps("", broken))
    change = only(found)
    assert change.action == "unknown" and "does not build" in change.reason and not change.loss
    assert [p.where for p in found.problems] == ["apps/x.yaml:1"]


def test_what_did_not_build_before_is_not_called_new():
    broken = {"problems": (errors.Problem(message="broken"),), "objects": ()}
    found = compare.compare(apps("", broken), apps(CLAIM))
    assert only(found).action == "unknown"
    assert any("did not build before" in note for note in found.notes)
    assert list(found.problems) == []


def test_what_is_not_seen_is_not_absent():
    unseen = {"unseen": "GitRepository x is another source", "objects": ()}
    change = only(compare.compare(apps(CLAIM), apps("", unseen)))
    assert change.action == "unknown" and "another source" in change.reason
    remote = {"remote": ("https://example.org/base",)}
    change = only(compare.compare(apps(CLAIM), apps("", remote)))
    assert change.action == "unknown" and "https://example.org/base" in change.reason
    both = compare.compare(apps(CLAIM, remote), apps("", remote))
    assert only(both).action == "delete", "the base was left out before, too"


def test_a_suspended_kustomization_waits():
    change = only(compare.compare(apps(CLAIM), apps("", suspend=True)))
    assert change.action == "delete" and "when Kustomization apps is resumed" in change.reason


@pytest.mark.parametrize(
    ("spec", "action"),
    [
        ({}, "delete"),
        ({"prune": False}, "keep"),
        ({"deletionPolicy": "Orphan"}, "keep"),
        ({"deletionPolicy": "MirrorPrune"}, "delete"),
        ({"prune": False, "deletionPolicy": "Delete"}, "delete"),
        ({"prune": False, "deletionPolicy": "WaitForTermination"}, "delete"),
        ({"suspend": True}, "keep"),
    ],
)
def test_objects_of_a_kustomization_that_goes(spec, action):
    found = compare.compare(apps(CLAIM, **spec), units(""))
    assert only(found).action == action
    assert only(found, "apps").action == "delete"
    assert bool(found.losses) is (action == "delete")


def test_a_kustomization_that_is_only_left_alone_goes_on():
    kept = {"annotations": {f"{FLUX}/prune": "disabled"}}
    own = docs.obj(
        f"{FLUX}/v1:Kustomization",
        "apps",
        "flux-system",
        metadata=kept,
        spec={"path": "./apps", "prune": True},
    )
    found = compare.compare(units(own, {"apps": CLAIM}), units(""))
    assert only(found, "apps").action == "keep"
    change = only(found)
    assert change.action == "unknown" and "goes on applying apps" in change.reason


def test_a_move_between_kustomizations_may_delete():
    both = docs.many(docs.kustomization("apps", "./apps"), docs.kustomization("media", "./media"))
    found = compare.compare(units(both, {"apps": CLAIM}), units(both, {"media": CLAIM}))
    (change,) = found.changes
    assert change.action == "update" and "may be deleted on its way" in change.loss
    assert "from Kustomization apps to media" in change.reason
    plain = docs.config_map("web")
    found = compare.compare(units(both, {"apps": plain}), units(both, {"media": plain}))
    assert [one.loss for one in found.changes] == [""]


def test_a_claim_that_force_replaces():
    other = docs.obj("v1:PersistentVolumeClaim", "media", "arkham", spec={"volumeName": "new"})
    assert not only(compare.compare(apps(CLAIM), apps(other))).loss
    assert "replaces it (force)" in only(compare.compare(apps(CLAIM), apps(other, force=True))).loss
    spec = {"volumeName": "disk", "resources": {"requests": {"storage": "2Gi"}}}
    grown = docs.obj("v1:PersistentVolumeClaim", "media", "arkham", spec=spec)
    assert not only(compare.compare(apps(CLAIM), apps(grown, force=True))).loss


def test_secrets_are_hashes():
    def secret(**values: str) -> str:
        return docs.obj("v1:Secret", "media", "arkham", stringData=values)

    found = compare.compare(
        apps(secret(a="canary-1", b="same")), apps(secret(a="canary-2", b="same"))
    )
    told = str(found.to_json())
    assert "canary" not in told
    assert [one.path for one in only(found).fields] == ["stringData.a"]
    for one in (compare.compare(apps(secret(a="canary-1")), apps("")).to_json(),):
        assert "canary" not in str(one)
    again = compare.compare(apps(secret(a="canary-1")), apps(secret(a="canary-2")))
    assert only(found).fields != only(again).fields, "the hash is another one in each run"


def test_the_annotation_that_repeats_a_secret_is_hidden():
    def secret(value: str) -> str:
        name = "kubectl.kubernetes.io/last-applied-configuration"
        return docs.obj("v1:Secret", "media", "x", metadata={"annotations": {name: value}})

    found = compare.compare(apps(secret("canary-1")), apps(secret("canary-2")))
    assert only(found).action == "update" and "canary" not in str(found.to_json())


def test_another_cluster_has_its_own_objects():
    remote = {"kubeConfig": {"secretRef": {"name": "other"}}}
    found = compare.compare(apps(CLAIM), apps(CLAIM, **remote))
    assert sorted(one.action for one in found.changes) == ["create", "delete", "update"]


@pytest.mark.parametrize("value", ["Ignore", "IfNotPresent"])
def test_an_object_that_flux_only_creates(value):
    def claim(volume: str) -> str:
        told = {"annotations": {f"{FLUX}/ssa": value}}
        spec = {"volumeName": volume}
        return docs.obj("v1:PersistentVolumeClaim", "media", "x", metadata=told, spec=spec)

    change = only(compare.compare(apps(claim("a")), apps(claim("b"), force=True)))
    assert not change.loss and "Flux leaves it as it is" in change.reason


def test_a_release_that_goes_takes_its_claims():
    found = compare.compare(apps(docs.chart("media")), apps(""))
    told = {one.place[0]: one.reason for one in found.changes}
    assert "claims too" in told["HelmRelease"] and told["HelmRepository"] == ""
