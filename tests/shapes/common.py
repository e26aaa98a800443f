"""Objects that several shapes use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from provision.gitops.coldstart import simulation
from tests.shapes import crd, helm_release
from tests.support.gitopsdocs import config_map, custom, obj

ISSUER: Final = custom("cert-manager.io/v1:ClusterIssuer", "letsencrypt")
IMAGE: Final = "image.toolkit.fluxcd.io/v1"
REFLECTS: Final = "reflector.v1.k8s.emberstack.com/reflection-auto-enabled"
WATCHER: Final = simulation.Cluster(components=(*simulation.api.COMPONENTS, "source-watcher"))
DECRYPTION: Final = {"provider": "sops", "secretRef": {"name": "sops-age"}}
SETTINGS: Final = {
    "substituteFrom": [
        {"kind": "ConfigMap", "name": "cluster-settings"},
        {"kind": "Secret", "name": "cluster-secrets", "optional": True},
    ]
}
PATCH: Final = (
    "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: any}\n"
    "spec:\n  decryption: {provider: sops, secretRef: {name: sops-age}}\n"
    "  postBuild: {substituteFrom: [{kind: ConfigMap, name: cluster-settings}]}\n"
)
"""What a root adds to every Kustomization below it."""
RELEASE_B: Final = {
    "apiVersion": "helm.toolkit.fluxcd.io/v2",
    "kind": "HelmRelease",
    "name": "b",
    "namespace": "b",
}
CHART: Final = {
    "charts/widgets/Chart.yaml": "apiVersion: v2\nname: widgets\nversion: 0.1.0\n",
    "charts/widgets/values.yaml": "replicas: 1\n",
    "charts/widgets/crds/widget.yaml": crd("example.org/v1:Widget"),
    "charts/widgets/templates/map.yaml": config_map("from-chart", "", HOST="h"),
    "charts/widgets/templates/deployment.yaml": "apiVersion: apps/v1\nkind: Deployment\n"
    "metadata: {name: {{ .Release.Name }}}\n",
    "charts/.sourceignore": "# nothing\n",
}
"""A chart with a definition, a plain ConfigMap and a template."""


def local_release(name: str, where: str, path: str, **spec: Any) -> str:
    """Return a HelmRelease of the chart that lies at `path` of the repository."""
    ref = {"kind": "GitRepository", "name": "flux-system", "namespace": "flux-system"}
    return helm_release(name, where, chart={"spec": {"chart": path, "sourceRef": ref}}, **spec)


def tenant(name: str, where: str, path: str = "", source: Mapping[str, str] | None = None) -> str:
    """Return a Kustomization in the namespace `where` that acts as the account dev-team."""
    own = {"kind": "GitRepository", "name": "flux-system", "namespace": "flux-system"}
    body = {
        "interval": "1h",
        "path": path or f"./{name}",
        "prune": True,
        "serviceAccountName": "dev-team",
        "sourceRef": source or own,
    }
    name = "dev-team" if source else name
    return obj("kustomize.toolkit.fluxcd.io/v1:Kustomization", name, where, spec=body)


def generator(name: str, pattern: str) -> str:
    """Return an ArtifactGenerator that cuts `pattern` out of the repository."""
    return obj(
        "source.extensions.fluxcd.io/v1beta1:ArtifactGenerator",
        "parts",
        "flux-system",
        spec={
            "sources": [{"alias": "repo", "kind": "GitRepository", "name": "flux-system"}],
            "artifacts": [{"name": name, "copy": [{"from": pattern, "to": "@artifact/"}]}],
        },
    )
