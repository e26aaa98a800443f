"""A release waits for one of a Kustomization that waits for the first."""

from __future__ import annotations

from tests.shapes import Shape, helm_release, helm_repository, namespace
from tests.support.gitopsdocs import files, kustomization, many

SHAPE = Shape(
    about="a release waits for one of a Kustomization that waits for the first",
    expect="cannot come up",
    reason="the ring goes through a release and a Kustomization",
    names=("HelmRelease web/web waits for Kustomization flux-system/apps",),
    files=files(
        clusters__home=many(
            kustomization("infra", "./infra", wait=True), kustomization("apps", "./apps", "infra")
        ),
        infra=many(
            namespace("web"),
            helm_repository("charts"),
            helm_release("web", "web", "api", chart="podinfo"),
        ),
        apps=helm_release("api", "web", chart="podinfo"),
    ),
)
