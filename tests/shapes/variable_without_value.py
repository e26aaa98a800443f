"""Variables: a key is missing in the ConfigMap that they come from."""

from __future__ import annotations

from tests.shapes import Shape
from tests.support.gitopsdocs import config_map, files, kustomization, many

SHAPE = Shape(
    about="variables: a key is missing in the ConfigMap that they come from",
    expect="cannot come up",
    reason="since Flux 2.9 a variable without a value or a default is an error",
    names=("ConfigMap default/a",),
    files=files(
        clusters__home=many(
            config_map("vars", "flux-system", NAME="web"),
            kustomization(
                "apps",
                "./apps",
                postBuild={"substituteFrom": [{"kind": "ConfigMap", "name": "vars"}]},
            ),
        ),
        apps=config_map("a", host="${NAME}.${ZONE}"),
    ),
)
