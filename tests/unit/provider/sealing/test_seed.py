"""Seeds against a cluster in memory: created once in the life of a cluster, never fought over."""

from __future__ import annotations

import base64
import json
import pathlib

import pytest

from provision import errors
from provision.gitops.sealing import keys as sealing_keys
from provision.gitops.sealing import sealed
from provision.provider import resource
from provision.provider.sealing import seed
from tests.support import fluxworld

KIND = seed.Seed()
CRD = "sealedsecrets.bitnami.com"
RELEASE = f"""\
apiVersion: v1
kind: ServiceAccount
metadata: {{name: sealed-secrets-controller, namespace: kube-system}}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: {CRD}}}
spec:
  group: bitnami.com
  names: {{kind: SealedSecret, plural: sealedsecrets}}
"""


class Store:
    def __init__(self, path: pathlib.Path, text: str = RELEASE) -> None:
        self.path = path / "controller.yaml"
        self.path.write_text(text)

    def fetch(self, artifact, arch, *, progress=None) -> pathlib.Path:
        assert (artifact.name, artifact.version) == ("sealed-secrets", "v0.27.1")
        return self.path


@pytest.fixture
def world(monkeypatch) -> fluxworld.World:
    monkeypatch.setattr(sealing_keys, "KEY_BITS", 1024)
    made = fluxworld.World()
    new_cluster(made, "life-1")

    def act() -> None:
        for (kind, _, _), obj in made.cluster.objects.items():
            if kind == "CustomResourceDefinition":
                obj["status"] = {"conditions": [{"type": "Established", "status": "True"}]}

    made.cluster.react = act
    return made


def new_cluster(world, uid: str) -> None:
    world.cluster.objects.clear()
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system"}}
    namespace["metadata"]["uid"] = uid
    world.cluster.put(namespace)


def inputs(kind: str, name: str, namespace: str = "", manifest=None, **more) -> dict:
    text = json.dumps(manifest) if manifest else ""
    given = {"kind": kind, "name": name, "namespace": namespace, "manifest": text}
    given |= {"kubeconfig": "kubeconfig", "reason": "it is why", "where": "a.yaml:3"} | more
    filled, problems = KIND.check(given)
    assert problems == []
    return filled


def run(world, given, state=None) -> dict:
    observed, kept = resource.converge(KIND, world, given, state or {})
    return given | KIND.outputs(observed.facts, given, kept)


def sealed_vars(world) -> dict:
    key = sealing_keys.make_key()
    world.cluster.put(sealing_keys.key_secret(key, namespace="flux-system", name="key"))
    plain = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "vars", "namespace": "flux-system"},
        "stringData": {"TOKEN": "canary"},
    }
    return sealed.seal(plain, key.certificate_pem)


def test_a_secret_is_opened_with_the_clusters_own_keys(world) -> None:
    given = inputs("Secret", "vars", "flux-system", sealed_vars(world))
    state = run(world, given)
    made = world.cluster.get("v1", "Secret", "vars", "flux-system")
    assert base64.b64decode(made["data"]["TOKEN"]) == b"canary"
    assert made["metadata"]["annotations"] == {"sealedsecrets.bitnami.com/managed": "true"}
    assert state["cluster"] == "life-1"
    assert "canary" not in json.dumps(state)
    assert "manifest" in KIND.secret_inputs


def test_what_is_there_is_left_alone(world) -> None:
    theirs = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "vars", "namespace": "flux-system"},
        "data": {"TOKEN": "dGhlaXJz"},
    }
    world.cluster.put(theirs)
    state = run(world, inputs("Secret", "vars", "flux-system", sealed_vars(world)))
    assert world.calls == []
    assert world.cluster.get("v1", "Secret", "vars", "flux-system") == theirs
    assert state["cluster"] == "life-1"


def test_it_is_seeded_once_in_the_life_of_a_cluster(world) -> None:
    given = inputs("Namespace", "tailscale")
    state = run(world, given)
    world.cluster.objects.pop(("Namespace", "tailscale", None))
    assert KIND.observe(world, given, state).exists, "else the engine would make it anew"
    world.calls.clear()
    run(world, given, state)
    assert world.calls == []
    new_cluster(world, "life-2")
    assert not KIND.observe(world, given, state).exists
    assert run(world, given, state)["cluster"] == "life-2"
    assert world.calls == ["create Namespace"]


def test_a_definition_comes_from_the_release(world, tmp_path) -> None:
    world.store = Store(tmp_path)
    run(world, inputs("CustomResourceDefinition", CRD, release="v0.27.1"))
    assert world.cluster.get("apiextensions.k8s.io/v1", "CustomResourceDefinition", CRD)


def test_a_release_without_the_definition_is_an_error(world, tmp_path) -> None:
    world.store = Store(tmp_path, "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: a}\n")
    with pytest.raises(errors.ArtifactError, match=CRD):
        run(world, inputs("CustomResourceDefinition", CRD, release="v0.27.1"))
    assert world.calls == []


def test_a_given_definition_wins(world) -> None:
    manifest = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": CRD},
    }
    run(world, inputs("CustomResourceDefinition", CRD, "", manifest, release="v0.27.1"))
    assert world.cluster.get("apiextensions.k8s.io/v1", "CustomResourceDefinition", CRD)


def test_what_no_key_opens_is_named_with_its_place(world) -> None:
    manifest = sealed_vars(world)
    new_cluster(world, "life-1")
    with pytest.raises(errors.GitOpsError, match=r"a\.yaml:3"):
        run(world, inputs("Secret", "vars", "flux-system", manifest))


def test_the_plan_says_why_and_where(world) -> None:
    given = inputs("Secret", "vars", "flux-system", sealed_vars(world))
    for kubeconfig in ("kubeconfig", resource.UNKNOWN):
        facts = KIND.observe(world, given | {"kubeconfig": kubeconfig}, {}).facts
        (change,) = KIND.plan(facts, given, {})
        assert change.summary == "seed Secret/flux-system/vars: it is why (a.yaml:3)"


def test_a_kind_that_is_not_seeded_is_refused() -> None:
    _, problems = KIND.check({"kind": "Pod", "name": "x", "kubeconfig": "k"})
    assert [problem.key for problem in problems] == ["kind"]
