"""A release that depends on one that was renamed."""

from __future__ import annotations

from tests.shapes import Shape, helm_release, helm_repository, namespace
from tests.support.gitopsdocs import files, many

SHAPE = Shape(
    about="a release that depends on one that was renamed",
    expect="cannot come up",
    reason="nothing in the repository has that name",
    names=("HelmRelease web/cache",),
    files=files(
        clusters__home=many(
            namespace("web"),
            helm_repository("charts"),
            helm_release("web", "web", "cache", chart="podinfo"),
            helm_release("api", "web", chart="podinfo"),
        ),
    ),
)
