"""Dependencies in a ring."""

from __future__ import annotations

from tests.shapes import Shape
from tests.support.gitopsdocs import config_map, files, kustomization, many

SHAPE = Shape(
    about="dependencies in a ring",
    expect="cannot come up",
    reason="none of them is ever ready",
    names=("a -> b -> a",),
    files=files(
        clusters__home=many(kustomization("a", "./a", "b"), kustomization("b", "./b", "a")),
        a=config_map("a"),
        b=config_map("b"),
    ),
)
