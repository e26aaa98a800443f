"""Flux Operator: ResourceSets of literal objects, after the operator's chart."""

from __future__ import annotations

from tests.shapes import Shape, crd, helm_release, helm_repository
from tests.support.gitopsdocs import config_map, custom, files, kustomization, many

SHAPE = Shape(
    about="Flux Operator: ResourceSets of literal objects, after the operator's chart",
    expect="may come up",
    reason="the operator makes the ConfigMap that the ResourceSet holds",
    names=("ConfigMap flux-system/runtime-info",),
    files=files(
        clusters__home=many(
            kustomization("operator", "./operator", wait=True),
            kustomization("sets", "./sets", "operator"),
            kustomization(
                "apps",
                "./apps",
                "sets",
                postBuild={"substituteFrom": [{"kind": "ConfigMap", "name": "runtime-info"}]},
            ),
        ),
        operator=many(helm_repository("charts"), helm_release("flux-operator", "flux-system")),
        sets=custom(
            "fluxcd.controlplane.io/v1:ResourceSet",
            "info",
            "flux-system",
            resources=[
                {
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "metadata": {"name": "runtime-info", "namespace": "flux-system"},
                }
            ],
        ),
        apps=config_map("a"),
    ),
    brings={"flux-system/flux-operator": crd("fluxcd.controlplane.io/v1:ResourceSet")},
    makes={"ResourceSet flux-system/info": config_map("runtime-info", "flux-system", A="b")},
)
