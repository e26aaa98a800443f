"""a variable that a container has twice."""

from __future__ import annotations

from tests.shapes import Shape
from tests.support import wrongkubernetes
from tests.support.gitopsdocs import files, kustomization

SHAPE = Shape(
    about="a Deployment that names an environment variable twice",
    expect="cannot come up",
    reason="the variables of a container are a map by name for the API server",
    names=("containers[0].env",),
    files=files(
        clusters__home=kustomization("web", "./web"),
        web=wrongkubernetes.workload(
            env=[{"name": "A", "value": "1"}, {"name": "A", "value": "2"}],
        ),
    ),
)
