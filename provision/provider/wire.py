"""Property values on the wire between an engine and a provider in its own process.

The SDK's `PropertyValue.marshal` and `unmarshal` know no unknown value: the first
raises, the second returns the sentinel as text. They also fail for an output value
that carries only some of its fields. The functions here are used in their place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import pulumi
from google.protobuf import struct_pb2
from pulumi.provider.experimental import property_value
from pulumi.provider.experimental.property_value import PropertyValue

from provision import errors

Properties = dict[str, PropertyValue]

_SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
_SEALED: Final = "1b47061264138c4ac30d75fd1eb44270"
_OUTPUT: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
_REFUSED: Final = {
    "c44067f5952c0a294b673a41bacd8c17": "an asset",
    "0def7320c3a5731c473e5ecbe6d01bc7": "an archive",
    "5cf8f73096256a8f31e491e813e4eb8e": "a resource",
    "803fd3297a5875dc03ca845dda5d2a98": "text that is not UTF-8",
}
"""Signatures of values that no resource of ours has, and what to call each."""

UNKNOWN_TEXT: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""The sentinel for an unknown value. Engines accept it for a value of any type."""
_UNKNOWN_TEXTS: Final = frozenset(
    {
        UNKNOWN_TEXT,
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # a bool
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # a number
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # a list
        "030794c1-ac77-496b-92df-f27374a8bd58",  # an asset
        "e48ece36-62e2-4504-bad9-02848725956a",  # an archive
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # an object
    }
)


def to_struct(properties: Mapping[str, PropertyValue]) -> struct_pb2.Struct:
    """Return `properties` as they are sent. An unknown value is sent as its sentinel."""
    return struct_pb2.Struct(fields={key: to_value(item) for key, item in properties.items()})


def from_struct(struct: struct_pb2.Struct) -> Properties:
    """Return the properties in `struct`, which an engine sent.

    Raises `errors.StackError`, naming the property, for a value that no resource of ours has.
    """
    return {key: from_value(item, key) for key, item in struct.fields.items()}


def to_value(prop: PropertyValue) -> struct_pb2.Value:
    """Return `prop` as it is sent."""
    inner = _to_inner(prop.value)
    if prop.dependencies:
        texts = [struct_pb2.Value(string_value=urn) for urn in sorted(prop.dependencies)]
        fields = {
            "secret": struct_pb2.Value(bool_value=prop.is_secret),
            "dependencies": struct_pb2.Value(list_value=struct_pb2.ListValue(values=texts)),
        }
        # An output value without `value` is one that is not known yet.
        if not isinstance(prop.value, property_value.Computed):
            fields["value"] = inner
        return _signed(_OUTPUT, fields)
    return _signed(_SEALED, {"value": inner}) if prop.is_secret else inner


def from_value(value: struct_pb2.Value, path: str) -> PropertyValue:
    """Return the property in `value`; `path` names it in errors."""
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        text = value.string_value
        return PropertyValue.computed() if text in _UNKNOWN_TEXTS else PropertyValue(text)
    if kind == "number_value":
        return PropertyValue(value.number_value)
    if kind == "bool_value":
        return PropertyValue(value.bool_value)
    if kind == "list_value":
        items = enumerate(value.list_value.values)
        return PropertyValue([from_value(item, f"{path}[{index}]") for index, item in items])
    if kind == "struct_value":
        return _from_object(value.struct_value.fields, path)
    return PropertyValue.null()


def _to_inner(inner: object) -> struct_pb2.Value:
    """Return what stands in a property, without its marks."""
    if inner is None:
        return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
    if isinstance(inner, property_value.Computed):
        return struct_pb2.Value(string_value=UNKNOWN_TEXT)
    if isinstance(inner, bool):
        return struct_pb2.Value(bool_value=inner)
    if isinstance(inner, (int, float)):
        return struct_pb2.Value(number_value=float(inner))
    if isinstance(inner, str):
        return struct_pb2.Value(string_value=inner)
    if isinstance(inner, Mapping):
        return struct_pb2.Value(struct_value=to_struct(inner))
    if isinstance(inner, Sequence):
        items = [to_value(item) for item in inner]
        return struct_pb2.Value(list_value=struct_pb2.ListValue(values=items))
    if isinstance(inner, (pulumi.Asset, pulumi.Archive, property_value.ResourceReference)):
        return PropertyValue(inner).marshal()
    raise TypeError(f"a {type(inner).__name__} cannot be sent to an engine")


def _from_object(fields: Mapping[str, struct_pb2.Value], path: str) -> PropertyValue:
    signature = fields[_SIGNATURE].string_value if _SIGNATURE in fields else ""
    if signature == _SEALED:
        inner = from_value(fields["value"], path) if "value" in fields else PropertyValue.null()
        return inner.with_secret(True)
    if signature == _OUTPUT:
        return _from_output(fields, path)
    if _SIGNATURE in fields:
        name = _REFUSED.get(signature, f"a value of the kind {signature or 'without a name'}")
        raise errors.StackError(
            f"the input {path} is {name}, which no resource of elysium takes",
            operation="read an input",
            hint="give the input a text, a number, true or false, a list or a map",
        )
    return PropertyValue({key: from_value(item, f"{path}.{key}") for key, item in fields.items()})


def _from_output(fields: Mapping[str, struct_pb2.Value], path: str) -> PropertyValue:
    """Return an output value: without `value` it is unknown; the other fields are optional."""
    inner = from_value(fields["value"], path) if "value" in fields else PropertyValue.computed()
    secret = inner.is_secret or ("secret" in fields and fields["secret"].bool_value)
    urns = fields["dependencies"].list_value.values if "dependencies" in fields else ()
    dependencies = inner.dependencies | {urn.string_value for urn in urns}
    return inner.with_secret(secret).with_dependencies(dependencies)


def _signed(signature: str, fields: dict[str, struct_pb2.Value]) -> struct_pb2.Value:
    signed = {_SIGNATURE: struct_pb2.Value(string_value=signature), **fields}
    return struct_pb2.Value(struct_value=struct_pb2.Struct(fields=signed))
