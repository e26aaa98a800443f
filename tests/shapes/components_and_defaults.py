"""Overlays with components, and variables with defaults."""

from __future__ import annotations

from tests.shapes import Shape
from tests.support.gitopsdocs import config_map, files, kustomization, many

SHAPE = Shape(
    about="overlays with components, and variables with defaults",
    expect="comes up",
    reason="each variable has a value or a default",
    files=files(
        clusters__home=many(
            config_map("vars", "flux-system", NAME="web"),
            kustomization(
                "apps",
                "./overlay",
                components=["../component"],
                commonMetadata={"labels": {"team": "one"}},
                postBuild={
                    "substituteFrom": [{"kind": "ConfigMap", "name": "vars"}],
                    "substitute": {"PORT": "80"},
                },
            ),
        ),
        base=config_map("a", host="${NAME}.${ZONE:=example.org}:${PORT}"),
    )
    | {
        "base/kustomization.yaml": "resources: [all.yaml]\n",
        "overlay/kustomization.yaml": "resources: [../base]\nnamePrefix: home-\n",
        "component/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\n"
        "kind: Component\nlabels: [{pairs: {part: 'yes-please'}}]\n",
    },
)
