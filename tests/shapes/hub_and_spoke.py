"""Hub and spoke: objects go to another cluster, whose kubeconfig someone creates by hand."""

from __future__ import annotations

from tests.shapes import Shape
from tests.support.gitopsdocs import config_map, files, kustomization

SHAPE = Shape(
    about="hub and spoke: objects go to another cluster, whose kubeconfig someone creates by hand",
    expect="cannot come up",
    reason="nothing makes the Secret of spec.kubeConfig",
    names=("Secret flux-system/spoke-kubeconfig", "Kustomization flux-system/spoke"),
    files=files(
        clusters__home=kustomization(
            "spoke", "./spoke", kubeConfig={"secretRef": {"name": "spoke-kubeconfig"}}
        ),
        spoke=config_map("a"),
    ),
)
