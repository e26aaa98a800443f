"""Gatekeeper: a ConstraintTemplate makes the kind of the constraints."""

from __future__ import annotations

from tests.shapes import Shape, crd, helm_release, helm_repository, namespace
from tests.support.gitopsdocs import custom, files, kustomization, many

SHAPE = Shape(
    about="Gatekeeper: a ConstraintTemplate makes the kind of the constraints",
    expect="may come up",
    reason="Gatekeeper defines the kind that the template names",
    names=("CustomResourceDefinition K8sRequiredLabels.constraints.gatekeeper.sh",),
    files=files(
        clusters__home=many(
            kustomization("gatekeeper", "./gatekeeper", wait=True),
            kustomization("templates", "./templates", "gatekeeper", wait=True),
            kustomization("constraints", "./constraints", "templates"),
        ),
        gatekeeper=many(
            namespace("gatekeeper"),
            helm_repository("charts"),
            helm_release("gatekeeper", "gatekeeper"),
        ),
        templates=custom(
            "templates.gatekeeper.sh/v1:ConstraintTemplate",
            "k8srequiredlabels",
            crd={"spec": {"names": {"kind": "K8sRequiredLabels"}}},
        ),
        constraints=custom("constraints.gatekeeper.sh/v1beta1:K8sRequiredLabels", "all"),
    ),
    brings={
        "gatekeeper/gatekeeper": crd("templates.gatekeeper.sh/v1:ConstraintTemplate", cluster=True)
    },
    makes={
        "ConstraintTemplate /k8srequiredlabels": crd(
            "constraints.gatekeeper.sh/v1beta1:K8sRequiredLabels", cluster=True
        )
    },
)
