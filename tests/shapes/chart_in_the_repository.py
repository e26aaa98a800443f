"""Charts that lie in the repository: a folder of definitions and plain templates."""

from __future__ import annotations

from tests.shapes import Shape, crd
from tests.shapes.common import CHART, local_release
from tests.support.gitopsdocs import config_map, custom, files, kustomization, many

SHAPE = Shape(
    about="charts that lie in the repository: a folder of definitions and plain templates",
    expect="comes up",
    reason="the chart's files are seen: its definition, and the ConfigMap that is needed",
    files=files(
        clusters__home=many(
            kustomization("operator", "./operator", wait=True),
            kustomization(
                "use",
                "./use",
                "operator",
                postBuild={"substituteFrom": [{"kind": "ConfigMap", "name": "from-chart"}]},
            ),
        ),
        operator=local_release("widgets", "flux-system", "./charts/widgets"),
        use=custom("example.org/v1:Widget", "w", "default", host="${HOST}"),
    )
    | CHART,
    brings={
        "flux-system/widgets": many(
            crd("example.org/v1:Widget"), config_map("from-chart", "flux-system", HOST="h")
        )
    },
)
