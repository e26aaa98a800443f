"""What Flux' own objects need before a Kustomization that waits for them is ready."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import wrongfields
from tests.support.gitopsdocs import SOURCE, custom, files, kustomization, many, obj
from tests.support.verdicts import look, problems

PRIVATE = wrongfields.image(secretRef={"name": "ghcr"})
TOKEN = obj("v1:Secret", "ghcr", "default", stringData={"x": "y"})


def waiting(text: str, **spec: Any) -> dict[str, str]:
    """Return a repository whose Kustomization waits for what it applies."""
    return files(clusters__home=kustomization("a", "./a", **{"wait": True, **spec}), a=text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (PRIVATE, "Secret default/ghcr"),
        (wrongfields.receiver(), "Secret default/hook"),
        (wrongfields.policy(), "ImageRepository default/app"),
        (wrongfields.automation(), "GitRepository default/flux-system"),
        (
            wrongfields.source(
                "OCIRepository", url="oci://x.example/y", certSecretRef={"name": "ca"}
            ),
            "Secret default/ca",
        ),
        (
            wrongfields.source("Bucket", bucketName="b", endpoint="x", secretRef={"name": "s3"}),
            "Secret default/s3",
        ),
    ],
)
def test_what_is_never_ready_is_named(text: str, said: str) -> None:
    told = problems(waiting(text))
    assert said in told
    assert "waits until" in told
    assert look(waiting(text, wait=False)).verdict == "comes up"


def test_a_health_check_counts_as_well() -> None:
    check = {
        "apiVersion": "image.toolkit.fluxcd.io/v1",
        "kind": "ImageRepository",
        "name": "a",
        "namespace": "default",
    }
    tree = waiting(PRIVATE, wait=False, healthChecks=[check])
    assert "Secret default/ghcr" in problems(tree)


@pytest.mark.parametrize(
    "text",
    [
        many(PRIVATE, TOKEN),
        many(wrongfields.image().replace('"name": "a"', '"name": "app"'), wrongfields.policy()),
        wrongfields.image(secretRef={"name": "ghcr"}, suspend=True),
        wrongfields.alert(),
        wrongfields.provider(secretRef={"name": "chat"}),
        obj(
            f"{SOURCE}:HelmRepository",
            "a",
            "default",
            spec={"url": "oci://x.example/y", "type": "oci", "secretRef": {"name": "ghcr"}},
        ),
    ],
)
def test_what_has_all_that_it_needs_or_has_no_status(text: str) -> None:
    assert look(waiting(text)).verdict == "comes up"


def test_an_operator_may_make_the_secret() -> None:
    store = {"kind": "ClusterSecretStore", "name": "vault"}
    made = custom(
        "external-secrets.io/v1:ExternalSecret",
        "ghcr",
        "default",
        secretStoreRef=store,
        target={"name": "ghcr"},
    )
    definition = obj(
        "apiextensions.k8s.io/v1:CustomResourceDefinition",
        "externalsecrets.external-secrets.io",
        spec={
            "group": "external-secrets.io",
            "names": {"kind": "ExternalSecret", "plural": "externalsecrets"},
            "versions": [{"name": "v1", "served": True}],
        },
    )
    assert look(waiting(many(definition, made, PRIVATE))).verdict == "may come up"


def test_a_secret_that_waits_for_what_needs_it_is_a_seed() -> None:
    tree = files(
        clusters__home=many(
            kustomization("a", "./a", wait=True), kustomization("later", "./later", "a")
        ),
        a=PRIVATE,
        later=TOKEN,
    )
    found = look(tree)
    assert found.verdict == "needs a seed"
    assert [need.ref for need in found.seeds] == ["Secret default/ghcr"]
