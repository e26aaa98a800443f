"""What the API server of a new cluster serves: the kinds of Kubernetes, k3s and Flux.

Kubernetes' kinds are those of the pinned release (Kubernetes documentation, "API Reference" and
"Deprecated API Migration Guide"); alpha and beta versions are listed where a cluster may serve
them. Flux' kinds are those of the release that is installed (Flux roadmap, "Deprecations").
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
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

_FLUX: Final[Mapping[str, str]] = {
    "source-controller": """\
source.toolkit.fluxcd.io Bucket v1beta1<2.7 v1beta2<2.8 v1>=2.4
source.toolkit.fluxcd.io ExternalArtifact v1>=2.7
source.toolkit.fluxcd.io GitRepository v1beta1<2.7 v1beta2<2.8 v1
source.toolkit.fluxcd.io HelmChart v1beta1<2.7 v1beta2<2.8 v1>=2.3
source.toolkit.fluxcd.io HelmRepository v1beta1<2.7 v1beta2<2.8 v1>=2.3
source.toolkit.fluxcd.io OCIRepository v1beta2<2.8 v1>=2.6
""",
    "kustomize-controller": """\
kustomize.toolkit.fluxcd.io Kustomization v1beta1<2.7 v1beta2<2.8 v1
""",
    "helm-controller": """\
helm.toolkit.fluxcd.io HelmRelease v2beta1<2.7 v2beta2<2.8 v2>=2.3
""",
    "notification-controller": """\
notification.toolkit.fluxcd.io Alert v1beta1<2.7 v1beta2<2.9 v1beta3>=2.2
notification.toolkit.fluxcd.io Provider v1beta1<2.7 v1beta2<2.9 v1beta3>=2.2
notification.toolkit.fluxcd.io Receiver v1beta1<2.7 v1beta2<2.9 v1
""",
    "image-reflector-controller": """\
image.toolkit.fluxcd.io ImagePolicy v1beta1<2.7 v1beta2<2.9 v1>=2.7
image.toolkit.fluxcd.io ImageRepository v1beta1<2.7 v1beta2<2.9 v1>=2.7
""",
    "image-automation-controller": """\
image.toolkit.fluxcd.io ImageUpdateAutomation v1beta1<2.7 v1beta2<2.9 v1>=2.7
""",
    "source-watcher": """\
source.extensions.fluxcd.io ArtifactGenerator v1beta1>=2.7
""",
}
"""Each component of Flux 2.9 with the kinds that it serves, and their versions.

``<2.7``: the version is not served any more since that release. ``>=2.4``: it is served since then.
"""
_VERSION: Final = re.compile(r"(\w+)(<|>=)?([0-9.]*)")
ALL_COMPONENTS: Final = tuple(_FLUX)
COMPONENTS: Final = tuple(name for name in _FLUX if name != "source-watcher")
"""The components that elysium installs when the configuration says nothing else."""


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
        for group, kind, versions in _rows(component):
            found[group, kind] = {name for text in versions if (name := _served(text, release))}
    return found


def component_of(group: str, kind: str) -> str:
    """Return the component of Flux that serves `kind`, or an empty text."""
    for component in _FLUX:
        if any((group, kind) == (row[0], row[1]) for row in _rows(component)):
            return component
    return ""


def _rows(component: str) -> Iterator[tuple[str, str, list[str]]]:
    """Yield the rows of `component` in the table: group, kind and the texts of the versions."""
    for line in _FLUX.get(component, "").splitlines():
        group, kind, *versions = line.split()
        yield group, kind, versions


def _served(text: str, release: tuple[int, int]) -> str:
    """Return the version of `text`, such as ``v1beta2<2.8``, if `release` serves it."""
    name, sign, limit = _VERSION.findall(text)[0]
    if not sign:
        return name
    major, _, minor = limit.partition(".")
    is_before = release < (int(major), int(minor))
    return name if is_before == (sign == "<") else ""


def is_fixed(group: str) -> bool:
    """Return whether nothing in a repository adds kinds to `group`: it is Kubernetes' or Flux'."""
    return group in _FIXED


_FIXED: Final = frozenset(version.rpartition("/")[0] for version in _KUBERNETES) | frozenset(
    row[0] for component in _FLUX for row in _rows(component)
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
