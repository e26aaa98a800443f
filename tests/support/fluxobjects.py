"""Objects as Flux' controllers and Kubernetes leave them, and a cluster that lists them."""

from __future__ import annotations

from typing import Any

KUSTOMIZE = "kustomize.toolkit.fluxcd.io/v1"
SOURCE = "source.toolkit.fluxcd.io/v1"
HELM = "helm.toolkit.fluxcd.io/v2"


class Cluster:
    """Objects that are listed by kind; `lists` counts."""

    def __init__(self, *objects: dict[str, Any]) -> None:
        self.objects = objects
        self.lists: list[str] = []

    def list(self, api_version: str, kind: str, *_: Any) -> list[dict[str, Any]]:
        self.lists.append(kind)
        return [o for o in self.objects if (o["apiVersion"], o["kind"]) == (api_version, kind)]

    def get(
        self, api_version: str, kind: str, name: str, namespace: str | None = None
    ) -> dict[str, Any] | None:
        """Return the object of that name, or None."""
        wanted = (name, namespace)
        found = (
            o
            for o in self.list(api_version, kind)
            if (o["metadata"]["name"], o["metadata"].get("namespace")) == wanted
        )
        return next(found, None)


def flux(
    version: str,
    kind: str,
    name: str,
    ready: str = "True",
    message: str = "",
    reason: str = "Failed",
    *,
    namespace: str = "flux-system",
    spec: dict[str, Any] | None = None,
    **status: Any,
) -> dict[str, Any]:
    condition = {
        "type": "Ready",
        "status": ready,
        "reason": reason,
        "message": message,
        "observedGeneration": 1,
    }
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "generation": 1},
        "spec": spec or {},
        "status": {
            "observedGeneration": 1 if ready == "True" else -1,
            "conditions": [condition],
            **status,
        },
    }
