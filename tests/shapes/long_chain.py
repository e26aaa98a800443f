"""Dependencies in a long chain, with health checks."""

from __future__ import annotations

from tests.shapes import Shape, helm_release, helm_repository, namespace
from tests.shapes.common import RELEASE_B
from tests.support.gitopsdocs import config_map, files, kustomization, many

SHAPE = Shape(
    about="dependencies in a long chain, with health checks",
    expect="comes up",
    reason="each link becomes ready",
    files=files(
        clusters__home=many(
            kustomization("a", "./a", wait=True),
            kustomization("b", "./b", "a", healthChecks=[RELEASE_B]),
            kustomization("c", "./c", "b"),
            kustomization("d", "./d", "c", "a", wait=True),
        ),
        a=many(namespace("b"), helm_repository("charts")),
        b=helm_release("b", "b", chart="podinfo"),
        c=config_map("c"),
        d=config_map("d"),
    ),
)
