"""What the API server of a new cluster serves: the kinds of Kubernetes, k3s and Flux.

Kubernetes' kinds are those of the pinned release (Kubernetes documentation, "API Reference" and
"Deprecated API Migration Guide"); alpha and beta versions are listed where a cluster may serve
them. Flux' kinds are those of the release that is installed (Flux roadmap, "Deprecations").
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from provision.gitops import documents

_KUBERNETES: Final = {
    "v1": "Binding ComponentStatus ConfigMap Endpoints Event LimitRange List Namespace Node"
    " PersistentVolume PersistentVolumeClaim Pod PodTemplate ReplicationController ResourceQuota"
    " Secret Service ServiceAccount",
    "admissionregistration.k8s.io/v1": "MutatingAdmissionPolicy MutatingAdmissionPolicyBinding"
    " MutatingWebhookConfiguration ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding"
    " ValidatingWebhookConfiguration",
    "admissionregistration.k8s.io/v1beta1": "MutatingAdmissionPolicy"
    " MutatingAdmissionPolicyBinding",
    "apiextensions.k8s.io/v1": "CustomResourceDefinition",
    "apiregistration.k8s.io/v1": "APIService",
    "apps/v1": "ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet",
    "authentication.k8s.io/v1": "SelfSubjectReview TokenReview",
    "authorization.k8s.io/v1": "LocalSubjectAccessReview SelfSubjectAccessReview"
    " SelfSubjectRulesReview SubjectAccessReview",
    "autoscaling/v1": "HorizontalPodAutoscaler",
    "autoscaling/v2": "HorizontalPodAutoscaler",
    "batch/v1": "CronJob Job",
    "certificates.k8s.io/v1": "CertificateSigningRequest",
    "certificates.k8s.io/v1beta1": "ClusterTrustBundle PodCertificateRequest",
    "coordination.k8s.io/v1": "Lease",
    "coordination.k8s.io/v1beta1": "LeaseCandidate",
    "discovery.k8s.io/v1": "EndpointSlice",
    "events.k8s.io/v1": "Event",
    "flowcontrol.apiserver.k8s.io/v1": "FlowSchema PriorityLevelConfiguration",
    "networking.k8s.io/v1": "IPAddress Ingress IngressClass NetworkPolicy ServiceCIDR",
    "node.k8s.io/v1": "RuntimeClass",
    "policy/v1": "Eviction PodDisruptionBudget",
    "rbac.authorization.k8s.io/v1": "ClusterRole ClusterRoleBinding Role RoleBinding",
    "resource.k8s.io/v1": "DeviceClass ResourceClaim ResourceClaimTemplate ResourceSlice",
    "resource.k8s.io/v1beta1": "DeviceClass ResourceClaim ResourceClaimTemplate ResourceSlice",
    "resource.k8s.io/v1beta2": "DeviceClass DeviceTaintRule ResourceClaim ResourceClaimTemplate"
    " ResourceSlice",
    "scheduling.k8s.io/v1": "PriorityClass",
    "storage.k8s.io/v1": "CSIDriver CSINode CSIStorageCapacity StorageClass VolumeAttachment"
    " VolumeAttributesClass",
    "helm.cattle.io/v1": "HelmChart HelmChartConfig",
    "k3s.cattle.io/v1": "Addon ETCDSnapshotFile",
}
TRAEFIK_GROUPS: Final = frozenset(["traefik.io", "hub.traefik.io", "gateway.networking.k8s.io"])
"""What the Traefik that k3s carries defines, unless it is disabled."""

_SOURCE: Final = "source.toolkit.fluxcd.io"
_NOTIFICATION: Final = "notification.toolkit.fluxcd.io"
_IMAGE: Final = "image.toolkit.fluxcd.io"
_FLUX: Final[Mapping[str, Mapping[str, str]]] = {
    "source-controller": {
        _SOURCE: "Bucket ExternalArtifact GitRepository HelmChart HelmRepository OCIRepository"
    },
    "kustomize-controller": {"kustomize.toolkit.fluxcd.io": "Kustomization"},
    "helm-controller": {"helm.toolkit.fluxcd.io": "HelmRelease"},
    "notification-controller": {_NOTIFICATION: "Alert Provider Receiver"},
    "image-reflector-controller": {_IMAGE: "ImagePolicy ImageRepository"},
    "image-automation-controller": {_IMAGE: "ImageUpdateAutomation"},
    "source-watcher": {"source.extensions.fluxcd.io": "ArtifactGenerator"},
}
"""Each component of Flux 2.9 with the kinds that it serves."""
ALL_COMPONENTS: Final = tuple(_FLUX)
COMPONENTS: Final = tuple(name for name in _FLUX if name != "source-watcher")
"""The components that elysium installs when the configuration says nothing else."""
_FLUX_VERSIONS: Final = {
    _SOURCE: "v1beta1 v1beta2 v1",
    "kustomize.toolkit.fluxcd.io": "v1beta1 v1beta2 v1",
    "helm.toolkit.fluxcd.io": "v2beta1 v2beta2 v2",
    _NOTIFICATION: "v1beta2 v1beta3 v1",
    _IMAGE: "v1beta1 v1beta2 v1",
    "source.extensions.fluxcd.io": "v1beta1 v1",
}
_REMOVED: Final = {
    f"{_SOURCE}/v1beta1": (2, 7),
    f"{_SOURCE}/v1beta2": (2, 8),
    "kustomize.toolkit.fluxcd.io/v1beta1": (2, 7),
    "kustomize.toolkit.fluxcd.io/v1beta2": (2, 8),
    "helm.toolkit.fluxcd.io/v2beta1": (2, 7),
    "helm.toolkit.fluxcd.io/v2beta2": (2, 8),
    f"{_IMAGE}/v1beta1": (2, 7),
}
"""The release of Flux from which on a version is not served any more."""


def kubernetes() -> dict[tuple[str, str], set[str]]:
    """Return the versions by group and kind that Kubernetes and k3s serve."""
    found: dict[tuple[str, str], set[str]] = {}
    for version, kinds in _KUBERNETES.items():
        group, _, name = version.rpartition("/")
        for kind in kinds.split():
            found.setdefault((group, kind), set()).add(name)
    return found


def flux(components: Collection[str], release: tuple[int, int]) -> dict[tuple[str, str], set[str]]:
    """Return the versions by group and kind that Flux' `components` of `release` serve."""
    found: dict[tuple[str, str], set[str]] = {}
    for component in components:
        for group, kinds in _FLUX.get(component, {}).items():
            versions = {
                version
                for version in _FLUX_VERSIONS[group].split()
                if _REMOVED.get(f"{group}/{version}", (99, 0)) > release
            }
            for kind in kinds.split():
                found[group, kind] = versions
    return found


def component_of(group: str, kind: str) -> str:
    """Return the component of Flux that serves `kind`, or an empty text."""
    for component, served in _FLUX.items():
        if kind in served.get(group, "").split():
            return component
    return ""


def is_fixed(group: str) -> bool:
    """Return whether nothing in a repository adds kinds to `group`: it is Kubernetes' or Flux'."""
    return group in _FIXED


_FIXED: Final = frozenset(version.rpartition("/")[0] for version in _KUBERNETES) | frozenset(
    _FLUX_VERSIONS
)


def defined(obj: Mapping[str, Any]) -> tuple[tuple[str, str], set[str]] | None:
    """Return group and kind that the CustomResourceDefinition `obj` defines, and its versions."""
    if obj.get("kind") != "CustomResourceDefinition":
        return None
    spec = documents.mapping(obj.get("spec"))
    kind = str(documents.mapping(spec.get("names")).get("kind"))
    served = {
        str(one.get("name"))
        for one in documents.mappings(spec.get("versions"))
        if one.get("served", True)
    }
    return (str(spec.get("group")), kind), served
