"""Which Kubernetes kind a Pulumi type is, and which types this provider serves.

``kubernetes:core/v1:Secret`` is kind Secret of ``v1``. Served are the built-in
kinds listed here, and every kind of a group that is not built in: a custom
resource. Everything else (Helm releases, ``…Patch`` and ``…List`` types,
further built-in kinds) is refused by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SERVED: Final = {
    "v1": "ConfigMap Namespace PersistentVolume PersistentVolumeClaim Pod ResourceQuota Secret "
    "Service ServiceAccount",
    "apps/v1": "DaemonSet Deployment StatefulSet",
    "batch/v1": "CronJob Job",
    "networking.k8s.io/v1": "Ingress NetworkPolicy",
    "rbac.authorization.k8s.io/v1": "ClusterRole ClusterRoleBinding Role RoleBinding",
    "apiextensions.k8s.io/v1": "CustomResourceDefinition",
    "scheduling.k8s.io/v1": "PriorityClass",
    "storage.k8s.io/v1": "StorageClass",
}
CLUSTER_SCOPED: Final = frozenset(
    [
        "ClusterRole",
        "ClusterRoleBinding",
        "CustomResourceDefinition",
        "Namespace",
        "PersistentVolume",
        "PriorityClass",
        "StorageClass",
    ]
)
"""Those of `SERVED` that live in no namespace."""
_BUILTIN_PREFIXES: Final = (
    "admissionregistration",
    "apiextensions",
    "apiregistration",
    "auditregistration",
    "authentication",
    "authorization",
    "certificates",
    "coordination",
    "discovery",
    "events",
    "flowcontrol.apiserver",
    "networking",
    "node",
    "rbac.authorization",
    "resource",
    "scheduling",
    "settings",
    "storage",
    "storagemigration",
)
# Without a dot no group can be a custom resource's; helm.sh and the like are Pulumi's own.
_BUILTIN_GROUPS: Final = frozenset(
    ["helm.sh", "internal.apiserver.k8s.io", *(f"{name}.k8s.io" for name in _BUILTIN_PREFIXES)]
)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind with its `api_version` as objects write it (``v1``, ``apps/v1``)."""

    api_version: str
    kind: str

    @property
    def group(self) -> str:
        """Return the API group, empty for the core one."""
        return self.api_version.rpartition("/")[0]

    @property
    def builtin(self) -> bool:
        """Return whether it is one of Kubernetes' own, not a custom resource."""
        return "." not in self.group or self.group in _BUILTIN_GROUPS

    def __str__(self) -> str:
        return f"{self.kind} ({self.api_version})"


class UnservedError(ValueError):
    """A type of the ``kubernetes`` package that the embedded engine does not serve."""


def parse(token: str) -> Kind:
    """Return the kind of the Pulumi type `token`. Raises `UnservedError`, naming it.

    The types of a resource's parents may stand before it, as in a URN.
    """
    token = token.rpartition("$")[2]
    package, _, rest = token.partition(":")
    module, _, kind = rest.rpartition(":")
    group, _, version = module.rpartition("/")
    if package != "kubernetes" or not kind or not version or not group:
        raise UnservedError(f"{token} is not the type of a Kubernetes object")
    found = Kind(api_version=version if group == "core" else f"{group}/{version}", kind=kind)
    if found.builtin and kind not in SERVED.get(found.api_version, "").split():
        raise UnservedError(
            f"{token} is not served by the embedded engine; it serves custom resources and "
            + ", ".join(sorted(" ".join(SERVED.values()).split()))
            + " (--engine upstream serves everything)"
        )
    return found
