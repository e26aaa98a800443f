"""Monitoring: a monitor in the Kustomization of the stack."""

from __future__ import annotations

from tests.shapes import Shape, crd, helm_release, helm_repository, namespace
from tests.support.gitopsdocs import custom, files, kustomization, many

SHAPE = Shape(
    about="monitoring: a monitor in the Kustomization of the stack",
    expect="cannot come up",
    reason="the stack's chart is applied only together with the monitor",
    names=("CustomResourceDefinition ServiceMonitor.monitoring.coreos.com",),
    files=files(
        clusters__home=kustomization("monitoring", "./monitoring"),
        monitoring=many(
            namespace("monitoring"),
            helm_repository("charts"),
            helm_release("kube-prometheus-stack", "monitoring"),
            custom("monitoring.coreos.com/v1:ServiceMonitor", "web", "monitoring"),
        ),
    ),
    brings={"monitoring/kube-prometheus-stack": crd("monitoring.coreos.com/v1:ServiceMonitor")},
)
