"""A dependency that was renamed."""

from __future__ import annotations

from tests.shapes import Shape
from tests.support.gitopsdocs import config_map, files, kustomization

SHAPE = Shape(
    about="a dependency that was renamed",
    expect="cannot come up",
    reason="nothing in the repository has that name",
    names=("infra",),
    files=files(clusters__home=kustomization("apps", "./apps", "infra"), apps=config_map("a")),
)
