"""What an account may change: bindings of roles, as Flux meets them when it acts as an account.

kustomize-controller and helm-controller impersonate the ServiceAccount of
``spec.serviceAccountName``; without it they act as themselves, who may do anything. A RoleBinding
counts in its namespace, a ClusterRoleBinding everywhere (Kubernetes documentation, "Using RBAC
Authorization"). Which verbs a role has is not looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from provision.gitops import documents
from provision.gitops.build import values
from provision.gitops.coldstart import charts
from provision.gitops.documents import Place, mapping, mappings

BINDING: Final = "RoleBinding"
CLUSTER_BINDING: Final = "ClusterRoleBinding"
_GROUP: Final = "rbac.authorization.k8s.io"
_OF_FLUX: Final = ("kustomize-controller", "helm-controller")
"""Accounts that Flux' own manifests bind to cluster-admin."""
_ANYONE: Final = "*"
"""A subject whose name holds a value that is not known."""
_EVERYONE: Final = (_ANYONE, "system:authenticated", "system:serviceaccounts")


class Grants:
    """The accounts that a role is bound to by now."""

    def __init__(self, flux_namespace: str) -> None:
        """Begin with the bindings that come with Flux, in `flux_namespace`."""
        self._everywhere = {_user(flux_namespace, name) for name in _OF_FLUX}
        self._within: dict[str, set[str]] = {}

    def learn(self, obj: Mapping[str, Any]) -> None:
        """Take in `obj`, if it is a binding."""
        kind, namespace, _ = documents.place_of(obj)
        if documents.group_of(obj) != _GROUP or kind not in (BINDING, CLUSTER_BINDING):
            return
        bound = self._everywhere
        if kind == BINDING:
            bound = self._within.setdefault(namespace, set())
        for one in mappings(obj.get("subjects")):
            name = str(one.get("name"))
            if one.get("kind") == "ServiceAccount":
                name = _user(str(one.get("namespace") or namespace), name)
            bound.add(_ANYONE if values.UNKNOWN.search(name) else name)

    def lacking(self, namespace: str, account: str, objects: Iterable[Place]) -> list[Place]:
        """Return the bindings without which the account may not change all of `objects`.

        Each is named after the account: in a namespace, or for the whole cluster.
        """
        user = _user(namespace, account)
        names = {user, *_EVERYONE, f"system:serviceaccounts:{namespace}"}
        if names & self._everywhere or values.UNKNOWN.search(user):
            return []
        found: dict[Place, None] = {}
        for kind, where, _ in objects:
            if where:
                unknown = values.UNKNOWN.search(where)
                if not unknown and not names & self._within.get(where, set()):
                    found[BINDING, where, account] = None
            elif kind in charts.CLUSTER_SCOPED:
                found[CLUSTER_BINDING, "", account] = None
        return list(found)


def account_of(obj: Mapping[str, Any]) -> str:
    """Return the account that a Kustomization or HelmRelease `obj` is applied as, or nothing."""
    return str(mapping(obj.get("spec")).get("serviceAccountName") or "")


def _user(namespace: str, account: str) -> str:
    return f"system:serviceaccount:{namespace}:{account}"
