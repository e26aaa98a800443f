"""Which files a source stands for, and what is not looked at."""

from __future__ import annotations

import pytest

from provision.gitops.coldstart import analysis
from provision.gitops.tree import Tree
from tests.support.gitopsdocs import (
    SOURCE,
    chart,
    config_map,
    files,
    kustomization,
    many,
    obj,
    source,
)
from tests.support.verdicts import ISSUER, PATH, assumed, look, operator, problems


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


ADDRESSES = {
    "GitRepository": {"url": "https://git.example/me/home-ops"},
    "OCIRepository": {"url": "oci://registry.example/me/home-ops"},
    "Bucket": {"endpoint": "store.example", "bucketName": "home-ops"},
}


@pytest.mark.parametrize("kind", ADDRESSES)
def test_the_only_source_in_use_is_this_repository(kind: str) -> None:
    tree = files(
        clusters__home=many(
            obj(
                f"{SOURCE}:{kind}",
                "mine",
                "flux-system",
                spec={"interval": "1h", **ADDRESSES[kind]},
            ),
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


@pytest.mark.parametrize(
    ("needing", "needed"),
    [
        (
            kustomization("a", "./a", kubeConfig={"configMapRef": {"name": "there"}}),
            "ConfigMap flux-system/there",
        ),
        (
            chart("podinfo", kubeConfig={"configMapRef": {"name": "there"}}),
            "ConfigMap flux-system/there",
        ),
        (
            many(
                obj(
                    "helm.toolkit.fluxcd.io/v2:HelmRelease",
                    "r",
                    "default",
                    spec={
                        "interval": "1h",
                        "chart": {
                            "spec": {
                                "chart": "x",
                                "sourceRef": {
                                    "kind": "HelmRepository",
                                    "name": "charts",
                                    "namespace": "flux-system",
                                },
                                "verify": {"provider": "cosign", "secretRef": {"name": "keys"}},
                            }
                        },
                    },
                ),
                obj(
                    f"{SOURCE}:HelmRepository",
                    "charts",
                    "flux-system",
                    spec={"url": "oci://x.example/charts", "type": "oci"},
                ),
            ),
            "Secret flux-system/keys",
        ),
    ],
)
def test_what_a_reference_names_is_needed(needing: str, needed: str) -> None:
    tree = files(clusters__home=needing, a=config_map("c"))
    assert needed in problems(tree)


def test_a_source_in_a_namespace_of_the_repository_is_not_its_own() -> None:
    """The namespace was left out of `sourceRef`, and defaults to the Kustomization's."""
    reference = {"kind": "GitRepository", "name": "flux-system"}
    apps = obj(
        "kustomize.toolkit.fluxcd.io/v1:Kustomization",
        "apps",
        "web",
        spec={"interval": "1h", "prune": True, "path": "./apps", "sourceRef": reference},
    )
    tree = files(clusters__home=many(obj("v1:Namespace", "web"), apps), apps=config_map("a"))
    assert "GitRepository web/flux-system, which is not in the repository" in problems(tree)
