"""Objects of Flux that somebody suspended: ``elysium up`` leaves them alone. Pure.

Fact: the command line of Flux, ``flux resume``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

Object = Mapping[str, Any]

_COMMANDS: Final[Mapping[str, str]] = {
    "Alert": "alert",
    "Bucket": "source bucket",
    "GitRepository": "source git",
    "HelmChart": "source chart",
    "HelmRelease": "helmrelease",
    "HelmRepository": "source helm",
    "ImagePolicy": "image policy",
    "ImageRepository": "image repository",
    "ImageUpdateAutomation": "image update",
    "Kustomization": "kustomization",
    "OCIRepository": "source oci",
    "Provider": "alert-provider",
    "Receiver": "receiver",
}


def is_suspended(obj: Object) -> bool:
    """Return whether no controller acts on the object."""
    return bool((obj.get("spec") or {}).get("suspend"))


def resume(obj: Object) -> str:
    """Return how a suspended object of Flux is resumed, empty for one that is not suspended."""
    if not is_suspended(obj):
        return ""
    kind, metadata = str(obj["kind"]), obj["metadata"]
    namespace, name = metadata.get("namespace"), metadata["name"]
    command = _COMMANDS.get(kind)
    how = "set its spec.suspend to false"
    if command:
        how = f"flux resume {command} {name} -n {namespace or 'default'}"
    titled = f"{namespace}/{name}" if namespace else name
    return f"resume {kind} {titled}: {how}; where Git suspends it, change it there"
