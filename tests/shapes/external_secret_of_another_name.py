"""External Secrets: the Secret that is needed has another name than the one it makes."""

from __future__ import annotations

from tests.shapes import Shape, crd, secret
from tests.support.gitopsdocs import config_map, custom, files, kustomization, many

SHAPE = Shape(
    about="External Secrets: the Secret that is needed has another name than the one it makes",
    expect="cannot come up",
    reason="an ExternalSecret makes the Secret of its target and no other",
    names=("Secret flux-system/app-vars",),
    files=files(
        clusters__home=many(
            kustomization("stores", "./stores"),
            kustomization(
                "apps",
                "./apps",
                "stores",
                postBuild={"substituteFrom": [{"kind": "Secret", "name": "app-vars"}]},
            ),
        ),
        stores=many(
            crd("external-secrets.io/v1:ExternalSecret"),
            custom(
                "external-secrets.io/v1:ExternalSecret",
                "vars",
                "flux-system",
                target={"name": "other"},
            ),
        ),
        apps=config_map("a"),
    ),
    makes={"ExternalSecret flux-system/vars": secret("other", "flux-system")},
)
