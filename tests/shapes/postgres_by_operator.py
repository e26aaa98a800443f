"""CloudNativePG: operator, cluster, and a release that reads the Secret of the cluster."""

from __future__ import annotations

from tests.shapes import Shape, crd, helm_release, helm_repository, namespace, secret
from tests.support.gitopsdocs import custom, files, kustomization, many

SHAPE = Shape(
    about="CloudNativePG: operator, cluster, and a release that reads the Secret of the cluster",
    expect="may come up",
    reason="the operator makes the Secret db-app",
    names=("Secret data/db-app",),
    files=files(
        clusters__home=many(
            kustomization("cnpg", "./cnpg", wait=True), kustomization("data", "./data", "cnpg")
        ),
        cnpg=many(
            namespace("cnpg"), helm_repository("charts"), helm_release("cloudnative-pg", "cnpg")
        ),
        data=many(
            namespace("data"),
            custom("postgresql.cnpg.io/v1:Cluster", "db", "data", instances=1),
            helm_release(
                "app",
                "data",
                chart="app-template",
                valuesFrom=[
                    {"kind": "Secret", "name": "db-app", "valuesKey": "uri", "targetPath": "db.uri"}
                ],
            ),
        ),
    ),
    brings={"cnpg/cloudnative-pg": crd("postgresql.cnpg.io/v1:Cluster")},
    makes={"Cluster data/db": secret("db-app", "data", uri="postgres")},
)
