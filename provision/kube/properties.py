"""Between Pulumi's property values and Kubernetes objects.

An object becomes properties in the form the upstream provider keeps in state:
the live object, with ``__inputs``, ``__initialApiVersion`` and
``__fieldManager`` beside it, ``x-kubernetes-*`` keys with underscores, and
every value secret that was secret in the inputs. `data` and `stringData` of a
Secret are secret whatever the program said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pulumi.provider.experimental import property_value
from pulumi.provider.experimental.property_value import PropertyValue

from provision.kube import normal

Properties = dict[str, PropertyValue]

_DASHED: Final = {
    name: name.replace("-", "_")
    for name in (
        "x-kubernetes-embedded-resource",
        "x-kubernetes-int-or-string",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-list-type",
        "x-kubernetes-map-type",
        "x-kubernetes-preserve-unknown-fields",
        "x-kubernetes-validations",
    )
}
_UNDERSCORED: Final = {underscored: dashed for dashed, underscored in _DASHED.items()}


def to_plain(value: PropertyValue) -> Any:
    """Return `value` without secret marks, whole numbers as `int`, as Kubernetes writes keys."""
    inner = value.value
    if isinstance(inner, property_value.Computed):
        return normal.UNKNOWN
    if inner is None or isinstance(inner, (bool, str)):
        return inner
    if isinstance(inner, (int, float)):
        return int(inner) if float(inner).is_integer() else float(inner)
    if isinstance(inner, Mapping):
        return {_UNDERSCORED.get(key, key): to_plain(item) for key, item in inner.items()}
    if isinstance(inner, (list, tuple)):
        return [to_plain(item) for item in inner]
    raise TypeError(f"a {type(inner).__name__} cannot be part of a Kubernetes object")


def to_object(properties: Mapping[str, PropertyValue]) -> normal.Object:
    """Return `properties` as a plain object."""
    return to_plain(PropertyValue(properties))


def to_property(value: Any) -> PropertyValue:
    """Return the plain `value` as a property, keys as Pulumi writes them."""
    if value is normal.UNKNOWN:
        return PropertyValue.computed()
    if value is None or isinstance(value, (bool, str)):
        return PropertyValue(value)
    if isinstance(value, (int, float)):
        return PropertyValue(float(value))
    if isinstance(value, Mapping):
        return PropertyValue({_DASHED.get(k, str(k)): to_property(v) for k, v in value.items()})
    return PropertyValue([to_property(item) for item in value])


def from_object(
    obj: Mapping[str, Any], source: Mapping[str, PropertyValue] | None = None
) -> Properties:
    """Return `obj` as properties, secret where `source` (the inputs) is."""
    properties = {_DASHED.get(k, str(k)): to_property(v) for k, v in obj.items()}
    return _marked(properties, source or {})


def _marked(out: Mapping[str, PropertyValue], source: Mapping[str, PropertyValue]) -> Properties:
    """Return `out` with the secret marks of `source`.

    Maps are gone into; a list of which any element is secret is secret as a
    whole, since its order may differ.
    """
    kind = out.get("kind")
    if kind is not None and kind.value == "Secret":
        return {
            key: item.with_secret(True) if key in ("data", "stringData") else item
            for key, item in out.items()
        }
    result: Properties = {}
    for key, item in out.items():
        model = source.get(key)
        if model is None:
            result[key] = item
        elif isinstance(item.value, Mapping) and isinstance(model.value, Mapping):
            inner = PropertyValue(_marked(item.value, model.value))
            result[key] = inner.with_secret(model.is_secret)
        else:
            result[key] = item.with_secret(model.contains_secret())
    return result


@dataclass(frozen=True, kw_only=True)
class State:
    """What a resource's state holds: the live object and how it came about."""

    live: normal.Object
    inputs: normal.Object
    initial_api_version: str
    field_manager: str


def to_state(state: State, source: Mapping[str, PropertyValue]) -> Properties:
    """Return `state` as properties, secret where `source` (the inputs) is."""
    properties = from_object(state.live, source)
    properties["__inputs"] = PropertyValue(from_object(state.inputs, source))
    properties["__initialApiVersion"] = PropertyValue(state.initial_api_version)
    properties["__fieldManager"] = PropertyValue(state.field_manager)
    return properties


def from_state(properties: Mapping[str, PropertyValue]) -> State:
    """Return what `to_state` was given."""
    live = to_object(properties)
    inputs = live.pop("__inputs", None) or {}
    initial = live.pop("__initialApiVersion", None) or inputs.get("apiVersion") or ""
    manager = live.pop("__fieldManager", None) or ""
    return State(
        live=live, inputs=inputs, initial_api_version=str(initial), field_manager=str(manager)
    )
