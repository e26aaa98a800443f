"""Whether an answer is what a Kubernetes API sends: statuses, objects and the types in them.

A proxy, a captive portal or another server may answer in its place. What is
not as the API conventions say is an `errors.KubeError` with the reason
``NotKubernetes`` that names the address and the status.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, cast

from provision import errors

EXPECTED: Mapping[str, frozenset[int]] = {
    "GET": frozenset((200,)),
    "POST": frozenset((200, 201, 202)),
    "PATCH": frozenset((200, 201)),
    "DELETE": frozenset((200, 202)),
}
"""The statuses of success, by method (Kubernetes' OpenAPI document)."""

_QUOTED = 200
_UNSERVED = "404 page not found"
"""What the API server answers to a path that it does not serve, as plain text."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Which answer it is. `what` is the clause an error begins with."""

    what: str
    address: str
    status: int

    def wrong(self, reason: str, body: str = "") -> NoReturn:
        """Raise the error for an answer that no Kubernetes API gives."""
        raise errors.KubeError(
            f"{self.what}: {self.address} answered {self.status},"
            f" and not as a Kubernetes API: {reason}",
            status=self.status,
            reason="NotKubernetes",
            detail=body[:_QUOTED],
            hint="is another server or a proxy at this address?",
        )


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A JSON object, and which answer it is."""

    data: dict[str, Any]
    source: Source


def parse(body: bytes, source: Source) -> dict[str, Any]:
    """Return the JSON object in `body`."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        source.wrong("the body is not JSON", body.decode("utf-8", "replace"))
    if not isinstance(data, dict):
        source.wrong("the body is not an object")
    return cast("dict[str, Any]", data)


def is_absent(body: bytes) -> bool:
    """Return whether the body of a 404 is the API's own, not a proxy's."""
    if body.decode("utf-8", "replace").strip() == _UNSERVED:
        return True
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(data, dict) and cast("dict[str, Any]", data).get("kind") == "Status"


def check_object(
    data: dict[str, Any], source: Source, *, kind: str = "", name: str = ""
) -> dict[str, Any]:
    """Return `data` if it is an object of the API: of this `kind` and `name` where they are given.

    Checked are the types of what all objects share, so that a reader may rely on them.
    """
    if kind and data.get("kind") != kind:
        source.wrong(f"the kind is not {kind}")
    metadata = data.get("metadata")
    if not isinstance(metadata, dict):
        source.wrong("metadata is not an object")
    about = cast("dict[str, Any]", metadata)
    if not isinstance(about.get("name"), str) or (name and about["name"] != name):
        source.wrong(f"metadata.name is not {name}" if name else "metadata.name is not a text")
    for key in ("namespace", "uid", "resourceVersion", "deletionTimestamp", "creationTimestamp"):
        _require(about.get(key), str, f"metadata.{key}", source)
    for key in ("labels", "annotations"):
        _texts(about.get(key), f"metadata.{key}", source)
    for key, item in (("ownerReferences", dict), ("managedFields", dict), ("finalizers", str)):
        _list(about.get(key), item, f"metadata.{key}", source)
    for key in ("spec", "status"):
        _require(data.get(key), dict, key, source)
    if isinstance(data.get("status"), dict):
        _list(data["status"].get("conditions"), dict, "status.conditions", source)
    if data.get("kind") in ("Secret", "ConfigMap"):
        _texts(data.get("data"), "data", source)
    return data


def check_list(
    data: dict[str, Any], source: Source, *, kind: str
) -> tuple[list[dict[str, Any]], str]:
    """Return the items of a list of `kind`, and the token of its next page."""
    if data.get("kind") not in (f"{kind}List", "List"):
        source.wrong(f"the kind is not {kind}List")
    metadata: Any = data.get("metadata")
    _require(metadata, dict, "metadata", source)
    token: Any = (metadata or {}).get("continue")
    _require(token, str, "metadata.continue", source)
    _list(data.get("items"), dict, "items", source)
    items: list[dict[str, Any]] = data.get("items") or []
    return [check_object(item, source) for item in items], token or ""


def check_deleted(data: dict[str, Any], source: Source) -> None:
    """Raise unless `data` says that the deletion was taken: a Status of success, or the object."""
    if data.get("kind") == "Status":
        if data.get("status") != "Success":
            source.wrong("the Status is not Success")
    else:
        check_object(data, source)


def _require(value: Any, kind: type, key: str, source: Source) -> None:
    if value is not None and not isinstance(value, kind):
        source.wrong(f"{key} is not {_NAMES[kind]}")


def _list(value: Any, item: type, key: str, source: Source) -> None:
    _require(value, list, key, source)
    if not all(isinstance(each, item) for each in value or ()):
        source.wrong(f"{key} is not a list of the right kind")


def _texts(value: Any, key: str, source: Source) -> None:
    _require(value, dict, key, source)
    if not all(isinstance(text, str) for text in (value or {}).values()):
        source.wrong(f"{key} is not a mapping of texts")


_NAMES: Mapping[type, str] = {str: "a text", dict: "an object", list: "a list"}
