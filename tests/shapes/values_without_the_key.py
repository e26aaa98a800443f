"""A release takes values from a ConfigMap that lacks the key."""

from __future__ import annotations

from tests.shapes import Shape, helm_release, helm_repository, namespace
from tests.support.gitopsdocs import config_map, files, many

SHAPE = Shape(
    about="a release takes values from a ConfigMap that lacks the key",
    expect="cannot come up",
    reason="helm-controller wants the key, unless the reference is optional",
    names=("ConfigMap web/web-values",),
    files=files(
        clusters__home=many(
            namespace("web"),
            helm_repository("charts"),
            config_map("web-values", "web", **{"web.yaml": "replicas: 2\n"}),
            helm_release(
                "web",
                "web",
                chart="podinfo",
                valuesFrom=[{"kind": "ConfigMap", "name": "web-values"}],
            ),
        ),
    ),
)
