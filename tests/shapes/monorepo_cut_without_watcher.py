"""Monorepo: an ArtifactGenerator, and Flux without the component that serves it."""

from __future__ import annotations

from tests.shapes import Shape
from tests.shapes.common import generator
from tests.support.gitopsdocs import config_map, files, kustomization, many

SHAPE = Shape(
    about="monorepo: an ArtifactGenerator, and Flux without the component that serves it",
    expect="cannot come up",
    reason="the kind is Flux' own, and its component is not installed",
    names=("ArtifactGenerator flux-system/parts",),
    files=files(
        clusters__home=many(
            generator("apps", "@repo/apps/**"),
            kustomization("apps", "./", source="apps", kind="ExternalArtifact"),
        ),
        apps=config_map("a"),
    ),
)
