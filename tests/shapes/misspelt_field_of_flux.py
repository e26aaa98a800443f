"""a misspelt field of a kind of Flux."""

from __future__ import annotations

from tests.shapes import Shape
from tests.support import wrongfields
from tests.support.gitopsdocs import files, kustomization, many

SHAPE = Shape(
    about="image automation: a misspelt field in an ImagePolicy",
    expect="cannot come up",
    reason="the API server takes no field that the definition does not have",
    names=("spec.filterTags.regex",),
    files=files(
        clusters__home=kustomization("images", "./images"),
        images=many(wrongfields.image(), wrongfields.policy(filterTags={"regex": "^v.*"})),
    ),
)
