"""Flux' example for Kustomize and Helm: controllers, then configs, then apps."""

from __future__ import annotations

from tests.shapes import Shape, crd, helm_release, helm_repository, namespace
from tests.support.gitopsdocs import custom, files, kustomization, many

SHAPE = Shape(
    about="Flux' example for Kustomize and Helm: controllers, then configs, then apps",
    expect="comes up",
    reason="each Kustomization depends on the one that brings its definitions",
    files=files(
        clusters__home=many(
            kustomization("infra-controllers", "./infra/controllers", wait=True),
            kustomization(
                "infra-configs",
                "./infra/configs",
                "infra-controllers",
                patches=[
                    {
                        "patch": "- {op: replace, path: /spec/acme/server, value: prod}\n",
                        "target": {"kind": "ClusterIssuer"},
                    }
                ],
            ),
            kustomization("apps", "./apps/home", "infra-configs", wait=True),
        ),
        infra__controllers=many(
            namespace("cert-manager", "ingress-nginx"),
            helm_repository("charts"),
            helm_release("cert-manager", "cert-manager", values={"crds": {"enabled": True}}),
            helm_release("ingress-nginx", "ingress-nginx"),
        ),
        infra__configs=custom("cert-manager.io/v1:ClusterIssuer", "le", acme={"server": "test"}),
        apps__base=many(namespace("podinfo"), helm_release("podinfo", "podinfo")),
    )
    | {
        "apps/home/kustomization.yaml": "resources: [../base]\npatches: [{path: values.yaml}]\n",
        "apps/home/values.yaml": "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\n"
        "metadata: {name: podinfo, namespace: podinfo}\nspec: {values: {replicaCount: 2}}\n",
        "apps/base/kustomization.yaml": "resources: [all.yaml]\n",
    },
    brings={"cert-manager/cert-manager": crd("cert-manager.io/v1:ClusterIssuer", cluster=True)},
)
