"""Fleets: the platform's manifests are an OCI artifact of another team."""

from __future__ import annotations

from tests.shapes import Shape, crd
from tests.support.gitopsdocs import custom, files, kustomization, many, source

SHAPE = Shape(
    about="fleets: the platform's manifests are an OCI artifact of another team",
    expect="may come up",
    reason="what the artifact holds is not seen; the apps are custom resources of its kinds",
    names=(
        "Kustomization flux-system/platform",
        "CustomResourceDefinition Widget.platform.example.org",
    ),
    files=files(
        clusters__home=many(
            source("platform", "oci://registry.example.org/platform", "OCIRepository"),
            kustomization("platform", "./", source="platform", kind="OCIRepository", wait=True),
            kustomization("apps", "./apps", "platform"),
        ),
        apps=custom("platform.example.org/v1:Widget", "w", "default"),
    ),
    sources={"OCIRepository/platform": files(all=crd("platform.example.org/v1:Widget"))},
)
