"""A health check of a release that was renamed, with what waits for it."""

from __future__ import annotations

from tests.shapes import Shape, helm_release, helm_repository, namespace
from tests.shapes.common import RELEASE_B
from tests.support.gitopsdocs import config_map, files, kustomization, many

SHAPE = Shape(
    about="a health check of a release that was renamed, with what waits for it",
    expect="cannot come up",
    reason="a check of what is not there never succeeds",
    names=("HelmRelease b/gone",),
    files=files(
        clusters__home=many(
            kustomization("infra", "./infra", healthChecks=[{**RELEASE_B, "name": "gone"}]),
            kustomization("apps", "./apps", "infra"),
        ),
        infra=many(namespace("b"), helm_repository("charts"), helm_release("b", "b")),
        apps=config_map("a"),
    ),
)
