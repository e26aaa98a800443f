"""Builds that share a run of kustomize give what each gives alone."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

import pytest

from provision.gitops.build import bundles, isolation, kustomize, workspace
from provision.gitops.tree import Tree

GENERATOR = "configMapGenerator: [{name: settings, literals: [a=b]}]\n"
RELEASE = """\
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: NAME}
spec: {valuesFrom: [{kind: ConfigMap, name: settings}]}
"""
NAMES = """\
nameReference:
  - kind: ConfigMap
    version: v1
    fieldSpecs: [{path: spec/valuesFrom/name, kind: HelmRelease}]
"""
POD = """\
apiVersion: v1
kind: Pod
metadata: {name: NAME}
spec:
  containers: [{name: a, image: b, envFrom: [{configMapRef: {name: settings}}]}]
"""
ACCOUNT = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: robot}\n"
BINDING = """\
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: NAME}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
subjects: [{kind: ServiceAccount, name: robot, namespace: default}]
"""
SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: hook}\nspec: {ports: [{port: 1}]}\n"
WEBHOOK = """\
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: NAME}
webhooks:
  - {name: a.b.c, clientConfig: {service: {name: hook, namespace: default}}}
"""
CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: NAME}\ndata: {a: b}\n"


def folder(name: str, *manifests: str, more: str = "", **files: str) -> dict[str, str]:
    """Return a folder with a kustomization of `manifests` and the fields `more`."""
    listed = {f"{i}.yaml": text.replace("NAME", name) for i, text in enumerate(manifests)}
    top = f"resources: [{', '.join(listed)}]\n{more.replace('NAME', name)}"
    others = {f"{key}.yaml": text for key, text in files.items()}
    return {
        f"{name}/{path}": text
        for path, text in {**listed, **others, "kustomization.yaml": top}.items()
    }


class Runs:
    """Counts the runs of kustomize, and can keep builds apart."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self._patch = monkeypatch
        real = isolation.run

        def run(*arguments: Any) -> isolation.Output:
            self.count += 1
            return real(*arguments)

        monkeypatch.setattr(isolation, "run", run)

    def build(
        self, files: dict[str, str], overlays: Sequence[workspace.Overlay], *, apart: bool = False
    ) -> list[kustomize.Built]:
        """Return the builds; the count is then the number of runs that they took."""
        self.count = 0
        with self._patch.context() as patch, kustomize.Builder(Tree.of(files), jobs=1) as builder:
            if apart:
                patch.setattr(bundles, "of", lambda _tree, builds, _jobs: [[b] for b in builds])
            return builder.build(overlays)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    return Runs(monkeypatch)


def overlays(*names: str) -> list[workspace.Overlay]:
    return [workspace.Overlay(path=name) for name in names]


def test_small_builds_share_one_run(runs: Runs) -> None:
    names = [f"app{i}" for i in range(12)]
    files = {p: t for n in names for p, t in folder(n, CONFIG_MAP, more="namespace: NAME").items()}
    built = runs.build(files, overlays(*names))
    assert runs.count == 1
    assert [[doc.obj["metadata"] for doc in one.objects] for one in built] == [
        [{"name": name, "namespace": name}] for name in names
    ]
    assert [one.objects[0].where for one in built] == [f"{name}/0.yaml:1" for name in names]


KEPT_APART = {
    "a name that the other one generates": [
        folder("a", POD),
        folder("b", CONFIG_MAP, more=GENERATOR),
    ],
    "a name in a patch that the other one generates": [
        folder(
            "a",
            CONFIG_MAP,
            POD.replace("settings", "other"),
            more='patches: [{target: {kind: Pod}, patch: \'[{"op": "replace",'
            ' "path": "/spec/containers/0/envFrom/0/configMapRef/name",'
            ' "value": "settings"}]\'}]\n',
        ),
        folder("b", CONFIG_MAP, more=GENERATOR),
    ],
    "both generate the name": [
        folder("a", POD, more=GENERATOR),
        folder("b", POD, more=GENERATOR.replace("a=b", "a=c")),
    ],
    "a prefix changes the name": [
        folder("a", POD),
        folder("b", CONFIG_MAP.replace("NAME", "settings"), more="namePrefix: my-\n"),
    ],
    "an account that gets a namespace": [
        folder("a", BINDING),
        folder("b", ACCOUNT, more="namespace: robots\n"),
    ],
    "a service that gets a namespace": [
        folder("a", WEBHOOK),
        folder("b", SERVICE, more="namespace: hooks\n"),
    ],
    "what names mean is configured for one only": [
        folder("a", RELEASE, more=GENERATOR),
        folder(
            "b",
            RELEASE.replace("settings", "own"),
            more=GENERATOR.replace("settings", "own") + "configurations: [names.yaml]\n",
            names=NAMES,
        ),
    ],
    "variables": [
        folder(
            "a",
            CONFIG_MAP,
            more="vars: [{name: X, objref: {kind: ConfigMap, name: NAME, apiVersion: v1}}]\n",
        ),
        folder("b", CONFIG_MAP.replace("a: b", "a: $(X)")),
    ],
    "the same manifest twice": [
        folder("a", POD, more="components: [../shared]\n"),
        folder("b", POD, more="components: [../shared]\n")
        | folder(
            "shared",
            CONFIG_MAP,
            more="apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n",
        ),
    ],
    "our own label": [
        folder(
            "a", CONFIG_MAP.replace("{name: NAME}", f"{{name: x, labels: {{{bundles.MARK}: b}}}}")
        ),
        folder("b", CONFIG_MAP),
    ],
}


@pytest.mark.parametrize("case", KEPT_APART)
def test_builds_that_could_change_each_other_run_alone(runs: Runs, case: str) -> None:
    files = {path: text for part in KEPT_APART[case] for path, text in part.items()}
    together = runs.build(files, overlays("a", "b"))
    assert runs.count == 2
    assert together == runs.build(files, overlays("a", "b"), apart=True)
    assert [one.problems for one in together] == [(), ()]


def test_the_same_component_in_two_namespaces_shares_a_run(runs: Runs) -> None:
    files = folder(
        "shared", CONFIG_MAP, more="kind: Component\napiVersion: kustomize.config.k8s.io/v1alpha1\n"
    )
    for name in ("a", "b"):
        files |= folder(name, POD, more="components: [../shared]\nnamespace: NAME\n")
    together = runs.build(files, overlays("a", "b"))
    assert runs.count == 1
    assert together == runs.build(files, overlays("a", "b"), apart=True)


def test_a_patch_of_flux_counts_as_text_of_the_build(runs: Runs) -> None:
    files = folder("a", CONFIG_MAP, POD.replace("settings", "other"))
    files |= folder("b", CONFIG_MAP, more=GENERATOR)
    path = "/spec/containers/0/envFrom/0/configMapRef/name"
    patch = json.dumps([{"op": "replace", "path": path, "value": "settings"}])
    patched = workspace.Overlay(path="a", patches=({"target": {"kind": "Pod"}, "patch": patch},))
    chosen = [patched, *overlays("b")]
    together = runs.build(files, chosen)
    assert together == runs.build(files, chosen, apart=True)
    pod = next(doc.obj for doc in together[0].objects if doc.obj["kind"] == "Pod")
    assert pod["spec"]["containers"][0]["envFrom"] == [{"configMapRef": {"name": "settings"}}]


def test_an_error_names_the_build_that_is_wrong(runs: Runs) -> None:
    bad = "patches: [{target: {kind: ConfigMap}, patch: '[{op: remove, path: /no/such}]'}]\n"
    files = folder("a", CONFIG_MAP) | folder("b", CONFIG_MAP, more=bad) | folder("c", CONFIG_MAP)
    first, second, third = runs.build(files, overlays("a", "b", "c"))
    assert runs.count == 4
    assert not first.problems
    assert not third.problems
    assert second.problems[0].where == "b/kustomization.yaml"


def test_two_folders_with_one_object_are_both_built(runs: Runs) -> None:
    files = folder("a", CONFIG_MAP.replace("NAME", "x")) | folder(
        "b", CONFIG_MAP.replace("NAME", "x")
    )
    built = runs.build(files, overlays("a", "b"))
    assert [len(one.objects) for one in built] == [1, 1]


def test_labels_of_the_user_stay(runs: Runs) -> None:
    labelled = CONFIG_MAP.replace("{name: NAME}", "{name: NAME, labels: {a: b}}")
    files = folder("a", labelled) | folder("b", CONFIG_MAP, more="commonLabels: {c: d}\n")
    first, second = runs.build(files, overlays("a", "b"))
    assert runs.count == 1
    assert first.objects[0].obj["metadata"]["labels"] == {"a": "b"}
    assert second.objects[0].obj["metadata"]["labels"] == {"c": "d"}


PARTS = [CONFIG_MAP, POD, RELEASE, ACCOUNT, BINDING, SERVICE, WEBHOOK]
FIELDS = [
    GENERATOR,
    "namespace: own\n",
    "namespace: NAME\n",
    "namePrefix: my-\n",
    "commonLabels: {app: NAME}\n",
    "commonAnnotations: {a: NAME}\n",
    "images: [{name: b, newTag: '2'}]\n",
    "secretGenerator: [{name: robot, literals: [x=y]}]\n",
]


@pytest.mark.parametrize("seed", range(6))
def test_random_builds_give_what_they_give_alone(runs: Runs, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    names = [f"app{i}" for i in range(14)]
    files: dict[str, str] = {}
    for name in names:
        chosen = chance.sample(PARTS, chance.randint(1, 4))
        more = "".join(dict((f.partition(":")[0], f) for f in chance.sample(FIELDS, 2)).values())
        configured = {"names": NAMES} if chance.random() < 0.3 else {}
        more += "configurations: [names.yaml]\n" if configured else ""
        files |= folder(name, *chosen, more=more, **configured)
    together = runs.build(files, overlays(*names))
    shared = runs.count
    assert together == runs.build(files, overlays(*names), apart=True)
    assert shared < runs.count
