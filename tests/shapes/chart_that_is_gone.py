"""Charts that lie in the repository: the folder was moved."""

from __future__ import annotations

from tests.shapes import Shape
from tests.shapes.common import CHART, local_release
from tests.support.gitopsdocs import files, kustomization

SHAPE = Shape(
    about="charts that lie in the repository: the folder was moved",
    expect="cannot come up",
    reason="source-controller finds no chart at that path",
    names=("HelmRelease flux-system/widgets",),
    files=files(
        clusters__home=kustomization("operator", "./operator"),
        operator=local_release("widgets", "flux-system", "./charts/gone"),
    )
    | CHART,
)
