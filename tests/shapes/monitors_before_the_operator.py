"""Monitoring: definitions by their own chart first, then stack and monitors together."""

from __future__ import annotations

from tests.shapes import Shape, crd, helm_release, helm_repository, namespace
from tests.support.gitopsdocs import custom, files, kustomization, many

SHAPE = Shape(
    about="monitoring: definitions by their own chart first, then stack and monitors together",
    expect="comes up",
    reason="prometheus-operator-crds brings the kinds before the monitors are applied",
    files=files(
        clusters__home=many(
            kustomization("crds", "./crds", wait=True),
            kustomization("monitoring", "./monitoring", "crds"),
        ),
        crds=many(
            namespace("monitoring"),
            helm_repository("charts"),
            helm_release("prometheus-operator-crds", "monitoring"),
        ),
        monitoring=many(
            helm_release(
                "kube-prometheus-stack",
                "monitoring",
                values={"crds": {"enabled": False}},
                install={"crds": "Skip"},
            ),
            custom("monitoring.coreos.com/v1:ServiceMonitor", "web", "monitoring"),
        ),
    ),
    brings={"monitoring/prometheus-operator-crds": crd("monitoring.coreos.com/v1:ServiceMonitor")},
)
