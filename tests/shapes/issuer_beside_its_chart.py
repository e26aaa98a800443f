"""Beginners' repositories: an operator and its custom resources in one Kustomization."""

from __future__ import annotations

from tests.shapes import Shape, crd, helm_release, helm_repository, namespace
from tests.shapes.common import ISSUER
from tests.support.gitopsdocs import files, kustomization, many

SHAPE = Shape(
    about="beginners' repositories: an operator and its custom resources in one Kustomization",
    expect="cannot come up",
    reason="nothing is applied before the definition is there, and the chart is among it",
    names=("CustomResourceDefinition ClusterIssuer.cert-manager.io",),
    files=files(
        clusters__home=kustomization("infra", "./infra"),
        infra=many(
            namespace("cert-manager"),
            helm_repository("charts"),
            helm_release("cert-manager", "cert-manager", values={"installCRDs": True}),
            ISSUER,
        ),
    ),
    brings={"cert-manager/cert-manager": crd("cert-manager.io/v1:ClusterIssuer", cluster=True)},
)
