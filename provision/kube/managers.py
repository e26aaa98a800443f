"""Who owns which field of an object, and taking over what is ours by right.

Source: Kubernetes "Server-Side Apply", field management; the structure of
`metadata.managedFields` (FieldsV1).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, Final

from provision.kube import normal

CREATOR: Final = "pulumi-kubernetes"
"""The manager of a plain create, which is not an apply."""

# By hand, or by an earlier way of writing: their fields become ours at the
# next update, as under the upstream provider.
_TAKEN_OVER: Final = ("kubectl", "before-first-apply", CREATOR, "pulumi-resource-kubernetes")
_MANAGER_ANNOTATION: Final = "pulumi.com/patchFieldManager"
_FORCE_ANNOTATION: Final = "pulumi.com/patchForce"


def manager(inputs: Mapping[str, Any], kept: str) -> str:
    """Return the field manager: the annotation's, the one `kept` in state, or a new one."""
    return (
        normal.annotation(inputs, _MANAGER_ANNOTATION)
        or kept
        or f"{CREATOR}-{secrets.token_hex(4)}"
    )


def forced(inputs: Mapping[str, Any]) -> bool:
    """Return whether the program asked to take fields from other managers."""
    return normal.annotation(inputs, _FORCE_ANNOTATION) == "true"


def takeover(live: Mapping[str, Any], own: str) -> list[dict[str, Any]] | None:
    """Return the JSON patch that makes `own` the owner of hand-made changes, or None.

    Managers that elysium does not replace (controllers, Helm, Flux) keep their
    fields. The patch fails (409 or 422) if the object changed since it was read.
    """
    entries: list[dict[str, Any]] = live["metadata"].get("managedFields") or []
    taken = [entry for entry in entries if _is_taken(entry, own)]
    if not taken:
        return None
    version = str(live.get("apiVersion"))
    fields: dict[str, Any] = {}
    for entry in [e for e in entries if _is_own(e, own)] + taken:
        _merge(fields, entry.get("fieldsV1") or {})
    kept = [entry for entry in entries if entry not in taken and not _is_own(entry, own)]
    mine = {
        "manager": own,
        "operation": "Apply",
        "apiVersion": version,
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }
    return [
        {
            "op": "replace",
            "path": "/metadata/resourceVersion",
            "value": live["metadata"]["resourceVersion"],
        },
        {"op": "replace", "path": "/metadata/managedFields", "value": [*kept, mine]},
    ]


def _is_own(entry: Mapping[str, Any], own: str) -> bool:
    return (
        entry.get("manager") == own
        and entry.get("operation") == "Apply"
        and not entry.get("subresource")
    )


def _is_taken(entry: Mapping[str, Any], own: str) -> bool:
    if entry.get("subresource"):
        return False
    name = str(entry.get("manager"))
    if name == own:
        return entry.get("operation") == "Update"
    if name == CREATOR:
        return entry.get("operation") == "Update"
    if name.startswith(f"{CREATOR}-"):
        return False  # another resource's or another stack's manager
    return name.startswith(_TAKEN_OVER)


def _merge(into: dict[str, Any], other: Mapping[str, Any]) -> None:
    for key, value in other.items():
        _merge(into.setdefault(key, {}), value)
