"""Gateway API: routes for the Traefik that k3s brings."""

from __future__ import annotations

from tests.shapes import Shape, namespace
from tests.support.gitopsdocs import custom, files, many

SHAPE = Shape(
    about="Gateway API: routes for the Traefik that k3s brings",
    expect="comes up",
    reason="k3s' Traefik brings the kinds of the Gateway API",
    files=files(
        clusters__home=many(
            namespace("web"),
            custom("gateway.networking.k8s.io/v1:HTTPRoute", "web", "web"),
            custom("traefik.io/v1alpha1:Middleware", "https", "web"),
        ),
    ),
)
