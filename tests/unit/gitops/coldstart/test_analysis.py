"""What an empty cluster lacks: found, explained, seeded."""

from __future__ import annotations

import base64
import json

import pytest

from provision import errors
from provision.gitops.build import discovery
from provision.gitops.coldstart import analysis
from provision.gitops.coldstart import gpu as coldstart_gpu
from provision.gitops.tree import Tree

PATH = "clusters/kyrion"


def analyse(files: dict[str, str], keys=None):
    return analysis.analyse(Tree.of(files), PATH, keys=keys)


def brings_gpu_plugin(files: dict[str, str]) -> bool:
    return coldstart_gpu.in_units(discovery.discover(Tree.of(files), PATH).units)


def test_the_three_deadlocks(repo, sealing_key) -> None:
    found = analyse(repo.deadlocked(sealing_key), [sealing_key])
    assert not found.problems
    assert [(need.kind, need.namespace, need.name) for need in found.needs] == [
        ("CustomResourceDefinition", "", "SealedSecret.bitnami.com"),
        ("Secret", "flux-system", "cluster-secret-vars"),
        ("Namespace", "", "tailscale"),
    ]
    crd, secret, namespace = found.needs
    assert crd.where == "clusters/kyrion/sealed-secrets.yaml:1"
    assert crd.blocks == "flux-system"
    assert "sealed-secrets that defines it" in crd.reason
    assert secret.where == "clusters/kyrion/infrastructure.yaml:1"
    assert secret.source == "clusters/kyrion/sealed-secrets.yaml:1"
    assert "substituteFrom" in secret.reason
    assert namespace.where == "infrastructure/controllers/tsidp-auth.yaml:1"
    assert "only HelmRelease flux-system/tailscale" in namespace.reason
    assert all(need.suggestion and need.seedable for need in found.needs)
    found.check()
    assert [one.name for one in found.kustomizations] == [
        "flux-system",
        "infra-controllers",
        "infra-configs",
        "apps",
    ]


def test_seeds_are_objects_for_the_controller_to_adopt(repo, sealing_key) -> None:
    found = analyse(repo.deadlocked(sealing_key), [sealing_key])
    (secret,) = (need.object for need in found.seeds if need.object is not None)
    assert secret["metadata"]["annotations"] == {"sealedsecrets.bitnami.com/managed": "true"}
    assert base64.b64decode(secret["data"]["TOKEN"]) == b"canary-token"
    for text in (repr(found), json.dumps(found.to_json())):
        assert "canary" not in text
        assert secret["data"]["TOKEN"] not in text


def test_a_root_without_kustomization_file(repo, sealing_key) -> None:
    found = analyse(repo.deadlocked(sealing_key, root=False), [sealing_key])
    assert not found.problems
    assert len(found.needs) == 3


def test_without_keys_the_seeds_are_named_unseen(repo, sealing_key) -> None:
    found = analyse(repo.deadlocked(sealing_key))
    assert len(found.seeds) == 3
    found.check()


def test_with_other_keys_it_is_an_error_before_anything_is_touched(repo, session_keys) -> None:
    found = analyse(repo.deadlocked(session_keys[0]), [session_keys[1]])
    with pytest.raises(errors.GitOpsError) as caught:
        found.check()
    assert "none of the keys opens it" in str(caught.value)
    assert "clusters/kyrion/infrastructure.yaml:1" in str(caught.value)
    assert [need.name for need in found.missing] == ["cluster-secret-vars"]


def test_the_order_of_the_file_list_does_not_matter(repo, sealing_key) -> None:
    files = repo.deadlocked(sealing_key)
    one = analyse(files, [sealing_key])
    other = analyse(dict(reversed(files.items())), [sealing_key])
    assert one.to_json() == other.to_json()


def without_deadlocks(repo, key) -> dict[str, str]:
    """The same repository, changed as the suggestions say."""
    files = repo.deadlocked(key)
    del files["clusters/kyrion/sealed-secrets.yaml"]
    cluster = "clusters/kyrion"
    files[f"{cluster}/kustomization.yaml"] = repo.resources(
        "sealing.yaml", "apps.yaml", "config-map.yaml", "infrastructure.yaml"
    )
    files[f"{cluster}/sealing.yaml"] = (
        repo.kustomization("sealing", "./sealing")
        + "---\n"
        + repo.kustomization("cluster-secrets", "./secrets", more=repo.depends("sealing"))
    )
    files["sealing/release.yaml"] = files.pop("infrastructure/controllers/sealed-secrets.yaml")
    files["secrets/vars.yaml"] = repo.sealed_secret(
        key, "cluster-secret-vars", "flux-system", DOMAIN="example.org", TOKEN="t"
    )
    files["infrastructure/controllers/kustomization.yaml"] = repo.resources(
        "tailscale.yaml", "tsidp-auth.yaml", "namespace.yaml"
    )
    files["infrastructure/controllers/namespace.yaml"] = (
        "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: tailscale\n"
    )
    files[f"{cluster}/infrastructure.yaml"] = files[f"{cluster}/infrastructure.yaml"].replace(
        "name: infra-controllers\n  namespace: flux-system\nspec:\n",
        "name: infra-controllers\n  namespace: flux-system\nspec:\n"
        "  dependsOn: [{name: cluster-secrets}]\n",
        1,
    )
    return files


def test_the_suggestions_help(repo, sealing_key) -> None:
    found = analyse(without_deadlocks(repo, sealing_key), [sealing_key])
    assert not found.problems
    assert found.needs == ()


def test_substitution_reaches_the_objects(repo, sealing_key) -> None:
    from provision.gitops.build import discovery

    tree = Tree.of(repo.deadlocked(sealing_key))
    found = discovery.discover(tree, PATH, keys=[sealing_key])
    objects = {doc.obj["metadata"]["name"]: doc.obj for unit in found.units for doc in unit.objects}
    assert objects["web"]["metadata"]["namespace"] == "arkham"
    assert objects["web"]["data"] == {
        "zone": "Europe/Berlin",
        "host": "web.example.org",
        "shell": "${HOME}",
    }
    assert objects["settings"]["data"] == {"host": "ts.example.org"}


def simple(repo, **more: str) -> dict[str, str]:
    return {"clusters/kyrion/a.yaml": repo.kustomization("a", "./a"), **more}


def messages(found) -> list[str]:
    return [str(problem) for problem in found.problems]


def test_a_path_that_is_missing(repo) -> None:
    found = analyse(simple(repo))
    assert messages(found) == ["clusters/kyrion/a.yaml:1: a: spec.path 'a': there is no such path"]


def test_the_cluster_path_that_is_missing(repo) -> None:
    found = analysis.analyse(Tree.of({"a.yaml": ""}), "clusters/other")
    assert messages(found) == ["clusters/other: there is no such path (Kustomization flux-system)"]


def test_everything_wrong_is_named_at_once(repo) -> None:
    found = analyse(
        simple(
            repo,
            **{
                "clusters/kyrion/b.yaml": repo.kustomization("b", "./b"),
                "a/kustomization.yaml": repo.resources("one.yaml", "gone.yaml", "sub"),
                "a/one.yaml": "kind: ConfigMap\nmetadata: {name: x}\n",
                "a/sub/file.yaml": "x: 1\n",
                "b/list.yaml": "- a\n- b\n",
                "b/bad.yaml": "apiVersion: v1\nkind: ConfigMap\n  metadata: {name: x}\n",
            },
        )
    )
    text = "\n".join(messages(found))
    assert "a/one.yaml:1: not a Kubernetes object: apiVersion missing" in text
    assert "a/kustomization.yaml:3: gone.yaml: there is no such file or folder" in text
    assert "a/kustomization.yaml:4: sub: the folder has no kustomization.yaml" in text
    assert "b/list.yaml:1: a list where a Kubernetes object is expected" in text
    assert "b/bad.yaml:3: not YAML" in text
    assert len(found.problems) == 5


def test_a_cycle(repo) -> None:
    found = analyse(
        simple(
            repo,
            **{
                "clusters/kyrion/a.yaml": repo.kustomization("a", "./a", more=repo.depends("b")),
                "clusters/kyrion/b.yaml": repo.kustomization("b", "./a", more=repo.depends("a")),
                "a/x.yaml": repo.namespace("x"),
            },
        )
    )
    assert messages(found) == ["clusters/kyrion/a.yaml:1: spec.dependsOn: a cycle: a -> b -> a"]


def test_a_dependency_that_is_not_there(repo) -> None:
    files = simple(repo, **{"a/x.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n"})
    files["clusters/kyrion/a.yaml"] = repo.kustomization("a", "./a", more=repo.depends("gone"))
    assert messages(analyse(files)) == [
        "clusters/kyrion/a.yaml:1: a: it depends on gone, which is not in the repository"
    ]


def test_values_from_nowhere_cannot_be_seeded(repo) -> None:
    files = simple(repo, **{"a/x.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n"})
    files["clusters/kyrion/a.yaml"] = repo.kustomization("a", "./a", more=repo.SUBSTITUTE)
    found = analyse(files)
    assert [need.name for need in found.missing] == ["cluster-secret-vars"]
    with pytest.raises(errors.GitOpsError, match="nothing in the repository makes it"):
        found.check()


def test_an_unknown_definition_beside_its_chart_is_missing(repo) -> None:
    issuer = "apiVersion: cert-manager.io/v1\nkind: ClusterIssuer\nmetadata: {name: le}\nspec: {}\n"
    files = simple(
        repo,
        **{
            "a/cert-manager.yaml": repo.helm_release(
                "cm", "flux-system", "cert-manager", values={"crds": {"enabled": True}}
            ),
            "a/issuer.yaml": issuer,
        },
    )
    found = analyse(files)
    assert [need.name for need in found.missing] == ["ClusterIssuer.cert-manager.io"]
    assert found.missing[0].where == "a/issuer.yaml:1"
    files["clusters/kyrion/b.yaml"] = repo.kustomization("b", "./b", more=repo.depends("a"))
    files["b/issuer.yaml"] = files.pop("a/issuer.yaml")
    assert analyse(files).needs == ()


def test_an_unknown_chart_may_bring_anything(repo) -> None:
    files = simple(
        repo,
        **{
            "clusters/kyrion/b.yaml": repo.kustomization("b", "./b", more=repo.depends("a")),
            "a/x.yaml": repo.helm_release("x", "flux-system", "who-knows"),
            "b/w.yaml": "apiVersion: w.example/v1\nkind: Widget\nmetadata: {name: w}\n",
        },
    )
    found = analyse(files)
    assert found.needs == ()
    (assumed,) = found.assumptions
    assert assumed.name == "Widget.w.example"
    assert assumed.by == ("the chart who-knows of HelmRelease flux-system/x",)
    assert found.verdict == "may come up"


def test_values_of_a_chart_from_a_sealed_secret(repo, sealing_key) -> None:
    files = simple(
        repo,
        **{
            "a/sealed-secrets.yaml": repo.helm_release(
                "sealed-secrets", "flux-system", "sealed-secrets", values_from="values"
            ),
            "clusters/kyrion/b.yaml": repo.kustomization("b", "./b", more=repo.depends("a")),
            "b/values.yaml": repo.sealed_secret(
                sealing_key, "values", "flux-system", **{"values.yaml": "a: 1"}
            ),
        },
    )
    found = analyse(files, [sealing_key])
    assert [need.ref for need in found.seeds] == ["Secret flux-system/values"]
    assert "HelmRelease flux-system/sealed-secrets takes values from it" in found.seeds[0].reason


def test_another_source_is_not_looked_at(repo) -> None:
    other = repo.kustomization("suc", "./deploy").replace(
        "    name: flux-system\n", "    name: system-upgrade-controller\n"
    )
    source = (
        "apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\n"
        "metadata: {name: system-upgrade-controller, namespace: flux-system}\n"
        "spec: {interval: 1h, url: https://git.example.org/rancher/controller}\n"
    )
    files = {"clusters/kyrion/suc.yaml": other, "clusters/kyrion/source.yaml": source}
    found = analyse(files)
    assert not found.problems
    assert [one.name for one in found.assumptions] == ["suc"]
    assert "is another source" in found.assumptions[0].by[0]
    del files["clusters/kyrion/source.yaml"]
    (problem,) = analyse(files).problems
    assert "system-upgrade-controller, which is not in the repository" in problem.message


def test_a_remote_base_is_named(repo) -> None:
    files = {
        "clusters/kyrion/kustomization.yaml": repo.resources(
            "https://github.com/rancher/system-upgrade-controller?ref=v0.20.1", "ns.yaml"
        ),
        "clusters/kyrion/ns.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n",
    }
    found = analyse(files)
    assert not found.problems
    (assumed,) = found.assumptions
    assert "system-upgrade-controller?ref=v0.20.1" in assumed.by[0]


def test_the_roots_own_object_counts(repo, sealing_key) -> None:
    files = repo.deadlocked(sealing_key)
    files["clusters/kyrion/flux-system/gotk-sync.yaml"] = repo.kustomization(
        "flux-system", "./clusters/kyrion", more="  postBuild:\n    substitute:\n      X: y\n"
    )
    files["clusters/kyrion/flux-system/kustomization.yaml"] = repo.resources("gotk-sync.yaml")
    files["clusters/kyrion/kustomization.yaml"] += "  - flux-system\n"
    found = analyse(files, [sealing_key])
    assert not found.problems
    assert found.kustomizations[0].substitute == {"X": "y"}
    assert len(found.needs) == 3


@pytest.mark.parametrize(
    "content",
    [
        "apiVersion: deviceplugin.intel.com/v1\nkind: GpuDevicePlugin\nmetadata: {name: g}\n",
        "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: g, namespace: default}\nspec:\n"
        "  template:\n    spec:\n      containers: [{name: g, image: intel/intel-gpu-plugin:1}]\n",
    ],
)
def test_gpu_plugin_is_found(repo, content: str) -> None:
    files = simple(repo, **{"a/gpu.yaml": content})
    assert brings_gpu_plugin(files)
    del files["clusters/kyrion/a.yaml"]
    files["clusters/kyrion/x.yaml"] = "apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n"
    assert not brings_gpu_plugin(files)


def test_gpu_plugin_by_chart(repo) -> None:
    files = simple(
        repo, **{"a/g.yaml": repo.helm_release("g", "flux-system", "intel-device-plugins-gpu")}
    )
    assert brings_gpu_plugin(files)
    assert not brings_gpu_plugin(simple(repo))


def test_gpu_plugin_by_a_chart_of_an_oci_repository(repo) -> None:
    content = """\
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: g, namespace: flux-system}
spec: {interval: 1h, chartRef: {kind: OCIRepository, name: plugin}}
---
apiVersion: source.toolkit.fluxcd.io/v1
kind: OCIRepository
metadata: {name: plugin, namespace: flux-system}
spec: {interval: 1h, url: "oci://registry.example/intel-device-plugins-gpu"}
"""
    assert brings_gpu_plugin(simple(repo, **{"a/g.yaml": content}))
