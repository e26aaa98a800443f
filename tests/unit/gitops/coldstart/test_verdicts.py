"""What an empty cluster comes to with small repositories, after those of bug reports."""

from __future__ import annotations

import pytest

from provision.gitops.build import discovery
from provision.gitops.coldstart import analysis, simulation
from provision.gitops.coldstart.needs import Analysis
from provision.gitops.tree import Tree
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

PATH = "clusters/home"
ISSUER = custom("cert-manager.io/v1:ClusterIssuer", "letsencrypt")
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


def look(tree: dict[str, str], cluster: simulation.Cluster | None = None, **given) -> Analysis:
    found = discovery.discover(Tree.of(tree), PATH, **given)
    return analysis.analyse_found(found, None, cluster=cluster)


def problems(tree: dict[str, str], **given) -> str:
    found = look(tree, **given)
    assert found.verdict == "cannot come up"
    return "\n".join(map(str, [*found.problems, *(need.problem() for need in found.missing)]))


def assumed(tree: dict[str, str], **given) -> dict[str, str]:
    """Return what was taken to be there, by its reference, with what may bring it."""
    found = look(tree, **given)
    assert found.verdict == "may come up", problems(tree, **given)
    return {one.ref: " ".join(one.by) for one in found.assumptions}


# -- definitions ------------------------------------------------------------------


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


# -- kinds and versions ---------------------------------------------------------------


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


# -- Secrets --------------------------------------------------------------------------

SEALED_VALUES = {"substituteFrom": [{"kind": "Secret", "name": "vars"}]}


def needing(creator: str, **more: str) -> dict[str, str]:
    """A repository in which `apps` takes values from a Secret ``vars`` after `creator` is there."""
    return files(
        clusters__home=many(
            kustomization("first", "./first", wait=True),
            kustomization("apps", "./apps", "first", postBuild=SEALED_VALUES),
        ),
        first=creator,
        apps=config_map("a"),
        **more,
    )


def operator(kind: str, name: str, **spec) -> str:
    """A custom resource with its own definition beside it."""
    group, _, rest = kind.partition("/")
    version, _, bare = rest.partition(":")
    definition = obj(
        "apiextensions.k8s.io/v1:CustomResourceDefinition",
        f"x.{group}",
        spec={"group": group, "names": {"kind": bare}, "versions": [{"name": version}]},
    )
    return many(definition, custom(kind, name, "flux-system", **spec))


@pytest.mark.parametrize(
    "creator",
    [
        operator("external-secrets.io/v1:ExternalSecret", "vars"),
        operator("external-secrets.io/v1:ExternalSecret", "x", target={"name": "vars"}),
        operator("cert-manager.io/v1:Certificate", "x", secretName="vars"),
        operator("onepassword.com/v1:OnePasswordItem", "vars"),
        operator("who.example/v1:Knows", "x", output={"secret": "vars"}),
        operator("who.example/v1:Knows", "vars"),
        operator(
            "fluxcd.controlplane.io/v1:ResourceSet",
            "x",
            resources=[
                {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "vars"}},
            ],
        ),
        obj(
            "v1:Secret",
            "vars",
            "default",
            metadata={
                "annotations": {"reflector.v1.k8s.emberstack.com/reflection-auto-enabled": "true"}
            },
        ),
    ],
)
def test_what_may_create_a_secret(creator: str) -> None:
    assert "vars" in assumed(needing(creator))["Secret flux-system/vars"] + " vars"


@pytest.mark.parametrize(
    "creator",
    [
        operator("external-secrets.io/v1:ExternalSecret", "other"),
        operator("external-secrets.io/v1:ExternalSecret", "vars", target={"name": "other"}),
        operator("cert-manager.io/v1:Certificate", "vars", secretName="other"),
        operator("who.example/v1:Knows", "other"),
        obj("v1:Secret", "vars", "default"),
        chart("podinfo"),
        chart("somebody-elses"),
    ],
)
def test_what_creates_another_one_does_not_count(creator: str) -> None:
    assert "nothing in the repository makes it" in problems(needing(creator))


def test_a_chart_may_create_a_secret_that_its_values_name() -> None:
    by = assumed(needing(chart("who-knows", values={"auth": {"secretName": "vars"}})))
    assert "who-knows" in by["Secret flux-system/vars"]


def test_values_of_a_release_that_nothing_makes() -> None:
    release = chart("podinfo", valuesFrom=[{"kind": "Secret", "name": "gone"}])
    assert "Secret flux-system/gone" in problems(files(clusters__home=release))


# -- SOPS -------------------------------------------------------------------------------

ENC = "ENC[AES256_GCM,data:aGk=,iv:eA==,tag:eA==,type:str]"
SOPS = {"sops": {"mac": ENC, "age": [{"recipient": "age1x", "enc": "…"}]}}


def test_encrypted_values_are_never_content() -> None:
    secret = obj("v1:Secret", "vars", "flux-system", stringData={"NS": ENC}, **SOPS)
    tree = files(
        clusters__home=many(
            kustomization("vars", "./vars", decryption={"provider": "sops"}),
            kustomization(
                "apps",
                "./apps",
                "vars",
                postBuild={"substituteFrom": [{"kind": "Secret", "name": "vars"}]},
            ),
        ),
        vars=secret,
        apps=config_map("a", "${NS}"),
    )
    found = look(tree)
    assert not found.needs
    assert not found.problems


def test_an_encrypted_secret_is_no_seed() -> None:
    secret = obj("v1:Secret", "vars", "flux-system", stringData={"A": ENC}, **SOPS)
    tree = files(
        clusters__home=kustomization(
            "apps", "./apps", decryption={"provider": "sops"}, postBuild=SEALED_VALUES
        ),
        apps=secret,
    )
    assert "SOPS encrypted its content" in problems(tree)
    assert look(tree).seeds == ()


def test_an_encrypted_document_is_of_no_kind() -> None:
    whole = obj(f"{ENC}:{ENC}", ENC, ENC, **SOPS)
    decryption = {"provider": "sops"}
    tree = files(clusters__home=kustomization("s", "./s", decryption=decryption), s=whole)
    assert look(tree).needs == ()
    assert not look(tree).problems


def test_the_secret_that_flux_decrypts_with_is_a_need() -> None:
    decryption = {"provider": "sops", "secretRef": {"name": "sops-age"}}
    tree = files(clusters__home=kustomization("s", "./s", decryption=decryption), s=config_map("a"))
    assert "Secret flux-system/sops-age: Kustomization s decrypts with it" in problems(tree)


def test_what_sops_encrypted_needs_a_decryption() -> None:
    secret = obj("v1:Secret", "a", "default", stringData={"A": ENC}, **SOPS)
    assert "no spec.decryption" in problems(files(clusters__home=secret))


# -- sources ----------------------------------------------------------------------------


def test_a_source_that_nothing_makes() -> None:
    gone = kustomization("a", "./a", source="gone")
    tree = files(clusters__home=many(gone, kustomization("b", "./a")), a=config_map("a"))
    assert "GitRepository flux-system/gone, which is not in the repository" in problems(tree)
    tree = files(clusters__home=gone, a=config_map("a"))
    by = assumed(tree)["GitRepository flux-system/gone"]
    assert by == "what connects the cluster to the repository"


def test_a_dependency_may_come_from_another_source() -> None:
    tree = files(
        clusters__home=many(
            source("platform", "https://git.example.org/team/platform"),
            kustomization("platform", "./clusters/home", source="platform"),
            kustomization("apps", "./apps", "infra"),
        ),
        apps=config_map("a"),
    )
    assert "platform" in assumed(tree)["Kustomization flux-system/infra"]


def test_the_files_of_another_source_can_be_given() -> None:
    tree = files(
        clusters__home=many(
            source("platform", "https://git.example.org/team/platform"),
            kustomization("platform", "./deploy", source="platform"),
            kustomization("apps", "./apps", "infra"),
        ),
        apps=config_map("a"),
    )
    other = Tree.of(files(deploy=kustomization("infra", "./apps")))
    assert look(tree, given={"platform": other}).verdict == "comes up"


@pytest.mark.parametrize("kind", ["GitRepository", "OCIRepository", "Bucket"])
def test_the_only_source_in_use_is_this_repository(kind: str) -> None:
    tree = files(
        clusters__home=many(
            source("mine", "https://git.example/me/home-ops", kind),
            kustomization("cluster", "./clusters/home", source="mine", kind=kind),
            kustomization("apps", "./apps", source="mine", kind=kind),
        ),
        apps=ISSUER,
    )
    assert "ClusterIssuer" in problems(tree)


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/me/homelab",
        "ssh://git@github.com/me/homelab.git",
        "ssh://git@github.com:22/me/homelab",
        "git@github.com:me/homelab.git",
        "https://GitHub.com/Me/homelab/",
    ],
)
def test_a_second_source_with_the_same_address_is_this_repository(url: str) -> None:
    tree = files(
        clusters__home=many(
            source("second", url, ref={"branch": "main"}),
            kustomization("apps", "./apps", source="second"),
            kustomization("own", "./own"),
        ),
        apps=config_map("a", "nowhere"),
        own=config_map("b"),
    )
    address = ("ssh://git@github.com/me/homelab.git",)
    assert [n.ref for n in look(tree, addresses=address).needs] == ["Namespace nowhere"]
    other = ("ssh://git@github.com/me/another.git",)
    assert look(tree, addresses=other).verdict == "may come up"


def test_another_branch_of_this_repository_is_another_source() -> None:
    url = "https://github.com/me/homelab"
    tree = files(
        clusters__home=many(
            source("flux-system", url, ref={"branch": "main"}),
            source("next", url, ref={"branch": "next"}),
            kustomization("apps", "./apps", source="next"),
        ),
        apps=config_map("a", "nowhere"),
    )
    assert look(tree).verdict == "may come up"


def test_an_instance_of_flux_operator_names_the_source() -> None:
    instance = obj(
        "fluxcd.controlplane.io/v1:FluxInstance",
        "flux",
        "flux-system",
        spec={"sync": {"kind": "GitRepository", "name": "mine", "path": PATH}},
    )
    definition = operator("fluxcd.controlplane.io/v1:FluxInstance", "unused").split("---\n")[0]
    tree = files(
        clusters__home=many(
            definition,
            instance,
            source("other", "https://git.example.org/x"),
            kustomization("apps", "./apps", source="mine"),
        ),
        apps=config_map("a", "nowhere"),
    )
    assert [need.ref for need in look(tree).needs] == ["Namespace nowhere"]


def test_what_the_source_ignores_is_not_there() -> None:
    sync = source("flux-system", "https://x/y", ignore="/*\n!/clusters\n/clusters/**/examples\n")
    tree = files(clusters__home__flux_system=sync, clusters__home__apps=config_map("a"))
    tree["clusters/home/examples/values.yaml"] = "replicas: 3\n"
    assert look(tree).verdict == "comes up"


def test_a_submodule_is_not_looked_into() -> None:
    sync = source("flux-system", "https://x/y", recurseSubmodules=True)
    tree = Tree.of(
        files(clusters__home=many(sync, kustomization("apps", "./apps"))),
        left_out={"apps": "a Git submodule"},
    )
    found = analysis.analyse(tree, PATH)
    assert found.verdict == "may come up"
    assert "apps is a Git submodule" in found.assumptions[0].by[0]
    without = Tree.of(
        files(clusters__home=kustomization("apps", "./apps")),
        left_out={"apps": "a Git submodule"},
    )
    assert "does not set recurseSubmodules" in str(analysis.analyse(without, PATH).problems[0])


# -- releases that never become ready -------------------------------------------------------


def test_releases_that_wait_for_ever() -> None:
    tree = files(
        clusters__home=many(
            chart("a", dependsOn=[{"name": "b"}]),
            chart("b", dependsOn=[{"name": "a"}]),
            chart("c", dependsOn=[{"name": "missing"}]),
            obj(
                "helm.toolkit.fluxcd.io/v2:HelmRelease",
                "d",
                "flux-system",
                spec={"chartRef": {"kind": "OCIRepository", "name": "gone"}},
            ),
        )
    )
    said = problems(tree)
    assert "HelmRelease flux-system/a waits for HelmRelease flux-system/b waits for" in said
    assert "depends on HelmRelease flux-system/missing" in said
    assert "OCIRepository flux-system/gone" in said


def test_a_child_that_waits_for_a_parent_that_waits_for_it() -> None:
    tree = files(
        clusters__home=kustomization("parent", "./parent", wait=True),
        parent=kustomization("child", "./child", "parent"),
        child=config_map("a"),
    )
    assert "Kustomization flux-system/parent waits for" in problems(tree)


def test_what_is_suspended_keeps_others_waiting() -> None:
    tree = files(
        clusters__home=many(
            kustomization("off", "./a", suspend=True), kustomization("on", "./a", "off")
        ),
        a=config_map("a"),
    )
    assert "whoever resumes it" in assumed(tree)["Kustomization flux-system/off"]
    tree = files(clusters__home=kustomization("off", "./a", suspend=True), a=config_map("a"))
    assert look(tree).verdict == "comes up"


# -- values -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "said"),
    [(True, "ENABLED: a boolean where a text is expected"), (3, "a number"), (None, "nothing")],
)
def test_substitutions_are_texts(value, said: str) -> None:
    build = {"substitute": {"ENABLED": value}}
    tree = files(
        clusters__home=kustomization("a", "./a", postBuild=build),
        a=config_map("a", x="x-${ENABLED}"),
    )
    assert said in problems(tree)


def test_a_value_that_becomes_a_boolean_is_no_text() -> None:
    build = {"substitute": {"NEED": "yes"}}
    tree = files(
        clusters__home=kustomization("a", "./a", postBuild=build), a=config_map("a", need="${NEED}")
    )
    assert "ConfigMap default/a data.need: a boolean" in problems(tree)


def test_a_variable_that_is_not_set() -> None:
    build = {"substitute": {"DOMAIN": "example.org"}}
    tree = files(
        clusters__home=kustomization("a", "./a", postBuild=build),
        a=config_map("a", x="${TOKEN} ${DOMAIN}", y="${OTHER:-x}"),
    )
    assert "the variable TOKEN is not set and has no default" in problems(tree)
    assert look(tree, flux_version="v2.8.1").verdict == "comes up"
    tree["clusters/home/patch.yaml"] = config_map(
        "note", args="--feature-gates=StrictPostBuildSubstitutions=false"
    )
    assert look(tree).verdict == "comes up"


def test_a_child_is_read_again_when_its_parent_learns_values() -> None:
    root = kustomization("flux-system", "./clusters/home", postBuild={"substitute": {"E": "prod"}})
    tree = files(
        clusters__home=many(root, kustomization("apps", "./apps/${E}")),
        apps__prod=config_map("a"),
    )
    found = look(tree)
    assert found.verdict == "comes up"
    assert [one.path for one in found.kustomizations] == ["clusters/home", "apps/prod"]


def test_a_child_is_read_again_when_a_later_round_finds_values() -> None:
    tree = files(
        clusters__home=many(
            kustomization(
                "mid",
                "./mid",
                "sets",
                postBuild={"substituteFrom": [{"kind": "ConfigMap", "name": "vars"}]},
            ),
            kustomization("sets", "./sets", wait=True),
        ),
        sets=kustomization("vars", "./vars", wait=True),
        vars=config_map("vars", "flux-system", E="prod"),
        mid=kustomization("apps", "./apps/${E}"),
        apps__prod=config_map("a"),
    )
    assert look(tree).verdict == "comes up"


# -- places -----------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_findings_point_to_the_right_line(ending: str) -> None:
    documents = [
        "apiVersion: kustomize.toolkit.fluxcd.io/v1",
        "kind: Kustomization",
        "metadata:",
        "  name: &app {name}",
        "  namespace: flux-system",
        "spec:",
        "  path: {path}",
        "  sourceRef: {{kind: GitRepository, name: flux-system}}",
        "---",
    ]
    text = "".join(
        f"{line}{ending}"
        for name, path in (("first", "./a"), ("second", "./missing"))
        for line in (one.format(name=name, path=path) for one in documents)
    )
    tree = files(a=config_map("a"))
    tree["clusters/home/ks.yaml"] = text
    assert "clusters/home/ks.yaml:10: second: spec.path 'missing'" in problems(tree)


def test_a_path_that_is_a_file() -> None:
    tree = files(clusters__home=kustomization("a", "./a/all.yaml"), a=config_map("a"))
    assert "it is a file; Flux wants the folder" in problems(tree)


def test_a_file_that_is_no_text_is_built(tmp_path) -> None:
    folder = tmp_path / PATH
    folder.mkdir(parents=True)
    (folder / "favicon.ico").write_bytes(bytes(range(256)))
    (folder / "kustomization.yaml").write_text(
        "configMapGenerator: [{name: a, namespace: default, files: [favicon.ico]}]\n"
    )
    found = discovery.discover(Tree.from_directory(tmp_path), PATH)
    assert not found.problems
    (doc,) = found.units[0].objects
    assert doc.obj["binaryData"]["favicon.ico"].startswith("AAECAwQF")
