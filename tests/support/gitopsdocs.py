"""Objects of a GitOps repository in one line each, for tests of what Flux makes of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

SOURCE = "source.toolkit.fluxcd.io/v1"


def files(**folders: str) -> dict[str, str]:
    """Return path to content: the keyword ``clusters__home`` is ``clusters/home/all.yaml``."""
    return {f"{name.replace('__', '/')}/all.yaml": text for name, text in folders.items()}


def many(*docs: str) -> str:
    """Return several documents as one file."""
    return "---\n".join(docs)


def obj(kind: str, name: str, namespace: str = "", **more: Any) -> str:
    """Return an object; `kind` is ``apiVersion:Kind``."""
    version, _, bare = kind.rpartition(":")
    metadata: dict[str, Any] = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    metadata |= more.pop("metadata", {})
    made = {"apiVersion": version, "kind": bare, "metadata": metadata, **more}
    return json.dumps(made) + "\n"


def kustomization(
    name: str, path: str, *after: str, source: str = "flux-system", kind: str = "", **spec: Any
) -> str:
    """Return a Flux Kustomization that depends on those named in `after`."""
    ref = {"kind": kind or "GitRepository", "name": source}
    body = {"interval": "1h", "path": path, "prune": True, "sourceRef": ref, **spec}
    if after:
        body["dependsOn"] = [{"name": one} for one in after]
    return obj("kustomize.toolkit.fluxcd.io/v1:Kustomization", name, "flux-system", spec=body)


def chart(name: str, *, values: Mapping[str, Any] | None = None, **spec: Any) -> str:
    """Return a HelmRelease of the chart `name` and its HelmRepository, both of that name."""
    ref = {"kind": "HelmRepository", "name": name}
    body = {"interval": "1h", "chart": {"spec": {"chart": name, "sourceRef": ref}}, **spec}
    if values:
        body["values"] = values
    url = f"https://charts.example.org/{name}"
    return many(
        obj("helm.toolkit.fluxcd.io/v2:HelmRelease", name, "flux-system", spec=body),
        obj(f"{SOURCE}:HelmRepository", name, "flux-system", spec={"interval": "1h", "url": url}),
    )


def source(name: str, url: str, kind: str = "GitRepository", **spec: Any) -> str:
    """Return a Flux source."""
    body = {"interval": "1h", "url": url, **spec}
    return obj(f"{SOURCE}:{kind}", name, "flux-system", spec=body)


def config_map(name: str, namespace: str = "default", **data: Any) -> str:
    """Return a ConfigMap."""
    return obj("v1:ConfigMap", name, namespace, data=data)


def custom(kind: str, name: str, namespace: str = "", **spec: Any) -> str:
    """Return a custom resource; `kind` is ``group/version:Kind``."""
    return obj(kind, name, namespace, spec=spec)
