"""What well-known charts define, and what a chart that is not known may bring.

Knowledge that is not in a repository: the custom resources that a chart's own
manifests define, and which of its values turn them off. It is from each
chart's documentation (its values and its ``crds`` folder). A listed chart brings
what the table says; any other may bring what fits its name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from provision.gitops.coldstart import api
from provision.gitops.documents import Place, mapping

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


@dataclass(frozen=True, kw_only=True)
class Chart:
    """The API groups that a chart defines.

    `switches` are the values that decide whether it does, as dotted paths: any that is true
    turns it on, and `default` counts where none is given. `folder`: the definitions are in the
    chart's ``crds`` folder, or in that of a part of it, which a HelmRelease can skip. Else they
    are among its templates, or its program makes them.
    """

    groups: tuple[str, ...] = ()
    switches: tuple[str, ...] = ()
    default: bool = True
    folder: bool = False


def _folder(*groups: str) -> Chart:
    return Chart(groups=groups, folder=True)


def _always(*groups: str) -> Chart:
    return Chart(groups=groups)


def _switched(
    *groups: str, by: str | tuple[str, ...], default: bool = True, folder: bool = False
) -> Chart:
    switches = (by,) if isinstance(by, str) else by
    return Chart(groups=groups, switches=switches, default=default, folder=folder)


_TRAEFIK: Final = tuple(sorted(api.TRAEFIK_GROUPS))
_CNPG: Final = "postgresql.cnpg.io"

_WITHOUT: Final = """
adguard-home app-template authentik blocky cert-manager-webhook-ovh cloudflare-tunnel
cloudflared coder coder-logstream-kube coredns csi-driver-nfs csi-driver-smb csi-rclone
democratic-csi descheduler fluent-bit gatus gitea goldilocks grafana harbor headlamp home-
assistant homepage influxdb ingress-nginx intel-device-plugins-gpu jaeger jellyfin k8s-gateway
kube-state-metrics kubelet-csr-approver kubernetes-dashboard kubernetes-replicator kured loki
mariadb metrics-server mongodb mysql nextcloud nfs-subdir-external-provisioner nginx
oauth2-proxy onechart pihole podinfo policy-reporter postgresql prometheus prometheus-adapter
prometheus-blackbox-exporter prometheus-node-exporter promtail redis reflector reloader renovate
spegel tempo uptime-kuma vault vaultwarden weave-gitops
"""
"""Charts that bring no definitions of their own."""

CHARTS: Final[Mapping[str, Chart]] = {
    SEALED_SECRETS: _folder(SEALED_SECRETS_GROUP),
    "actions-runner-controller": _folder("actions.summerwind.dev"),
    "capsule": _switched("capsule.clastix.io", by="crds.install"),
    "cert-manager": _switched(
        "cert-manager.io",
        "acme.cert-manager.io",
        by=("crds.enabled", "installCRDs"),
        default=False,
    ),
    "cilium": _always("cilium.io"),
    "cloudnative-pg": _switched(_CNPG, by="crds.create"),
    "cluster-operator": _folder("rabbitmq.com"),
    "connect": _folder("onepassword.com"),
    "crossplane": _always("apiextensions.crossplane.io", "pkg.crossplane.io"),
    "dragonfly-operator": _switched("dragonflydb.io", by="crds.install"),
    "eg": _folder("gateway.envoyproxy.io", "gateway.networking.k8s.io"),
    "external-dns": _folder("externaldns.k8s.io"),
    "external-secrets": _switched(
        "external-secrets.io", "generators.external-secrets.io", by="installCRDs"
    ),
    "flagger": _folder("flagger.app"),
    "flux-operator": _switched("fluxcd.controlplane.io", by="installCRDs"),
    "gateway-helm": _folder("gateway.envoyproxy.io", "gateway.networking.k8s.io"),
    "gatekeeper": _folder(
        "templates.gatekeeper.sh", "config.gatekeeper.sh", "mutations.gatekeeper.sh"
    ),
    "gha-runner-scale-set-controller": _folder("actions.github.com"),
    "gpu-operator": _folder("nvidia.com"),
    "grafana-operator": _folder("grafana.integreatly.org"),
    "intel-device-plugins-operator": _folder("deviceplugin.intel.com", "fpga.intel.com"),
    "istio-base": _always("networking.istio.io", "security.istio.io", "telemetry.istio.io"),
    "jaeger-operator": _folder("jaegertracing.io"),
    "keda": _switched("keda.sh", "eventing.keda.sh", by="crds.install"),
    "kube-prometheus-stack": _switched("monitoring.coreos.com", by="crds.enabled", folder=True),
    "kyverno": _switched(
        "kyverno.io",
        "policies.kyverno.io",
        "reports.kyverno.io",
        "wgpolicyk8s.io",
        by="crds.install",
    ),
    "linkerd-crds": _always("linkerd.io", "policy.linkerd.io"),
    "longhorn": _always("longhorn.io"),
    "mariadb-operator": _switched("k8s.mariadb.com", by="crds.enabled", default=False),
    "mariadb-operator-crds": _always("k8s.mariadb.com"),
    "metallb": _switched("metallb.io", by="crds.enabled"),
    "node-feature-discovery": _folder("nfd.k8s-sigs.io"),
    "opentelemetry-operator": _switched("opentelemetry.io", by="crds.create"),
    "postgres-operator": _folder("acid.zalan.do"),
    "prometheus-operator-crds": _always("monitoring.coreos.com"),
    "rook-ceph": _switched("ceph.rook.io", "objectbucket.io", by="crds.enabled"),
    "snapshot-controller": _switched(
        "snapshot.storage.k8s.io", "groupsnapshot.storage.k8s.io", by="installCRDs"
    ),
    "strimzi-kafka-operator": _folder("kafka.strimzi.io", "core.strimzi.io"),
    "tailscale-operator": _switched("tailscale.com", by="installCRDs"),
    "tf-controller": _folder("infra.contrib.fluxcd.io"),
    "tofu-controller": _folder("infra.contrib.fluxcd.io"),
    "traefik": _folder(*_TRAEFIK),
    "traefik-crds": _folder(*_TRAEFIK),
    "trivy-operator": _folder("aquasecurity.github.io"),
    "trust-manager": _switched("trust.cert-manager.io", by="crds.enabled"),
    "vault-secrets-operator": _folder("secrets.hashicorp.com"),
    "velero": _folder("velero.io"),
    "victoria-metrics-k8s-stack": _switched(
        "operator.victoriametrics.com", by="victoria-metrics-operator.crds.enabled"
    ),
    "victoria-metrics-operator": _switched("operator.victoriametrics.com", by="crds.enabled"),
    "victoria-metrics-operator-crds": _folder("operator.victoriametrics.com"),
    "volsync": _switched("volsync.backube", by="manageCRDs"),
    **{name: Chart() for name in _WITHOUT.split()},
}


def definers(group: str) -> set[str]:
    """Return the listed charts that define `group`."""
    return {name for name, chart in CHARTS.items() if group in chart.groups}


def known_chart_of(group: str) -> str:
    """Return a chart that is known to define `group`, or an empty text."""
    return min(definers(group), key=lambda name: (len(name), name), default="")


def defines(chart: str, values: Mapping[str, Any], *, skips_folder: bool) -> tuple[str, ...]:
    """Return the groups that the listed `chart` defines with `values`.

    `skips_folder`: the HelmRelease leaves out the chart's ``crds`` folder.
    """
    found = CHARTS[chart]
    if found.folder and skips_folder:
        return ()
    if not found.switches:
        return found.groups
    given = [value for path in found.switches if (value := _at(values, path)) is not None]
    on = any(value is True for value in given) if given else found.default
    return found.groups if on else ()


def resembles(names: Iterable[str], group: str, kind: str) -> bool:
    """Return whether one of `names`, of a chart or its source, shares a word with a kind."""
    words = _words(f"{group} {kind}")
    return any(words & _words(name) for name in names)


_COMMON: Final = """
app apps chart charts cloud cluster com controller core crd crds dev github helm io k8s kube
kubernetes net operator org release sigs stack x
"""
"""Words that many names share."""
_LONG: Final = 3


def _words(text: str) -> set[str]:
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", text)
    found = {word for word in re.split(r"[^a-z0-9]+", spaced.casefold()) if len(word) > _LONG}
    return found.difference(_COMMON.split())


def _at(values: Mapping[str, Any], path: str) -> Any:
    value: Any = values
    for part in path.split("."):
        value = mapping(value).get(part)
    return value


def chart_of(obj: Mapping[str, Any], url_of: Callable[[Place], str]) -> str:
    """Return the name of the chart that a HelmRelease or k3s HelmChart installs.

    `url_of` gives the URL of an OCIRepository, empty when it is not known.
    A chart that lies in the repository has the path's last part as its name.
    """
    spec = mapping(obj.get("spec"))
    if obj.get("kind") == "HelmChart":
        return str(spec.get("chart") or "").rstrip("/").rpartition("/")[2]
    chart = mapping(mapping(spec.get("chart")).get("spec"))
    if chart:
        return str(chart.get("chart") or "").rstrip("/").rpartition("/")[2]
    ref = mapping(spec.get("chartRef"))
    namespace = str(ref.get("namespace") or mapping(obj.get("metadata")).get("namespace"))
    url = url_of((str(ref.get("kind")), namespace, str(ref.get("name"))))
    return (url or str(ref.get("name") or "")).rstrip("/").rpartition("/")[2]
