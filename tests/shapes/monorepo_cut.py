"""Monorepo: an ArtifactGenerator cuts the folders out that each Kustomization applies."""

from __future__ import annotations

from tests.shapes import Shape
from tests.shapes.common import WATCHER, generator
from tests.support.gitopsdocs import config_map, files, kustomization, many

SHAPE = Shape(
    about="monorepo: an ArtifactGenerator cuts the folders out that each Kustomization applies",
    expect="comes up",
    reason="source-watcher is installed, and the folders are in the repository",
    cluster=WATCHER,
    files=files(
        clusters__home=many(
            generator("apps", "@repo/apps/**"),
            kustomization("apps", "./", source="apps", kind="ExternalArtifact"),
        ),
        apps=config_map("a"),
    ),
    sources={"ExternalArtifact/apps": files(a=config_map("a"))},
)
