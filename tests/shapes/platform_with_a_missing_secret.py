"""Fleets: the OCI artifact needs a pull Secret that nothing makes."""

from __future__ import annotations

from tests.shapes import Shape
from tests.support.gitopsdocs import files, kustomization, many, source

SHAPE = Shape(
    about="fleets: the OCI artifact needs a pull Secret that nothing makes",
    expect="cannot come up",
    reason="the source reads a Secret that is nowhere",
    names=("Secret flux-system/registry", "Kustomization flux-system/platform"),
    files=files(
        clusters__home=many(
            source(
                "platform",
                "oci://registry.example.org/platform",
                "OCIRepository",
                secretRef={"name": "registry"},
            ),
            kustomization("platform", "./", source="platform", kind="OCIRepository"),
        ),
    ),
)
