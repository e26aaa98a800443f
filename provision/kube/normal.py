"""Objects as the provider compares them: normalised, named, cut to what we own.

Plain values only: text, numbers, booleans, None, lists, dicts, and `UNKNOWN`
for what only a real run will know. Nothing here contacts a cluster.
"""

from __future__ import annotations

import base64
import binascii
import copy
import enum
import hashlib
import secrets
from collections.abc import Mapping
from typing import Any, Final

Object = dict[str, Any]

AUTONAMED: Final = "pulumi.com/autonamed"
_READ_ONLY: Final = (
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
)


class Unknown(enum.Enum):
    """The type of `UNKNOWN`."""

    UNKNOWN = "unknown"

    def __repr__(self) -> str:
        return "unknown"


UNKNOWN: Final = Unknown.UNKNOWN


def has_unknown(value: Any) -> bool:
    """Return whether `UNKNOWN` is anywhere inside `value`."""
    if isinstance(value, Mapping):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(has_unknown(item) for item in value)
    return value is UNKNOWN


def normalise(obj: Mapping[str, Any]) -> Object:
    """Return `obj` in the form in which equal objects are equal values.

    Nulls are left out, fields only the API writes are dropped, a Secret's
    `stringData` becomes base64 `data` (it wins over a `data` entry of the same
    key, as in the API).
    """
    result = _without_nulls(obj)
    metadata = result.get("metadata")
    if isinstance(metadata, dict):
        for key in _READ_ONLY:
            metadata.pop(key, None)
    if result.get("kind") == "Secret" and result.get("apiVersion") == "v1":
        _normalise_secret(result)
    if result.get("kind") == "CustomResourceDefinition":
        result.pop("status", None)
        spec = result.get("spec")
        if isinstance(spec, dict) and spec.get("preserveUnknownFields") is False:
            del spec["preserveUnknownFields"]
    return result


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def _normalise_secret(obj: Object) -> None:
    texts = obj.get("stringData")
    data = obj.get("data")
    if texts is UNKNOWN:  # whatever it will be, it ends up in data
        del obj["stringData"]
        obj["data"] = UNKNOWN
        return
    if isinstance(texts, dict):
        del obj["stringData"]
        encoded = {
            key: text if text is UNKNOWN else base64.b64encode(str(text).encode()).decode()
            for key, text in texts.items()
        }
        if data is not UNKNOWN and (encoded or data is not None):
            obj["data"] = {**(data or {}), **encoded}
    elif isinstance(data, dict):
        obj["data"] = {key: _recoded(text) for key, text in data.items()}


def _recoded(text: Any) -> Any:
    """Return base64 as the API writes it again (no line breaks), or `text` if it is none."""
    if not isinstance(text, str):
        return text
    try:
        return base64.b64encode(base64.b64decode("".join(text.split()), validate=True)).decode()
    except (binascii.Error, ValueError):
        return text


def bad_data_keys(obj: Mapping[str, Any]) -> list[str]:
    """Return the keys of a Secret's `data` whose values are not base64."""
    found: list[str] = []
    data = obj.get("data")
    if obj.get("kind") != "Secret" or not isinstance(data, Mapping):
        return found
    for key, text in data.items():
        if isinstance(text, str):
            try:
                base64.b64decode("".join(text.split()), validate=True)
            except (binascii.Error, ValueError):
                found.append(key)
    return found


def prune(live: Any, shape: Any) -> Any:
    """Return the parts of `live` that `shape` has too: what we own of an object.

    Lists are matched by position; live elements beyond those of `shape` are
    not ours. Where the types differ, `live` is kept whole.
    """
    if isinstance(live, Mapping) and isinstance(shape, Mapping):
        return {key: prune(live[key], shape[key]) for key in shape if key in live}
    if isinstance(live, list) and isinstance(shape, list):
        return [prune(one, other) for one, other in zip(live, shape, strict=False)]
    return copy.deepcopy(live)


def name_of(obj: Mapping[str, Any]) -> Any:
    """Return `metadata.name`: a text, `UNKNOWN`, or None."""
    return _metadata(obj, "name")


def namespace_of(obj: Mapping[str, Any]) -> Any:
    """Return `metadata.namespace`: a text, `UNKNOWN`, or None."""
    return _metadata(obj, "namespace")


def _metadata(obj: Mapping[str, Any], key: str) -> Any:
    metadata = obj.get("metadata")
    if metadata is UNKNOWN:
        return UNKNOWN
    return (metadata or {}).get(key) or None


def annotation(obj: Mapping[str, Any], key: str) -> str:
    """Return an annotation's text, empty when it is absent or unknown."""
    metadata = obj.get("metadata")
    if not isinstance(metadata, Mapping):
        return ""
    annotations = metadata.get("annotations")
    value = annotations.get(key) if isinstance(annotations, Mapping) else None
    return value if isinstance(value, str) else ""


def autonamed(obj: Mapping[str, Any]) -> bool:
    """Return whether the name was made by `named`."""
    return annotation(obj, AUTONAMED) == "true"


def named(
    obj: Mapping[str, Any], resource_name: str, old: Mapping[str, Any], seed: bytes
) -> Object:
    """Return `obj` with a name: its own, else the one made earlier, else a new one.

    A made name is ``<resource name>-<8 hex digits>`` and annotated as such, so
    that a replacement gets another. `seed` makes it repeatable; empty means
    random.
    """
    result = dict(obj)
    if name_of(obj):
        return result
    if autonamed(old) and isinstance(name_of(old), str):
        name = name_of(old)
    else:
        digits = hashlib.sha256(seed).hexdigest()[:8] if seed else secrets.token_hex(4)
        name = f"{resource_name.lower()}-{digits}"
    metadata = dict(result.get("metadata") or {})
    annotations = dict(metadata.get("annotations") or {})
    annotations[AUTONAMED] = "true"
    result["metadata"] = {**metadata, "name": name, "annotations": annotations}
    return result
