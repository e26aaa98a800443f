"""Between Pulumi's property values and the plain values our resources see.

Plain means: str, float or int, bool, None, list, dict and `resource.UNKNOWN`.
A secret loses its mark on the way in; on the way out the provider puts it back
on the properties named in `Resource.secret_outputs` and wherever an input was
secret. Assets, archives and resource references are not used by any resource
of ours and are refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from pulumi.provider.experimental import property_value
from pulumi.provider.experimental.property_value import PropertyValue

from provision.provider.resource import UNKNOWN

Properties = dict[str, PropertyValue]


def to_plain(value: PropertyValue) -> Any:
    """Return `value` without secret marks; whole numbers become `int`."""
    inner = value.value
    if isinstance(inner, property_value.Computed):
        return UNKNOWN
    if inner is None or isinstance(inner, (bool, str)):
        return inner
    if isinstance(inner, (int, float)):
        return int(inner) if float(inner).is_integer() else float(inner)
    if isinstance(inner, Mapping):
        return {key: to_plain(item) for key, item in inner.items()}
    if isinstance(inner, (list, tuple)):
        return [to_plain(item) for item in inner]
    raise TypeError(f"a {type(inner).__name__} is not a value of the elysium provider")


def plain_map(properties: Mapping[str, PropertyValue]) -> dict[str, Any]:
    """Return all `properties` as plain values; nulls are left out."""
    plain = {key: to_plain(value) for key, value in properties.items()}
    return {key: value for key, value in plain.items() if value is not None}


def to_property(value: Any) -> PropertyValue:
    """Return `value`, plain, as a property value."""
    if value is UNKNOWN:
        return PropertyValue.computed()
    if value is None or isinstance(value, (bool, str)):
        return PropertyValue(value)
    if isinstance(value, (int, float)):
        return PropertyValue(float(value))
    if isinstance(value, Mapping):
        return PropertyValue({str(key): to_property(item) for key, item in value.items()})
    if isinstance(value, (list, tuple)):
        return PropertyValue([to_property(item) for item in value])
    raise TypeError(f"a {type(value).__name__} cannot be a property of the elysium provider")


def property_map(values: Mapping[str, Any], secret: Set[str] = frozenset()) -> Properties:
    """Return `values` as properties, those named in `secret` marked so."""
    return {
        key: to_property(value).with_secret(key in secret)
        for key, value in values.items()
        if value is not None
    }


def secret_keys(properties: Mapping[str, PropertyValue]) -> frozenset[str]:
    """Return the top-level properties that are, or contain, a secret."""
    return frozenset(key for key, value in properties.items() if value.contains_secret())
