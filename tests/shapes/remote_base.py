"""Definitions by URL: a base of another repository at a tag."""

from __future__ import annotations

from tests.shapes import Shape, crd
from tests.support.gitopsdocs import custom, files, kustomization, many

SHAPE = Shape(
    about="definitions by URL: a base of another repository at a tag",
    expect="may come up",
    reason="the base is not fetched, and may bring the definition",
    names=(
        "Kustomization flux-system/crds",
        "CustomResourceDefinition VolumeSnapshotClass.snapshot.storage.k8s.io",
    ),
    files=files(
        clusters__home=many(
            kustomization("crds", "./crds", wait=True), kustomization("use", "./use", "crds")
        ),
        use=custom("snapshot.storage.k8s.io/v1:VolumeSnapshotClass", "fast"),
    )
    | {
        "crds/kustomization.yaml": "resources:\n  - https://github.com/example/snapshots//crd?ref=v8\n"
    },
    remote={
        "https://github.com/example/snapshots//crd?ref=v8": crd(
            "snapshot.storage.k8s.io/v1:VolumeSnapshotClass", cluster=True
        )
    },
)
