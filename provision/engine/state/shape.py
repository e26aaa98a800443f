"""The types in a state file, as upstream's own reader demands them.

Every reader of a checkpoint relies on them. A missing field and null are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, cast

_Check = Callable[[Any], bool]


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in _items(value))


def _lists_of_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(
        item is None or _texts(item) for item in cast("dict[str, Any]", value).values()
    )


def _items(value: Any) -> list[Any]:
    return cast("list[Any]", value)


def _is(kind: type) -> _Check:
    return lambda value: isinstance(value, kind)


_RESOURCE: Final[Mapping[str, tuple[_Check, str]]] = {
    **{
        key: (_is(str), "a text")
        for key in ("id", "parent", "provider", "deletedWith", "importID", "created", "modified")
    },
    **{
        key: (_is(bool), "true or false")
        for key in (
            *("custom", "delete", "external", "protect", "retainOnDelete", "pendingReplacement"),
            *("taint", "refreshBeforeUpdate"),
        )
    },
    **{key: (_is(dict), "an object") for key in ("inputs", "outputs", "customTimeouts")},
    **{
        key: (_texts, "a list of texts")
        for key in ("dependencies", "initErrors", "additionalSecretOutputs", "aliases")
    },
    "replaceWith": (_texts, "a list of texts"),
    "propertyDependencies": (_lists_of_texts, "an object of lists of texts"),
    "resourceHooks": (_lists_of_texts, "an object of lists of texts"),
}


def problem(latest: Any) -> str:
    """Return the first wrong type in the deployment `latest`; empty where all are right."""
    if latest is None:
        return ""
    if not isinstance(latest, dict):
        return "its deployment is not an object"
    body = cast("dict[str, Any]", latest)
    for key in ("manifest", "secrets_providers", "metadata"):
        if not isinstance(body.get(key) or {}, dict):
            return f"its {key} is not an object"
    if not isinstance((body.get("secrets_providers") or {}).get("state") or {}, dict):
        return "its secrets_providers.state is not an object"
    for key in ("resources", "pending_operations"):
        if not isinstance(body.get(key) or [], list):
            return f"its {key} are not a list"
    for each in body.get("resources") or ():
        if found := resource_problem(each):
            return found
    for each in body.get("pending_operations") or ():
        if found := _operation_problem(each):
            return found
    return ""


def resource_problem(each: Any) -> str:
    """Return the first wrong type in one resource; empty where all are right."""
    if not isinstance(each, dict):
        return "one of its resources is not an object"
    resource = cast("dict[str, Any]", each)
    urn, kind = resource.get("urn"), resource.get("type")
    if not isinstance(urn, str) or not isinstance(kind, str) or not urn or not kind:
        return "one of its resources has no urn or type"
    for key, (is_right, words) in _RESOURCE.items():
        value = resource.get(key)
        if value is not None and not is_right(value):
            return f"{key} of {urn} is not {words}"
    return ""


def _operation_problem(each: Any) -> str:
    if not isinstance(each, dict):
        return "one of its pending operations is not an object"
    operation = cast("dict[str, Any]", each)
    if not isinstance(operation.get("type") or "", str):
        return "type of a pending operation is not a text"
    return resource_problem(operation.get("resource"))
