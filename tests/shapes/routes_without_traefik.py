"""Gateway API: k3s' Traefik is disabled, and nothing else brings the kinds."""

from __future__ import annotations

from provision.gitops.coldstart import simulation
from tests.shapes import Shape, namespace
from tests.support.gitopsdocs import custom, files, many

SHAPE = Shape(
    about="Gateway API: k3s' Traefik is disabled, and nothing else brings the kinds",
    expect="cannot come up",
    reason="nothing defines HTTPRoute",
    names=("CustomResourceDefinition HTTPRoute.gateway.networking.k8s.io",),
    cluster=simulation.Cluster(bundled_traefik=False),
    files=files(
        clusters__home=many(
            namespace("web"), custom("gateway.networking.k8s.io/v1:HTTPRoute", "web", "web")
        ),
    ),
)
