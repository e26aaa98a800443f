"""A second GitRepository with the address of the first."""

from __future__ import annotations

from tests.shapes import Shape
from tests.support.gitopsdocs import config_map, files, kustomization, many, source

SHAPE = Shape(
    about="a second GitRepository with the address of the first",
    expect="comes up",
    reason="it is the same repository, and its files are seen",
    files=files(
        clusters__home=many(
            source("flux-system", "https://git.example.org/me/home", ref={"branch": "main"}),
            source("again", "https://git.example.org/me/home.git", ref={"branch": "main"}),
            kustomization("apps", "./apps", source="again"),
        ),
        apps=config_map("a"),
    ),
)
