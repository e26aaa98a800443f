"""Several clusters in one repository, and another one is broken."""

from __future__ import annotations

from tests.shapes import Shape
from tests.shapes.common import ISSUER
from tests.support.gitopsdocs import config_map, files, kustomization, many

SHAPE = Shape(
    about="several clusters in one repository, and another one is broken",
    expect="comes up",
    reason="only what follows from this cluster's folder counts",
    files=files(
        clusters__home=kustomization("apps", "./apps/overlays/home"),
        clusters__other=many(kustomization("apps", "./apps/overlays/gone"), ISSUER),
        apps__base=config_map("a", zone="${ZONE}"),
    )
    | {
        "apps/base/kustomization.yaml": "resources: [all.yaml]\n",
        "apps/overlays/home/kustomization.yaml": "resources: [../../base]\n",
    },
)
