"""Hub and spoke: Cluster API makes the other cluster and the Secret with its kubeconfig."""

from __future__ import annotations

from tests.shapes import Shape, crd, secret
from tests.support.gitopsdocs import config_map, custom, files, kustomization, many

SHAPE = Shape(
    about="hub and spoke: Cluster API makes the other cluster and the Secret with its kubeconfig",
    expect="may come up",
    reason="the operator makes the Secret of the Cluster's name",
    names=("Secret flux-system/spoke-kubeconfig", "Kustomization flux-system/spoke"),
    files=files(
        clusters__home=many(
            kustomization("clusters", "./machines"),
            kustomization(
                "spoke",
                "./spoke",
                "clusters",
                kubeConfig={"secretRef": {"name": "spoke-kubeconfig"}},
                suspend=False,
            ),
        ),
        machines=many(
            crd("cluster.x-k8s.io/v1beta1:Cluster"),
            custom("cluster.x-k8s.io/v1beta1:Cluster", "spoke", "flux-system"),
        ),
        spoke=config_map("a"),
    ),
    makes={"Cluster flux-system/spoke": secret("spoke-kubeconfig", "flux-system", value="@spoke")},
)
