"""Operators whose definitions are a Kustomization of their own, and the chart skips them."""

from __future__ import annotations

from tests.shapes import Shape, crd, helm_release, helm_repository, namespace
from tests.shapes.common import ISSUER
from tests.support.gitopsdocs import files, kustomization, many

SHAPE = Shape(
    about="operators whose definitions are a Kustomization of their own, and the chart skips them",
    expect="comes up",
    reason="the definitions are in the repository, and applied before the rest",
    files=files(
        clusters__home=many(
            kustomization("crds", "./crds", wait=True), kustomization("infra", "./infra", "crds")
        ),
        crds=crd("cert-manager.io/v1:ClusterIssuer", cluster=True),
        infra=many(
            namespace("cert-manager"),
            helm_repository("charts"),
            helm_release("cert-manager", "cert-manager", values={"crds": {"enabled": False}}),
            ISSUER,
        ),
    ),
)
