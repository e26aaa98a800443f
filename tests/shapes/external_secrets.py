"""External Secrets: operator, store, then apps that substitute from its Secret."""

from __future__ import annotations

from tests.shapes import Shape, crd, helm_release, helm_repository, namespace, secret
from tests.support.gitopsdocs import config_map, custom, files, kustomization, many

SHAPE = Shape(
    about="External Secrets: operator, store, then apps that substitute from its Secret",
    expect="may come up",
    reason="the operator makes the Secret when the store outside answers",
    names=("Secret flux-system/app-vars",),
    files=files(
        clusters__home=many(
            kustomization("eso", "./eso", wait=True),
            kustomization("stores", "./stores", "eso", wait=True),
            kustomization(
                "apps",
                "./apps",
                "stores",
                postBuild={"substituteFrom": [{"kind": "Secret", "name": "app-vars"}]},
            ),
        ),
        eso=many(
            namespace("external-secrets"),
            helm_repository("charts"),
            helm_release("external-secrets", "external-secrets"),
        ),
        stores=many(
            custom("external-secrets.io/v1:ClusterSecretStore", "vault"),
            custom(
                "external-secrets.io/v1:ExternalSecret",
                "vars",
                "flux-system",
                target={"name": "app-vars"},
            ),
        ),
        apps=config_map("a", host="${HOST}"),
    ),
    brings={
        "external-secrets/external-secrets": many(
            crd("external-secrets.io/v1:ClusterSecretStore", cluster=True),
            crd("external-secrets.io/v1:ExternalSecret"),
        )
    },
    makes={"ExternalSecret flux-system/vars": secret("app-vars", "flux-system", HOST="h")},
)
