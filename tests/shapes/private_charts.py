"""Charts of a private registry: the Secret of the repository is created by hand."""

from __future__ import annotations

from tests.shapes import Shape, helm_release, helm_repository, namespace
from tests.support.gitopsdocs import files, many

SHAPE = Shape(
    about="charts of a private registry: the Secret of the repository is created by hand",
    expect="cannot come up",
    reason="nothing makes the Secret that the HelmRepository reads",
    names=("Secret flux-system/registry",),
    files=files(
        clusters__home=many(
            namespace("web"),
            helm_repository("charts", secretRef={"name": "registry"}),
            helm_release("web", "web", chart="podinfo"),
        ),
    ),
)
