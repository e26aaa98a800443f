"""Flux Operator's fleet: an instance synced from an OCI artifact, tenants from templates."""

from __future__ import annotations

from tests.shapes import Shape
from tests.support.gitopsdocs import custom, files, many

SHAPE = Shape(
    about="Flux Operator's fleet: an instance synced from an OCI artifact, tenants from templates",
    expect="cannot come up",
    reason="the repository is for a cluster that has the operator; Flux alone lacks its kinds",
    names=(
        "CustomResourceDefinition FluxInstance.fluxcd.controlplane.io",
        "CustomResourceDefinition ResourceSet.fluxcd.controlplane.io",
        "OCIRepository flux-system/flux-system",
    ),
    files=files(
        clusters__home=many(
            custom(
                "fluxcd.controlplane.io/v1:FluxInstance",
                "flux",
                "flux-system",
                distribution={"version": "2.x"},
                sync={
                    "kind": "OCIRepository",
                    "url": "oci://ghcr.example.org/fleet",
                    "ref": "latest",
                    "path": "clusters/home",
                },
            ),
            custom(
                "fluxcd.controlplane.io/v1:ResourceSet",
                "infra",
                "flux-system",
                inputs=[{"tenant": "monitoring"}],
                resources=[
                    {
                        "apiVersion": "v1",
                        "kind": "Namespace",
                        "metadata": {"name": "<< inputs.tenant >>"},
                    }
                ],
            ),
        ),
    ),
)
