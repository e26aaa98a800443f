"""Flux' example for several tenants: their own repositories, applied as their accounts."""

from __future__ import annotations

from tests.shapes import Shape, account, crd, helm_release, helm_repository, namespace
from tests.shapes.common import tenant
from tests.support.gitopsdocs import SOURCE, config_map, custom, files, kustomization, many, obj

SHAPE = Shape(
    about="Flux' example for several tenants: their own repositories, applied as their accounts",
    expect="may come up",
    reason="the files of the tenant's repository are not seen",
    names=("Kustomization apps/dev-team",),
    files=files(
        clusters__home=many(
            kustomization("kyverno", "./infra", wait=True),
            kustomization("tenants", "./tenants", "kyverno"),
        ),
        infra=many(
            namespace("kyverno"), helm_repository("charts"), helm_release("kyverno", "kyverno")
        ),
        tenants=many(
            namespace("apps"),
            account("dev-team", "apps"),
            obj(
                f"{SOURCE}:GitRepository",
                "dev-team",
                "apps",
                spec={"interval": "1h", "url": "https://git.example.org/dev-team"},
            ),
            tenant("dev-team", "apps", "./deploy", {"kind": "GitRepository", "name": "dev-team"}),
            custom("kyverno.io/v1:ClusterPolicy", "accounts"),
        ),
    ),
    brings={"kyverno/kyverno": crd("kyverno.io/v1:ClusterPolicy", cluster=True)},
    sources={"GitRepository/dev-team": files(deploy=config_map("web", "apps"))},
)
