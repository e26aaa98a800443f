"""The kinds of well-known API groups that charts and k3s define, from their documentation.

A chart may be of a version with more of them. So a kind or version that is not listed is no
error: it is named as something that was not seen. A group without a row has any kind.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Final

from provision.gitops import documents

_EXTERNAL: Final = "ClusterExternalSecret ClusterSecretStore ExternalSecret SecretStore"
_KYVERNO: Final = "CleanupPolicy ClusterCleanupPolicy PolicyException UpdateRequest"
_LISTED: Final[Mapping[str, str]] = {
    "acme.cert-manager.io/v1": "Challenge Order",
    "bitnami.com/v1alpha1": "SealedSecret",
    "cert-manager.io/v1": "Certificate CertificateRequest ClusterIssuer Issuer",
    "deviceplugin.intel.com/v1": "DlbDevicePlugin DsaDevicePlugin FpgaDevicePlugin"
    " GpuDevicePlugin IaaDevicePlugin NpuDevicePlugin QatDevicePlugin SgxDevicePlugin",
    "external-secrets.io/v1": _EXTERNAL,
    "external-secrets.io/v1beta1": _EXTERNAL,
    "external-secrets.io/v1alpha1": "ClusterPushSecret PushSecret",
    "externaldns.k8s.io/v1alpha1": "DNSEndpoint",
    "gateway.networking.k8s.io/v1": "BackendTLSPolicy GRPCRoute Gateway GatewayClass HTTPRoute",
    "gateway.networking.k8s.io/v1beta1": "Gateway GatewayClass HTTPRoute ReferenceGrant",
    "kyverno.io/v1": "ClusterPolicy Policy",
    "kyverno.io/v2beta1": f"ClusterPolicy Policy {_KYVERNO}",
    "kyverno.io/v2": _KYVERNO,
    "metallb.io/v1beta1": "BFDProfile BGPAdvertisement BGPPeer Community IPAddressPool"
    " L2Advertisement ServiceBGPStatus ServiceL2Status",
    "metallb.io/v1beta2": "BGPPeer",
    "monitoring.coreos.com/v1": "Alertmanager PodMonitor Probe Prometheus PrometheusRule"
    " ServiceMonitor ThanosRuler",
    "monitoring.coreos.com/v1alpha1": "AlertmanagerConfig PrometheusAgent ScrapeConfig",
    "monitoring.coreos.com/v1beta1": "AlertmanagerConfig",
    "nfd.k8s-sigs.io/v1alpha1": "NodeFeature NodeFeatureGroup NodeFeatureRule",
    "postgresql.cnpg.io/v1": "Backup Cluster ClusterImageCatalog Database FailoverQuorum"
    " ImageCatalog Pooler Publication ScheduledBackup Subscription",
    "snapshot.storage.k8s.io/v1": "VolumeSnapshot VolumeSnapshotClass VolumeSnapshotContent",
    "traefik.io/v1alpha1": "IngressRoute IngressRouteTCP IngressRouteUDP Middleware MiddlewareTCP"
    " ServersTransport ServersTransportTCP TLSOption TLSStore TraefikService",
    "trust.cert-manager.io/v1alpha1": "Bundle",
    "volsync.backube/v1alpha1": "ReplicationDestination ReplicationSource",
}


def is_known(obj: Mapping[str, Any]) -> bool:
    """Return whether the group of `obj` has its kind in its version, as far as that is listed."""
    group, version = documents.group_of(obj), str(obj.get("apiVersion")).rpartition("/")[2]
    listed = _groups().get(group)
    return listed is None or version in listed.get(str(obj.get("kind")), ())


@functools.cache
def _groups() -> dict[str, dict[str, tuple[str, ...]]]:
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for name, kinds in _LISTED.items():
        group, _, version = name.partition("/")
        for kind in kinds.split():
            versions = found.setdefault(group, {})
            versions[kind] = (*versions.get(kind, ()), version)
    return found
