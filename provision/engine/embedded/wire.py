"""Property values to and from the SDK's protobuf structs and the providers' `PropertyValue`.

The only place that knows either form; everything else in the engine works on
the values of `values`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
from google.protobuf import struct_pb2
from pulumi.provider.experimental import property_value

from provision import errors
from provision.engine.state import values

PropertyValue = property_value.PropertyValue
PropertyMap = dict[str, property_value.PropertyValue]


@dataclass(frozen=True, kw_only=True)
class Accepts:
    """What a provider takes, by its answer to Configure; all of it before.

    Without `secrets` a secret is sent as what it holds. Without `resources` a
    reference to a resource is sent as its id, or as its URN where it has none.
    """

    secrets: bool = True
    resources: bool = True


EVERYTHING = Accepts()


def from_struct(struct: struct_pb2.Struct) -> dict[str, Any]:
    """Return the values of a struct that the SDK sent."""
    return {key: _from_wire(item) for key, item in struct.fields.items()}


def from_struct_value(value: struct_pb2.Value) -> Any:
    """Return the one value that the SDK sent."""
    return _from_wire(value)


def to_struct(props: Mapping[str, Any], *, keep_unknown: bool) -> struct_pb2.Struct:
    """Return `props` for the SDK.

    Unknown values are sent in a preview (`keep_unknown`); in a real run there
    are none to send.
    """
    struct = struct_pb2.Struct()
    for key, item in props.items():
        if item is values.UNKNOWN and not keep_unknown:
            continue
        _fill(struct.fields[key], item)
    return struct


def to_properties(props: Mapping[str, Any], accepts: Accepts = EVERYTHING) -> PropertyMap:
    """Return `props` for a provider that accepts `accepts`."""
    return {key: _to_property(item, accepts) for key, item in props.items()}


def from_properties(props: Mapping[str, PropertyValue] | None) -> dict[str, Any]:
    """Return what a provider gave. Raises `errors.StackError` for anything else than that."""
    if props is None:
        return {}
    if not isinstance(props, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise errors.StackError(
            f"a provider answered with {type(props).__name__} where properties belong",
            operation="provider",
        )
    return {key: _from_property(item) for key, item in props.items()}


def _from_wire(value: struct_pb2.Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        text = value.string_value
        return values.UNKNOWN if text == values.UNKNOWN_TEXT else text
    if kind == "number_value":
        return _number(value.number_value)
    if kind == "bool_value":
        return value.bool_value
    if kind == "list_value":
        return [_from_wire(item) for item in value.list_value.values]
    if kind == "struct_value":
        return _from_wire_object(value.struct_value)
    return None


def _from_wire_object(struct: struct_pb2.Struct) -> Any:
    fields = struct.fields
    signature = fields[values.SIGNATURE].string_value if values.SIGNATURE in fields else ""
    if signature == values.SEALED_SIGNATURE:
        return values.seal(_from_wire(fields["value"]))
    if signature == values.OUTPUT_SIGNATURE:
        inner = _from_wire(fields["value"]) if "value" in fields else values.UNKNOWN
        secret = "secret" in fields and fields["secret"].bool_value
        return values.seal(inner) if secret else inner
    return {key: _from_wire(item) for key, item in fields.items()}


def _fill(target: struct_pb2.Value, value: Any) -> None:
    if value is None:
        target.null_value = struct_pb2.NULL_VALUE
    elif isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, (int, float)):
        target.number_value = float(value)
    elif isinstance(value, str):
        target.string_value = value
    elif value is values.UNKNOWN:
        target.string_value = values.UNKNOWN_TEXT
    elif isinstance(value, values.Sealed):
        fields = target.struct_value.fields
        fields[values.SIGNATURE].string_value = values.SEALED_SIGNATURE
        _fill(fields["value"], value.value)
    elif isinstance(value, Mapping):
        target.struct_value.SetInParent()
        for key, item in value.items():
            _fill(target.struct_value.fields[str(key)], item)
    else:
        target.list_value.SetInParent()
        for item in value:
            _fill(target.list_value.values.add(), item)


def _to_property(value: Any, accepts: Accepts) -> PropertyValue:
    if isinstance(value, values.Sealed):
        inner = _to_property(value.value, accepts)
        return inner.with_secret(True) if accepts.secrets else inner
    if value is values.UNKNOWN:
        return PropertyValue.computed()
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return PropertyValue(value)
    if isinstance(value, (int, float)):
        return PropertyValue(float(value))
    if isinstance(value, list):
        return PropertyValue([_to_property(item, accepts) for item in value])
    if value.get(values.SIGNATURE) == values.REFERENCE_SIGNATURE and not accepts.resources:
        return _to_property(_without_reference(value), accepts)
    if values.SIGNATURE in value:
        struct = struct_pb2.Value()
        _fill(struct, value)
        return PropertyValue.unmarshal(struct)
    return PropertyValue({key: _to_property(item, accepts) for key, item in value.items()})


def _without_reference(reference: Mapping[str, Any]) -> Any:
    """Return the id that `reference` has (an empty one is not known yet), else its URN."""
    id_ = reference.get("id")
    if id_ is None:
        return reference["urn"]
    return id_ or values.UNKNOWN


def _from_property(value: Any) -> Any:
    if not isinstance(value, PropertyValue):
        raise errors.StackError(
            f"a provider answered with {type(value).__name__} where a property value belongs",
            operation="provider",
        )
    inner = _from_inner(value.value)
    return values.seal(inner) if value.is_secret else inner


def _from_inner(inner: Any) -> Any:
    if inner is None or isinstance(inner, (bool, str)):
        return inner
    if isinstance(inner, (int, float)):
        return _number(float(inner))
    if isinstance(inner, property_value.Computed):
        return values.UNKNOWN
    if isinstance(inner, (pulumi.Asset, pulumi.Archive, property_value.ResourceReference)):
        return _from_wire(PropertyValue(inner).marshal())
    if isinstance(inner, Mapping):
        return {str(key): _from_property(item) for key, item in inner.items()}
    return [_from_property(item) for item in inner]


def _number(number: float) -> int | float:
    """Return whole numbers as `int`, the way they stand in a state file."""
    return int(number) if number.is_integer() and abs(number) < 1e21 else number
