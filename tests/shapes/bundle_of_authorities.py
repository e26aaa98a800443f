"""Trust-manager makes the ConfigMap with the authorities in every namespace."""

from __future__ import annotations

from tests.shapes import Shape, crd, helm_release, helm_repository, namespace
from tests.support.gitopsdocs import config_map, custom, files, kustomization, many

SHAPE = Shape(
    about="trust-manager makes the ConfigMap with the authorities in every namespace",
    expect="may come up",
    reason="the Bundle makes the ConfigMap of its name",
    names=("ConfigMap web/authorities",),
    files=files(
        clusters__home=many(
            kustomization("trust", "./trust", wait=True), kustomization("web", "./web", "trust")
        ),
        trust=many(
            namespace("cert-manager"),
            helm_repository("charts"),
            helm_release("cert-manager", "cert-manager", values={"crds": {"enabled": True}}),
            helm_release("trust-manager", "cert-manager", "cert-manager"),
        ),
        web=many(
            namespace("web"),
            custom("trust.cert-manager.io/v1alpha1:Bundle", "authorities"),
            helm_release(
                "web",
                "web",
                chart="podinfo",
                valuesFrom=[
                    {
                        "kind": "ConfigMap",
                        "name": "authorities",
                        "valuesKey": "ca.pem",
                        "targetPath": "ca",
                    }
                ],
            ),
        ),
    ),
    brings={
        "cert-manager/trust-manager": crd("trust.cert-manager.io/v1alpha1:Bundle", cluster=True)
    },
    makes={"Bundle /authorities": config_map("authorities", "web", **{"ca.pem": "x"})},
)
