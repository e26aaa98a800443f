"""Which versions of Flux' kinds each release serves."""

from __future__ import annotations

import pytest

from provision.gitops.coldstart import simulation
from tests.support import wrongfields
from tests.support.gitopsdocs import files, kustomization
from tests.support.verdicts import look

NOTIFICATION, IMAGE = "notification.toolkit.fluxcd.io", "image.toolkit.fluxcd.io"
SOURCE, WATCHED = "source.toolkit.fluxcd.io", "source.extensions.fluxcd.io"


def refusals(text: str, version: str, release: tuple[int, int] = (2, 9)) -> list[str]:
    """Return why a cluster with Flux `release` refuses `text`, in another `version`."""
    group = text.partition('"apiVersion": "')[2].partition('"')[0]
    tree = files(
        clusters__home=kustomization("a", "./a"), a=text.replace(f'"{group}"', f'"{version}"', 1)
    )
    cluster = simulation.Cluster(components=simulation.api.ALL_COMPONENTS, release=release)
    return [str(one) for one in look(tree, cluster=cluster).problems]


ALERT, PROVIDER, RECEIVER = (
    wrongfields.alert(),
    wrongfields.provider(),
    wrongfields.receiver(),
)
IMAGES = (wrongfields.image(), wrongfields.policy(), wrongfields.automation())


@pytest.mark.parametrize(
    ("text", "version", "right"),
    [
        (ALERT, f"{NOTIFICATION}/v1", f"{NOTIFICATION}/v1beta3"),
        (ALERT, f"{NOTIFICATION}/v1beta2", f"{NOTIFICATION}/v1beta3"),
        (PROVIDER, f"{NOTIFICATION}/v1", f"{NOTIFICATION}/v1beta3"),
        (PROVIDER, f"{NOTIFICATION}/v1beta1", f"{NOTIFICATION}/v1beta3"),
        (RECEIVER, f"{NOTIFICATION}/v1beta3", f"{NOTIFICATION}/v1"),
        (RECEIVER, f"{NOTIFICATION}/v1beta2", f"{NOTIFICATION}/v1"),
        *((one, f"{IMAGE}/v1beta2", f"{IMAGE}/v1") for one in IMAGES),
        (wrongfields.generator(), f"{WATCHED}/v1", f"{WATCHED}/v1beta1"),
    ],
)
def test_a_version_that_the_pinned_release_does_not_serve(text: str, version: str, right: str):
    (told,) = refusals(text, version)
    assert f"in {version} (" in told
    assert f"write apiVersion: {right}" in told


@pytest.mark.parametrize(
    ("text", "version", "release"),
    [
        (ALERT, f"{NOTIFICATION}/v1beta3", (2, 9)),
        (ALERT, f"{NOTIFICATION}/v1beta2", (2, 8)),
        (RECEIVER, f"{NOTIFICATION}/v1", (2, 9)),
        (RECEIVER, f"{NOTIFICATION}/v1beta2", (2, 8)),
        *((one, f"{IMAGE}/v1", (2, 9)) for one in IMAGES),
        *((one, f"{IMAGE}/v1beta2", (2, 8)) for one in IMAGES),
        (wrongfields.generator(), f"{WATCHED}/v1beta1", (2, 9)),
        (wrongfields.source("OCIRepository", url="oci://x.example/y"), f"{SOURCE}/v1beta2", (2, 7)),
    ],
)
def test_a_version_that_the_release_serves(text: str, version: str, release: tuple[int, int]):
    assert refusals(text, version, release) == []


CHART = {"chart": "x", "sourceRef": {"kind": "HelmRepository", "name": "x"}}


@pytest.mark.parametrize(
    ("kind", "release", "spec"),
    [
        ("OCIRepository", (2, 5), {"url": "oci://x.example/y"}),
        ("Bucket", (2, 3), {"endpoint": "x.example", "bucketName": "x"}),
        ("HelmChart", (2, 2), CHART),
    ],
)
def test_a_version_that_the_release_does_not_serve_yet(
    kind: str, release: tuple[int, int], spec: dict[str, object]
) -> None:
    (told,) = refusals(wrongfields.source(kind, **spec), f"{SOURCE}/v1", release)
    assert f"the API has no {kind} in {SOURCE}/v1" in told


def test_an_external_artifact_never_had_a_beta() -> None:
    told = refusals(wrongfields.source("ExternalArtifact"), f"{SOURCE}/v1beta2", (2, 7))
    assert any("ExternalArtifact" in one for one in told)
