"""a name that Kubernetes does not take."""

from __future__ import annotations

from tests.shapes import Shape
from tests.support.gitopsdocs import config_map, files, kustomization

SHAPE = Shape(
    about="an object whose name has a capital letter and an underscore",
    expect="cannot come up",
    reason="the API server takes lower-case letters, digits, - and .",
    names=("ConfigMap default/Bad_Name metadata.name",),
    files=files(
        clusters__home=kustomization("web", "./web"),
        web=config_map("Bad_Name"),
    ),
)
