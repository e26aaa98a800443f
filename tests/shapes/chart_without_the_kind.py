"""Charts that lie in the repository: the custom resources are of another kind."""

from __future__ import annotations

from tests.shapes import Shape, crd
from tests.shapes.common import CHART, local_release
from tests.support.gitopsdocs import custom, files, kustomization, many

SHAPE = Shape(
    about="charts that lie in the repository: the custom resources are of another kind",
    expect="cannot come up",
    reason="the chart is seen, and does not define the kind",
    names=("CustomResourceDefinition Gadget.example.org",),
    files=files(
        clusters__home=many(
            kustomization("operator", "./operator", wait=True),
            kustomization("use", "./use", "operator"),
        ),
        operator=local_release("widgets", "flux-system", "./charts/widgets"),
        use=custom("example.org/v1:Gadget", "g", "default"),
    )
    | CHART,
    brings={"flux-system/widgets": crd("example.org/v1:Widget")},
)
