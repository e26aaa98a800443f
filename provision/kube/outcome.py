"""What the provider hands to the engine: states, check failures, unready objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pulumi.provider.experimental import provider as protocol
from pulumi.provider.experimental.property_value import PropertyValue

from provision import errors
from provision.kube import diff, normal, objects, properties, tokens


class InitFailedError(errors.WaitError):
    """The object is there, and did not become ready: its state must be kept.

    `resource_id`, `properties` and `inputs` are what to save; `reasons` are
    Pulumi's initErrors.
    """

    def __init__(
        self,
        cause: objects.UnreadyError,
        *,
        resource_id: str,
        properties: properties.Properties,
        inputs: properties.Properties,
    ) -> None:
        super().__init__(
            cause.summary,
            what=cause.what,
            last_seen=cause.last_seen,
            detail=cause.detail,
            hint=cause.hint,
        )
        self.resource_id = resource_id
        self.properties = properties
        self.inputs = inputs
        self.reasons = (cause.last_seen or cause.summary,)


def identity(live: Mapping[str, Any]) -> str:
    """Return Pulumi's id of an object: ``namespace/name``, or ``name``."""
    namespace, name = normal.namespace_of(live), normal.name_of(live)
    return f"{namespace}/{name}" if namespace else str(name)


def failures(kind: tokens.Kind, inputs: normal.Object) -> list[protocol.CheckFailure]:
    """Return what is wrong with `inputs` before the API is asked."""
    found: list[protocol.CheckFailure] = []
    metadata = inputs.get("metadata")
    if metadata is not None and not isinstance(metadata, dict) and metadata is not normal.UNKNOWN:
        found.append(protocol.CheckFailure("metadata", "a map is expected"))
        metadata = None
    if isinstance(metadata, dict) and metadata.get("generateName") and not metadata.get("name"):
        found.append(
            protocol.CheckFailure(
                "metadata.generateName",
                "not possible with server-side apply: give a name, or none to have one made",
            )
        )
    for key, wanted in (("apiVersion", kind.api_version), ("kind", kind.kind)):
        if inputs[key] != wanted:
            found.append(protocol.CheckFailure(key, f"must be {wanted}, as the type says"))
    found += [
        protocol.CheckFailure(diff.render(("data", key)), "the value is not base64")
        for key in normal.bad_data_keys(inputs)
    ]
    return found


def source(inputs: Mapping[str, PropertyValue]) -> properties.Properties:
    """Return `inputs` with the marks of `stringData` on the `data` it becomes."""
    source = dict(inputs)
    if "stringData" in source and "data" not in source:
        source["data"] = source["stringData"]
    return source


def ignored(path: str, ignore: list[str]) -> bool:
    """Return whether `path` is one of, or below one of, the paths to `ignore`."""
    return any(path == one or path.startswith((f"{one}.", f"{one}[")) for one in ignore)


def importable(live: normal.Object) -> normal.Object:
    """Return all of `live` that a program could have said."""
    found = normal.normalise({key: value for key, value in live.items() if key != "status"})
    annotations = found["metadata"].get("annotations")
    if annotations:
        annotations.pop("kubectl.kubernetes.io/last-applied-configuration", None)
        annotations.pop("deployment.kubernetes.io/revision", None)
    return found


def state(
    inputs: normal.Object,
    live: normal.Object,
    manager: str,
    source: Mapping[str, PropertyValue],
    initial_api_version: str = "",
) -> properties.Properties:
    """Return a resource's properties after `live` was seen."""
    state = properties.State(
        live=live,
        inputs=inputs,
        initial_api_version=initial_api_version or str(inputs["apiVersion"]),
        field_manager=manager,
    )
    return properties.to_state(state, source)


def init_failed(
    error: objects.UnreadyError,
    inputs: normal.Object,
    manager: str,
    source: Mapping[str, PropertyValue],
    initial_api_version: str = "",
) -> InitFailedError:
    """Return the error that keeps the state of an object that is not ready."""
    return InitFailedError(
        error,
        resource_id=identity(error.live),
        properties=state(inputs, error.live, manager, source, initial_api_version),
        inputs=properties.from_object(inputs, source),
    )
