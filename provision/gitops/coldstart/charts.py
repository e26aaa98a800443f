"""What well-known charts and controllers bring into a cluster.

Knowledge that is not in a repository: which groups of custom resources a
chart's own manifests define. A chart that is not listed may bring anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

BUILTIN_GROUPS: Final = frozenset(
    [
        "",
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
        "apiregistration.k8s.io",
        "apps",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "autoscaling",
        "batch",
        "certificates.k8s.io",
        "coordination.k8s.io",
        "discovery.k8s.io",
        "events.k8s.io",
        "flowcontrol.apiserver.k8s.io",
        "networking.k8s.io",
        "node.k8s.io",
        "policy",
        "rbac.authorization.k8s.io",
        "resource.k8s.io",
        "scheduling.k8s.io",
        "storage.k8s.io",
    ]
)
FLUX_SUFFIX: Final = ".toolkit.fluxcd.io"
K3S_GROUPS: Final = frozenset(["helm.cattle.io", "k3s.cattle.io"])
K3S_TRAEFIK_GROUPS: Final = frozenset(["traefik.io", "hub.traefik.io", "gateway.networking.k8s.io"])
"""What the Traefik that k3s carries defines, unless it is disabled."""

CLUSTER_SCOPED: Final = frozenset(
    [
        "APIService",
        "ClusterRole",
        "ClusterRoleBinding",
        "CSIDriver",
        "CustomResourceDefinition",
        "IngressClass",
        "MutatingWebhookConfiguration",
        "Namespace",
        "Node",
        "PersistentVolume",
        "PriorityClass",
        "RuntimeClass",
        "StorageClass",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "ValidatingWebhookConfiguration",
        "VolumeAttachment",
    ]
)

SEALED_SECRETS: Final = "sealed-secrets"
SEALED_SECRETS_GROUP: Final = "bitnami.com"

GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    SEALED_SECRETS: (SEALED_SECRETS_GROUP,),
    "cert-manager": ("cert-manager.io", "acme.cert-manager.io"),
    "traefik": ("traefik.io", "hub.traefik.io", "gateway.networking.k8s.io"),
    "traefik-crds": ("traefik.io", "hub.traefik.io", "gateway.networking.k8s.io"),
    "tailscale-operator": ("tailscale.com",),
    "node-feature-discovery": ("nfd.k8s-sigs.io",),
    "intel-device-plugins-operator": ("deviceplugin.intel.com", "fpga.intel.com"),
    "flux-operator": ("fluxcd.controlplane.io",),
    "kube-prometheus-stack": ("monitoring.coreos.com",),
    "prometheus-operator-crds": ("monitoring.coreos.com",),
    "external-secrets": ("external-secrets.io", "generators.external-secrets.io"),
    "metallb": ("metallb.io",),
    "longhorn": ("longhorn.io",),
    "fission-all": ("fission.io",),
    "fission-core": ("fission.io",),
    "jaeger-operator": ("jaegertracing.io",),
    "opentelemetry-operator": ("opentelemetry.io",),
    "cloudnative-pg": ("postgresql.cnpg.io",),
    "velero": ("velero.io",),
    "k8up": ("k8up.io",),
    "kyverno": ("kyverno.io", "policies.kyverno.io", "reports.kyverno.io", "wgpolicyk8s.io"),
    "reloader": (),
    "system-upgrade-controller": ("upgrade.cattle.io",),
    "cilium": ("cilium.io",),
    "istio-base": ("networking.istio.io", "security.istio.io", "telemetry.istio.io"),
    # These bring no definitions of their own.
    "onechart": (),
    "app-template": (),
    "coder": (),
    "coder-logstream-kube": (),
    "loki": (),
    "promtail": (),
    "tempo": (),
    "jaeger": (),
    "grafana": (),
    "metrics-server": (),
    "external-dns": (),
    "ingress-nginx": (),
    "csi-rclone": (),
    "intel-device-plugins-gpu": (),
    "csi-driver-nfs": (),
    "descheduler": (),
}


def known_chart_of(group: str) -> str:
    """Return a chart that is known to define `group`, or an empty text."""
    return next((chart for chart, groups in GROUPS.items() if group in groups), "")


def chart_of(obj: Mapping[str, Any], sources: Mapping[tuple[str, str, str], str]) -> str:
    """Return the name of the chart that a HelmRelease or k3s HelmChart installs.

    `sources` gives the URL of an OCIRepository by kind, namespace and name.
    A chart that lies in the repository has the path's last part as its name.
    """
    spec: Mapping[str, Any] = obj.get("spec") or {}
    if obj.get("kind") == "HelmChart":
        return str(spec.get("chart") or "").rstrip("/").rpartition("/")[2]
    chart = (spec.get("chart") or {}).get("spec") or {}
    if chart:
        return str(chart.get("chart") or "").rstrip("/").rpartition("/")[2]
    ref = spec.get("chartRef") or {}
    namespace = str(ref.get("namespace") or (obj.get("metadata") or {}).get("namespace"))
    url = sources.get((str(ref.get("kind")), namespace, str(ref.get("name"))), "")
    return (url or str(ref.get("name") or "")).rstrip("/").rpartition("/")[2]
