"""Home-ops: one Kustomization for all apps, one more an app; SOPS keys are given."""

from __future__ import annotations

from provision.gitops.coldstart import simulation
from tests.shapes import Shape, crd, helm_release, helm_repository, namespace, secret
from tests.shapes.common import DECRYPTION, ISSUER, PATCH, SETTINGS
from tests.support.gitopsdocs import config_map, files, kustomization, many

SHAPE = Shape(
    about="home-ops: one Kustomization for all apps, one more an app; SOPS keys are given",
    expect="needs a seed",
    reason="every Kustomization decrypts with sops-age, which elysium puts there",
    names=("Secret flux-system/sops-age",),
    cluster=simulation.Cluster(decrypts=True),
    provides=secret("sops-age", "flux-system"),
    files=files(
        clusters__home=many(
            config_map("cluster-settings", "flux-system", ZONE="example.org"),
            kustomization(
                "cluster-apps",
                "./apps",
                decryption=DECRYPTION,
                postBuild=SETTINGS,
                patches=[{"patch": PATCH, "target": {"kind": "Kustomization"}}],
            ),
        ),
        apps__cert_manager=many(
            namespace("cert-manager"),
            kustomization("cert-manager", "./parts/certs", wait=True),
            kustomization("cert-manager-issuers", "./parts/issuers", "cert-manager"),
        ),
        apps__media=many(
            namespace("media"),
            kustomization("plex", "./parts/plex", targetNamespace="media"),
        ),
        parts__certs=many(
            helm_repository("charts"),
            helm_release("cert-manager", "cert-manager", values={"crds": {"enabled": True}}),
        ),
        parts__issuers=ISSUER,
        parts__plex=config_map("plex", "", host="plex.${ZONE}", port="tcp-${PORT:=32400}"),
    ),
    brings={"cert-manager/cert-manager": crd("cert-manager.io/v1:ClusterIssuer", cluster=True)},
)
