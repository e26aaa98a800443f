"""Which URL path a kind has.

The kinds Kubernetes itself always serves are a table (their plural names are
part of its API and never change), so that a run that touches only these asks
for no discovery at all. Everything else is looked up with aggregated discovery:
one request for all groups (Kubernetes 1.27 and later), or one request for the
group's version on a server that does not know it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from provision import errors

AGGREGATED = (
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,"
    "application/json"
)


@dataclass(frozen=True, kw_only=True)
class Served:
    """How the API serves a kind."""

    plural: str
    namespaced: bool


def _table() -> dict[tuple[str, str], Served]:
    namespaced = {
        "v1": "ConfigMap Secret ServiceAccount Service Pod PersistentVolumeClaim ResourceQuota "
        "Event LimitRange ReplicationController",
        "apps/v1": "DaemonSet Deployment ReplicaSet StatefulSet ControllerRevision",
        "batch/v1": "Job CronJob",
        "rbac.authorization.k8s.io/v1": "Role RoleBinding",
        "coordination.k8s.io/v1": "Lease",
    }
    cluster = {
        "v1": "Namespace Node PersistentVolume",
        "rbac.authorization.k8s.io/v1": "ClusterRole ClusterRoleBinding",
        "apiextensions.k8s.io/v1": "CustomResourceDefinition",
    }
    table = {
        (version, kind): Served(plural=kind.lower() + "s", namespaced=scope)
        for scope, kinds in ((True, namespaced), (False, cluster))
        for version, names in kinds.items()
        for kind in names.split()
    }
    table["networking.k8s.io/v1", "NetworkPolicy"] = Served(
        plural="networkpolicies", namespaced=True
    )
    table["networking.k8s.io/v1", "Ingress"] = Served(plural="ingresses", namespaced=True)
    table["storage.k8s.io/v1", "StorageClass"] = Served(plural="storageclasses", namespaced=False)
    table["scheduling.k8s.io/v1", "PriorityClass"] = Served(
        plural="priorityclasses", namespaced=False
    )
    return table


BUILTIN: Mapping[tuple[str, str], Served] = _table()


class Kinds:
    """The kinds of one API server, looked up once and kept. Safe in threads.

    `fetch` takes a path and an Accept header and returns the JSON answer, or
    None for a 404.
    """

    def __init__(self, fetch: Callable[[str, str], Any]) -> None:
        self._fetch = fetch
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], Served] = dict(BUILTIN)

    def find(self, api_version: str, kind: str) -> Served | None:
        """Return how `kind` is served, or None where the server does not know it.

        A kind not known yet is asked for again at every call, since a custom
        resource definition may have been made in the meantime.
        """
        found = self._known.get((api_version, kind))
        if found:
            return found
        with self._lock:
            found = self._known.get((api_version, kind))
            if not found:
                self._learn(api_version)
                found = self._known.get((api_version, kind))
        return found

    def _learn(self, api_version: str) -> None:
        if "/" in api_version:
            answer = self._fetch("/apis", AGGREGATED)
            if isinstance(answer, dict) and answer.get("kind") == "APIGroupDiscoveryList":
                self._known.update(_aggregated(answer))
                return
            path = _segments("apis", *api_version.split("/"))
        else:
            path = _segments("api", api_version)
        answer = self._fetch(path, "application/json")
        for item in (answer or {}).get("resources", ()):
            if "/" not in item["name"]:
                self._known[api_version, item["kind"]] = Served(
                    plural=item["name"], namespaced=item["namespaced"]
                )


def check(answer: Any) -> None:
    """Raise one of Python's own errors unless `answer` can be read by `Kinds`."""
    if answer.get("kind") == "APIGroupDiscoveryList":
        served = [(key, kind) for (key, _), kind in _aggregated(answer).items()]
        texts = [text for key, kind in served for text in (key, kind.plural)]
    elif "resources" in answer:
        texts = [text for item in answer["resources"] for text in (item["name"], item["kind"])]
        if not all(isinstance(item["namespaced"], bool) for item in answer["resources"]):
            raise ValueError("namespaced")
    elif answer.get("kind") in ("APIGroupList", "APIResourceList"):
        return
    else:
        raise ValueError("kind")
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("names")


def _aggregated(answer: Mapping[str, Any]) -> dict[tuple[str, str], Served]:
    known: dict[tuple[str, str], Served] = {}
    for group in answer.get("items", ()):
        name = group["metadata"].get("name", "")
        for version in group.get("versions", ()):
            for item in version.get("resources", ()):
                kind = (item.get("responseKind") or {}).get("kind")
                if kind:
                    known[f"{name}/{version['version']}", kind] = Served(
                        plural=item["resource"], namespaced=item["scope"] == "Namespaced"
                    )
    return known


def path(
    served: Served, api_version: str, namespace: str | None, name: str = "", subresource: str = ""
) -> str:
    """Return the URL path of an object, or of the collection when `name` is empty.

    `namespace` None for a namespaced kind means all namespaces.
    """
    parts = ["api" if "/" not in api_version else "apis", *api_version.split("/")]
    if served.namespaced and namespace:
        parts += ["namespaces", namespace]
    parts.append(served.plural)
    if name:
        parts.append(name)
    if subresource:
        parts.append(subresource)
    return _segments(*parts)


def _segments(*names: str) -> str:
    """Return the URL path whose segments are `names`, each quoted.

    Raises `errors.KubeError` (status 400) for a name that would lead to another path.
    """
    if any(name in ("", ".", "..") for name in names):
        raise errors.KubeError(
            f"{'/'.join(names)!r} is no path of the Kubernetes API",
            status=400,
            reason="Path",
            hint="check apiVersion, namespace and name of the object",
        )
    return "".join(f"/{quote(name, safe='')}" for name in names)
