"""A Kustomization with a targetNamespace that nothing makes."""

from __future__ import annotations

from tests.shapes import Shape
from tests.support.gitopsdocs import config_map, files, kustomization

SHAPE = Shape(
    about="a Kustomization with a targetNamespace that nothing makes",
    expect="needs a seed",
    reason="kustomize-controller does not make it",
    names=("Namespace web",),
    files=files(
        clusters__home=kustomization("web", "./web", targetNamespace="web"),
        web=config_map("a", ""),
    ),
)
