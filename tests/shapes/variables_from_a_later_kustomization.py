"""Variables: the ConfigMap is applied by a Kustomization that waits for the one it feeds."""

from __future__ import annotations

from tests.shapes import Shape
from tests.support.gitopsdocs import config_map, files, kustomization, many

SHAPE = Shape(
    about="variables: the ConfigMap is applied by a Kustomization that waits for the one it feeds",
    expect="needs a seed",
    reason="the two wait for each other; the ConfigMap is in the repository",
    names=("ConfigMap flux-system/vars",),
    files=files(
        clusters__home=many(
            kustomization(
                "first",
                "./first",
                postBuild={"substituteFrom": [{"kind": "ConfigMap", "name": "vars"}]},
            ),
            kustomization("second", "./second", "first"),
        ),
        first=config_map("a", host="${NAME}"),
        second=config_map("vars", "flux-system", NAME="web"),
    ),
)
