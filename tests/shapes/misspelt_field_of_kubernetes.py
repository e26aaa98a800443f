"""a misspelt field of a kind of Kubernetes."""

from __future__ import annotations

from tests.shapes import Shape
from tests.support import wrongkubernetes
from tests.support.gitopsdocs import files, kustomization

SHAPE = Shape(
    about="a misspelt field in a Deployment",
    expect="comes up",
    reason="kustomize-controller drops fields of Kubernetes' kinds that it does not know",
    files=files(
        clusters__home=kustomization("web", "./web"),
        web=wrongkubernetes.workload(imagePullpolicy="Always"),
    ),
)
