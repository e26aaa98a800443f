"""Reflector copies a Secret into the namespace that needs it."""

from __future__ import annotations

from tests.shapes import Shape, helm_release, helm_repository, namespace, secret
from tests.shapes.common import REFLECTS
from tests.support.gitopsdocs import files, many, obj

SHAPE = Shape(
    about="reflector copies a Secret into the namespace that needs it",
    expect="may come up",
    reason="the copy is made by reflector, as the annotation says",
    names=("Secret web/registry",),
    files=files(
        clusters__home=many(
            namespace("web", "reflector"),
            helm_repository("charts"),
            helm_release("reflector", "reflector"),
            obj(
                "v1:Secret",
                "registry",
                "reflector",
                stringData={"values.yaml": "a: 1\n"},
                metadata={"annotations": {REFLECTS: "true"}},
            ),
            helm_release(
                "web",
                "web",
                chart="podinfo",
                valuesFrom=[{"kind": "Secret", "name": "registry"}],
            ),
        ),
    ),
    makes={"Secret reflector/registry": secret("registry", "web", **{"values.yaml": "a: 1\n"})},
)
