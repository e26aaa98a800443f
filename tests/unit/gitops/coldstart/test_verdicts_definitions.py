"""Which kinds and versions are there when objects of them are applied."""

from __future__ import annotations

import pytest

from provision.gitops.coldstart import simulation
from tests.support.gitopsdocs import (
    SOURCE,
    chart,
    config_map,
    custom,
    files,
    kustomization,
    many,
    obj,
    source,
)
from tests.support.verdicts import ISSUER, PATH, assumed, look, problems

DASHBOARD = custom("grafana.integreatly.org/v1beta1:GrafanaDashboard", "d", "flux-system")
PLAN = custom("upgrade.cattle.io/v1:Plan", "p", "default")
GENERATOR = obj(
    "source.extensions.fluxcd.io/v1beta1:ArtifactGenerator",
    "parts",
    "flux-system",
    spec={
        "sources": [{"alias": "repo", "kind": "GitRepository", "name": "flux-system"}],
        "artifacts": [{"name": "apps", "copy": [{"from": "@repo/apps/**", "to": "@artifact/"}]}],
    },
)
WATCHER = simulation.Cluster(components=(*simulation.api.COMPONENTS, "source-watcher"))


def test_a_chart_brings_its_definitions_before_they_are_used() -> None:
    tree = files(
        clusters__home=many(
            kustomization("dns", "./dns", wait=True), kustomization("use", "./use", "dns")
        ),
        dns=chart("external-dns"),
        use=custom("externaldns.k8s.io/v1alpha1:DNSEndpoint", "nas", "default"),
    )
    assert look(tree).verdict == "comes up"


@pytest.mark.parametrize(
    ("values", "verdict"),
    [({}, "cannot come up"), ({"crds": {"enabled": True}}, "comes up"),
     ({"installCRDs": True}, "comes up"), ({"crds": {"enabled": False}}, "cannot come up")],
)  # fmt: skip
def test_a_chart_brings_definitions_only_when_its_values_say_so(values, verdict: str) -> None:
    tree = files(
        clusters__home=many(
            kustomization("cm", "./cm", wait=True), kustomization("use", "./use", "cm")
        ),
        cm=chart("cert-manager", values=values),
        use=ISSUER,
    )
    assert look(tree).verdict == verdict


def test_a_release_that_skips_definitions_brings_none() -> None:
    tree = files(
        clusters__home=many(
            kustomization("dns", "./dns", wait=True), kustomization("use", "./use", "dns")
        ),
        dns=chart("external-dns", install={"crds": "Skip"}),
        use=custom("externaldns.k8s.io/v1alpha1:DNSEndpoint", "nas", "default"),
    )
    assert "DNSEndpoint" in problems(tree)


def test_a_chart_that_defines_other_things_does_not_count() -> None:
    tree = files(
        clusters__home=many(
            kustomization("vm", "./vm", wait=True), kustomization("mon", "./mon", "vm")
        ),
        vm=chart("victoria-metrics-k8s-stack"),
        mon=custom("monitoring.coreos.com/v1:ServiceMonitor", "web", "default"),
    )
    assert "ServiceMonitor" in problems(tree)


def test_a_chart_of_any_kind_hides_no_deadlock() -> None:
    tree = files(
        clusters__home=many(
            kustomization("other", "./other", wait=True),
            kustomization("grafana", "./grafana", "other"),
        ),
        other=chart("somebody-elses"),
        grafana=many(chart("grafana-operator"), DASHBOARD),
    )
    assert "GrafanaDashboard" in problems(tree)


def test_an_umbrella_chart_may_bring_a_definition() -> None:
    tree = files(
        clusters__home=many(
            kustomization("platform", "./platform", wait=True),
            kustomization("issuers", "./issuers", "platform"),
        ),
        platform=chart("platform-umbrella"),
        issuers=ISSUER,
    )
    by = assumed(tree)["CustomResourceDefinition ClusterIssuer.cert-manager.io"]
    assert "platform-umbrella" in by


def test_a_base_from_elsewhere_may_bring_what_is_beside_it() -> None:
    base = "https://github.com/example/storage?ref=v1"
    tree = files(clusters__home=kustomization("cosi", "./app"), app=PLAN)
    tree["app/kustomization.yaml"] = f"resources: [{base}, all.yaml]\n"
    assert base in assumed(tree)["CustomResourceDefinition Plan.upgrade.cattle.io"]


def test_a_base_from_elsewhere_may_bring_what_comes_later() -> None:
    tree = files(
        clusters__home=many(
            kustomization("op", "./op", wait=True), kustomization("use", "./use", "op")
        ),
        use=PLAN,
    )
    tree["op/kustomization.yaml"] = "resources: [https://example.org/crd.yaml]\n"
    assert "crd.yaml" in assumed(tree)["CustomResourceDefinition Plan.upgrade.cattle.io"]


def test_another_source_may_bring_a_definition_that_charts_define() -> None:
    tree = files(
        clusters__home=many(
            source("kyverno", "oci://example.org/manifests", "OCIRepository"),
            kustomization("kyverno", "./", source="kyverno", kind="OCIRepository", wait=True),
            kustomization("policies", "./policies", "kyverno"),
        ),
        policies=custom("kyverno.io/v1:ClusterPolicy", "p"),
    )
    assert "CustomResourceDefinition ClusterPolicy.kyverno.io" in assumed(tree)


def test_another_source_that_comes_later_brings_nothing() -> None:
    tree = files(
        clusters__home=many(
            source("kyverno", "oci://example.org/manifests", "OCIRepository"),
            kustomization("kyverno", "./", "policies", source="kyverno", kind="OCIRepository"),
            kustomization("policies", "./policies", wait=True),
        ),
        policies=custom("kyverno.io/v1:ClusterPolicy", "p"),
    )
    assert "ClusterPolicy" in problems(tree)


def test_a_patch_for_a_base_from_elsewhere_is_no_error() -> None:
    patch = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: b}\ndata: {c: d}\n"
    tree = files(**{PATH.replace("/", "__"): config_map("own")})
    tree[f"{PATH}/kustomization.yaml"] = (
        "resources: [https://example.org/release.yaml, all.yaml]\npatches:\n  - patch: |\n"
        + "".join(f"      {line}\n" for line in patch.splitlines())
    )
    assert look(tree).verdict == "may come up"
    assert not look(tree).problems


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (f"{SOURCE}beta1:HelmRepository", "write apiVersion: source.toolkit.fluxcd.io/v1"),
        ("helm.toolkit.fluxcd.io/v2beta1:HelmRelease", "helm.toolkit.fluxcd.io/v2)"),
        ("policy/v1beta1:PodDisruptionBudget", "write apiVersion: policy/v1"),
        ("apps/v1:Deploymnet", "the API has no kind Deploymnet"),
        ("v1:Sercet", "the API has no kind Sercet"),
        ("extensions/v1beta1:Ingress", "Ingress.extensions"),
    ],
)
def test_what_the_api_does_not_serve(kind: str, said: str) -> None:
    tree = files(clusters__home=obj(kind, "x", "default", spec={}))
    assert said in problems(tree)


def test_a_version_that_a_definition_does_not_serve() -> None:
    definition = obj(
        "apiextensions.k8s.io/v1:CustomResourceDefinition",
        "widgets.w.example",
        spec={
            "group": "w.example",
            "names": {"kind": "Widget"},
            "versions": [{"name": "v1", "served": True}, {"name": "v1alpha1", "served": False}],
        },
    )
    tree = files(clusters__home=many(definition, custom("w.example/v1alpha1:Widget", "w")))
    assert "write apiVersion: w.example/v1)" in problems(tree)
    tree = files(clusters__home=many(definition, custom("w.example/v1:Widget", "w")))
    assert look(tree).verdict == "comes up"


def test_an_older_flux_serves_older_versions() -> None:
    tree = files(clusters__home=obj(f"{SOURCE}beta2:OCIRepository", "x", "default", spec={}))
    older = simulation.Cluster(release=(2, 7))
    assert look(tree, older).verdict == "comes up"
    assert "v1beta2" in problems(tree)


def test_a_component_of_flux_that_is_not_installed_is_named() -> None:
    tree = files(
        clusters__home=many(
            GENERATOR, kustomization("apps", "./", source="apps", kind="ExternalArtifact")
        ),
        apps=config_map("a"),
    )
    assert "component source-watcher" in problems(tree)
    assert look(tree, WATCHER).verdict == "comes up"
    tree["apps/all.yaml"] = config_map("a", "nowhere")
    assert [need.ref for need in look(tree, WATCHER).needs] == ["Namespace nowhere"]


def following(before: str, used: str) -> dict[str, str]:
    """A repository in which `used` is applied when `before` is ready."""
    return files(
        clusters__home=many(
            kustomization("first", "./first", wait=True), kustomization("use", "./use", "first")
        ),
        first=before,
        use=used,
    )


@pytest.mark.parametrize(
    ("kind", "by"),
    [
        ("cert-manager.io/v1:ClusterIsuer", "cert-manager"),
        ("cert-manager.io/v1alpha2:ClusterIssuer", "cert-manager"),
        ("gateway.networking.k8s.io/v1:HttpRoute", "Traefik that k3s brings"),
    ],
)
def test_a_kind_that_its_chart_is_not_known_to_define(kind: str, by: str) -> None:
    values = {"crds": {"enabled": True}}
    tree = following(chart("cert-manager", values=values), custom(kind, "a", "default"))
    (found,) = look(tree).assumptions
    group, _, _ = kind.partition(":")[0].partition("/")
    assert found.ref == f"CustomResourceDefinition {kind.partition(':')[2]}.{group}"
    assert by in " ".join(found.by)
    assert f"nothing before it installs what is known to define it in {group}/" in found.reason


def test_a_folder_of_definitions_that_the_release_skips() -> None:
    monitor = custom("monitoring.coreos.com/v1:PodMonitor", "p", "default")
    stack = chart("kube-prometheus-stack", install={"crds": "Skip"})
    assert "PodMonitor" in problems(following(stack, monitor))
    plain = chart("prometheus-operator-crds", install={"crds": "Skip"})
    assert look(following(plain, monitor)).verdict == "comes up"


@pytest.mark.parametrize(
    ("folder", "verdict"),
    [("clusters/other", "cannot come up"), ("base", "comes up"), (PATH, "comes up")],
)
def test_the_feature_gate_of_another_cluster_does_not_count(folder: str, verdict: str) -> None:
    values = {"substitute": {"A": "a"}}
    gate = "# --feature-gates=StrictPostBuildSubstitutions=false\n"
    tree = files(
        clusters__home=kustomization("apps", "./apps", postBuild=values),
        apps=config_map("c", a="${UNSET}-x"),
    )
    tree[f"{folder}/flux-system/kustomization.yaml"] = f"{gate}resources: []\n"
    assert look(tree).verdict == verdict
