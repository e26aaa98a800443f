"""Flux' sync: the GitRepository and the root Kustomization, as objects and as the file in Git.

Pure. What counts when comparing is what decides which commit of which folder
Flux applies, and as whom; anything else in the file is the user's to change.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import yaml

from provision.gitops import documents
from provision.provider.flux import install, objects
from provision.provider.resource import Values

ROOT_INTERVAL = "10m0s"
KUSTOMIZATION = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
- gotk-components.yaml
- gotk-sync.yaml
"""
_HEADER = "# Which commit of which folder Flux applies to this cluster.\n---\n"
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


@dataclass(frozen=True, kw_only=True)
class Essence:
    """What must be right. `interval` in seconds (None: not told)."""

    url: str
    branch: str
    secret: str
    path: str
    source: str
    interval: float | None


def sync_objects(inputs: Values) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the GitRepository and the Kustomization."""
    metadata = {"name": inputs["name"], "namespace": inputs["namespace"]}
    source = {
        "apiVersion": objects.SOURCE,
        "kind": "GitRepository",
        "metadata": dict(metadata),
        "spec": {
            "interval": inputs["interval"],
            "ref": {"branch": inputs["branch"]},
            "secretRef": {"name": inputs["secretName"]},
            "url": inputs["gitUrl"],
        },
    }
    root = {
        "apiVersion": objects.KUSTOMIZE,
        "kind": "Kustomization",
        "metadata": dict(metadata),
        "spec": {
            "interval": ROOT_INTERVAL,
            "path": f"./{install.normal_path(inputs['path'])}",
            "prune": True,
            "sourceRef": {"kind": "GitRepository", "name": inputs["name"]},
        },
    }
    return source, root


def render(inputs: Values) -> str:
    """Return ``gotk-sync.yaml``."""
    return _HEADER + "---\n".join(documents.dump(obj) for obj in sync_objects(inputs))


def essence(source: Mapping[str, Any] | None, root: Mapping[str, Any] | None) -> Essence:
    """Return what counts of the two objects; what is missing is empty."""
    spec: Mapping[str, Any] = (source or {}).get("spec") or {}
    applied: Mapping[str, Any] = (root or {}).get("spec") or {}
    return Essence(
        url=normal_url(str(spec.get("url") or "")),
        branch=str((spec.get("ref") or {}).get("branch") or ""),
        secret=str((spec.get("secretRef") or {}).get("name") or ""),
        path=install.normal_path(str(applied.get("path") or "")),
        source=str((applied.get("sourceRef") or {}).get("name") or ""),
        interval=seconds(str(spec.get("interval") or "")),
    )


def in_file(text: str, inputs: Values) -> tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]:
    """Return the GitRepository and the Kustomization in an existing ``gotk-sync.yaml``."""
    found: dict[str, Mapping[str, Any]] = {}
    try:
        for obj in documents.load_all(text):
            if isinstance(obj, dict) and (obj.get("metadata") or {}).get("name") == inputs["name"]:
                found[str(obj.get("kind"))] = obj
    except yaml.YAMLError:
        return None, None
    return found.get("GitRepository"), found.get("Kustomization")


def same_file(text: str, inputs: Values) -> bool:
    """Return whether a ``gotk-sync.yaml`` already says what is wanted, in whatever words."""
    return essence(*in_file(text, inputs)) == essence(*sync_objects(inputs))


def differing_fields(have: Essence, want: Essence) -> tuple[str, ...]:
    """Return which parts of the cluster's objects differ; a patched interval is the user's."""
    names = ("url", "branch", "secret", "path", "source")
    return tuple(name for name in names if getattr(have, name) != getattr(want, name))


def normal_url(url: str) -> str:
    """Return a git URL as one of several spellings: no ``.git``, no default port."""
    parts = urlsplit(url)
    port = parts.port if parts.port not in (None, 22) else None
    host = (parts.hostname or "") + (f":{port}" if port else "")
    user = f"{parts.username}@" if parts.username else ""
    path = parts.path.rstrip("/").removesuffix(".git")
    return f"{parts.scheme}://{user}{host}{path}"


def seconds(duration: str) -> float | None:
    """Return a Go duration (``1m0s``, ``90s``) in seconds, None for what is none."""
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|h|m|s)", duration)
    if not parts or "".join(n + u for n, u in parts) != duration:
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in parts)
