"""A Secret in the namespace that only a release of the same Kustomization creates."""

from __future__ import annotations

from tests.shapes import Shape, helm_release, helm_repository
from tests.support.gitopsdocs import config_map, files, kustomization, many

SHAPE = Shape(
    about="a Secret in the namespace that only a release of the same Kustomization creates",
    expect="needs a seed",
    reason="nothing is applied before the namespace is there, and the release is among it",
    names=("Namespace tailscale",),
    files=files(
        clusters__home=kustomization("infra", "./infra"),
        infra=many(
            helm_repository("charts"),
            helm_release(
                "tailscale",
                "flux-system",
                chart="tailscale-operator",
                targetNamespace="tailscale",
                install={"createNamespace": True},
            ),
            config_map("settings", "tailscale"),
        ),
    ),
)
