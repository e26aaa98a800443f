"""Who makes a Secret that Flux needs, and what SOPS encrypted."""

from __future__ import annotations

import json

import pytest

from provision.gitops.coldstart import simulation
from tests.support.gitopsdocs import (
    chart,
    config_map,
    files,
    kustomization,
    many,
    obj,
)
from tests.support.verdicts import PATH, assumed, look, operator, problems

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


GENERATED = (
    "secretGenerator:\n- name: vars\n  namespace: flux-system\n  {how}\n"
    "generatorOptions: {{disableNameSuffixHash: true}}\n"
)
FILES = {
    "envs: [it]": f"NS={ENC}\nsops_version=3.9.0\nsops_mac={ENC}\n",
    "files: [NS=it]": json.dumps({"data": ENC, "sops": {"mac": ENC, "version": "3.9.0"}}),
    "files: [NS=./it]": f"a: {ENC}\nsops:\n  mac: {ENC}\n",
}


@pytest.mark.parametrize(("how", "text"), FILES.items())
def test_an_encrypted_file_in_a_generated_secret_is_neither_seed_nor_value(
    how: str, text: str
) -> None:
    decryption = {"provider": "sops"}
    generated = {"s/kustomization.yaml": GENERATED.format(how=how), "s/it": text}
    same = kustomization("s", "./s", decryption=decryption, postBuild=SEALED_VALUES)
    found = look(files(clusters__home=same) | generated)
    assert found.seeds == ()
    assert "SOPS encrypted its content" in problems(files(clusters__home=same) | generated)
    later = many(
        kustomization("s", "./s", decryption=decryption, wait=True),
        kustomization("apps", "./apps", "s", postBuild=SEALED_VALUES),
    )
    found = look(files(clusters__home=later, apps=config_map("a", "${NS}")) | generated)
    assert (found.verdict, found.needs) == ("comes up", ())


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


def own_source(secret: str) -> str:
    return obj(
        "source.toolkit.fluxcd.io/v1:GitRepository",
        "flux-system",
        "flux-system",
        spec={
            "interval": "1h",
            "url": "ssh://git@github.com/me/home",
            "secretRef": {"name": secret},
        },
    )


def uses(secret: str) -> str:
    """A GitRepository of a private repository that is read with Flux' own key."""
    other = obj(
        "source.toolkit.fluxcd.io/v1:GitRepository",
        "other",
        "flux-system",
        spec={
            "interval": "1h",
            "url": "ssh://git@github.com/me/other",
            "secretRef": {"name": secret},
        },
    )
    apps = obj(
        "kustomize.toolkit.fluxcd.io/v1:Kustomization",
        "apps",
        "flux-system",
        spec={
            "interval": "1h",
            "prune": True,
            "path": "./",
            "sourceRef": {"kind": "GitRepository", "name": "other"},
        },
    )
    return many(other, apps)


def test_flux_own_secret_has_the_configured_name() -> None:
    cluster = simulation.Cluster(secret="deploy-key")
    tree = {f"{PATH}/a.yaml": uses("deploy-key")}
    assert look(tree, cluster).missing == ()
    wrong = {f"{PATH}/a.yaml": uses("flux-system")}
    assert [need.name for need in look(wrong, cluster).missing] == ["flux-system"]


def test_flux_own_secret_has_the_name_that_its_source_gives() -> None:
    tree = {
        f"{PATH}/a.yaml": uses("deploy-key"),
        f"{PATH}/gotk-sync.yaml": own_source("deploy-key"),
    }
    assert look(tree).missing == ()
    assert [need.name for need in look({f"{PATH}/a.yaml": uses("deploy-key")}).missing] == [
        "deploy-key"
    ]
