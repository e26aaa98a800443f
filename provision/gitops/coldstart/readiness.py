"""What Flux' sources, image kinds and Receivers need to become ready.

It counts where a Kustomization waits for them, by `spec.wait` or a health check (Flux
documentation, "Health assessment"). Alerts and Providers have no status and are ready at once, as
are OCI HelmRepositories.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from provision.gitops import documents
from provision.gitops.coldstart import releases
from provision.gitops.documents import Place, mapping

_NOTIFICATION: Final = "notification.toolkit.fluxcd.io"
_IMAGE: Final = "image.toolkit.fluxcd.io"
_SOURCE: Final = "source.toolkit.fluxcd.io"
_KINDS: Final[Mapping[str, frozenset[str]]] = {
    _SOURCE: frozenset(["Bucket", "GitRepository", "HelmRepository", "OCIRepository"]),
    _IMAGE: frozenset(["ImagePolicy", "ImageRepository", "ImageUpdateAutomation"]),
    _NOTIFICATION: frozenset(["Receiver"]),
}


def is_checked(obj: Mapping[str, Any]) -> bool:
    """Return whether `obj` becomes ready only when it has what it needs."""
    kind = obj.get("kind")
    if kind not in _KINDS.get(documents.group_of(obj), ()):
        return False
    spec = mapping(obj.get("spec"))
    is_static = kind == "HelmRepository" and spec.get("type") == "oci"
    return not is_static and not spec.get("suspend")


def needs(obj: Mapping[str, Any]) -> list[Place]:
    """Return the objects that `obj` needs before it is ready."""
    namespace = documents.place_of(obj)[1]
    spec = mapping(obj.get("spec"))
    found = releases.secrets_of(spec, namespace)
    if obj.get("kind") == "ImagePolicy":
        found.append(_other("ImageRepository", spec.get("imageRepositoryRef"), namespace))
    elif obj.get("kind") == "ImageUpdateAutomation":
        found.append(_other("GitRepository", spec.get("sourceRef"), namespace))
    return found


def _other(kind: str, ref: Any, namespace: str) -> Place:
    named = mapping(ref)
    return kind, str(named.get("namespace") or namespace), str(named.get("name"))
