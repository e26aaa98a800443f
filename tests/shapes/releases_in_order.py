"""Releases that depend on each other across namespaces, one with chartRef."""

from __future__ import annotations

from tests.shapes import Shape, helm_release, helm_repository, namespace
from tests.support.gitopsdocs import config_map, files, many, source

SHAPE = Shape(
    about="releases that depend on each other across namespaces, one with chartRef",
    expect="comes up",
    reason="each release is installed after those it depends on",
    files=files(
        clusters__home=many(
            namespace("data", "web"),
            helm_repository("charts"),
            source("app", "oci://registry.example.org/charts/podinfo", "OCIRepository"),
            config_map("web-values", "web", **{"values.yaml": "replicas: 2\n"}),
            helm_release("redis", "data"),
            helm_release("api", "web", "data/redis", chart="podinfo"),
            helm_release(
                "web",
                "web",
                "api",
                chartRef={"kind": "OCIRepository", "name": "app", "namespace": "flux-system"},
                valuesFrom=[{"kind": "ConfigMap", "name": "web-values"}],
            ),
        ),
    ),
)
