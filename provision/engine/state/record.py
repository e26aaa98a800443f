"""One resource of the state: as the engine works with it, and as the file holds it.

`Record` knows the fields the engine uses; every other field of the file
(another engine's views, hooks, stack traces) lives in `Record.extra` and is
written back as it was.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from provision.engine.state import urns, values

Props = dict[str, Any]

_ORDER: Final = [
    "urn",
    "custom",
    "delete",
    "id",
    "type",
    "inputs",
    "outputs",
    "parent",
    "protect",
    "taint",
    "external",
    "dependencies",
    "initErrors",
    "provider",
    "propertyDependencies",
    "pendingReplacement",
    "additionalSecretOutputs",
    "aliases",
    "customTimeouts",
    "importID",
    "retainOnDelete",
    "deletedWith",
    "replaceWith",
    "created",
    "modified",
    "sourcePosition",
    "stackTrace",
    "ignoreChanges",
    "hideDiff",
    "replaceOnChanges",
    "replacementTrigger",
    "refreshBeforeUpdate",
    "viewOf",
    "resourceHooks",
    "extensionRef",
    "snippetID",
]

_FIELDS: Final = {
    "parent": "parent",
    "protect": "protect",
    "external": "external",
    "initErrors": "init_errors",
    "provider": "provider",
    "pendingReplacement": "pending_replacement",
    "additionalSecretOutputs": "additional_secret_outputs",
    "aliases": "aliases",
    "customTimeouts": "custom_timeouts",
    "importID": "import_id",
    "retainOnDelete": "retain_on_delete",
    "deletedWith": "deleted_with",
    "replaceWith": "replace_with",
    "taint": "taint",
    "created": "created",
    "modified": "modified",
    "sourcePosition": "source_position",
    "ignoreChanges": "ignore_changes",
    "replaceOnChanges": "replace_on_changes",
    "delete": "delete",
    "id": "id",
}
_TUPLES: Final = frozenset(
    (
        "initErrors",
        "additionalSecretOutputs",
        "aliases",
        "ignoreChanges",
        "replaceOnChanges",
        "replaceWith",
    )
)
_OWN: Final = frozenset(_FIELDS) | {
    "urn",
    "custom",
    "type",
    "inputs",
    "outputs",
    "dependencies",
    "propertyDependencies",
    "replacementTrigger",
}


@dataclass(frozen=True, kw_only=True)
class Record:
    """One resource. Names as in the file, in snake case; empty means absent there."""

    urn: str
    type: str
    custom: bool
    id: str = ""
    delete: bool = False
    inputs: Props = field(default_factory=dict[str, Any])
    outputs: Props = field(default_factory=dict[str, Any])
    parent: str = ""
    protect: bool = False
    external: bool = False
    dependencies: tuple[str, ...] = ()
    property_dependencies: dict[str, tuple[str, ...]] = field(
        default_factory=dict[str, tuple[str, ...]]
    )
    init_errors: tuple[str, ...] = ()
    provider: str = ""
    pending_replacement: bool = False
    additional_secret_outputs: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    custom_timeouts: dict[str, float] = field(default_factory=dict[str, float])
    import_id: str = ""
    retain_on_delete: bool = False
    deleted_with: str = ""
    replace_with: tuple[str, ...] = ()
    taint: bool = False
    created: str = ""
    modified: str = ""
    source_position: str = ""
    ignore_changes: tuple[str, ...] = ()
    replace_on_changes: tuple[str, ...] = ()
    replacement_trigger: Any = None
    extra: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def is_provider(self) -> bool:
        """Whether this is a provider resource."""
        return urns.is_provider(self.type)

    @property
    def delete_hooks(self) -> tuple[str, ...]:
        """The hooks of the program that its engine calls before and after the deletion."""
        hooks: Mapping[str, list[str]] = self.extra.get("resourceHooks") or {}
        kinds = ("BeforeDelete", "AfterDelete")
        return tuple(str(name) for kind in kinds for name in hooks.get(kind) or ())

    @property
    def reference(self) -> str:
        """What a resource served by this provider keeps as its provider."""
        return urns.provider_reference(self.urn, self.id)

    def needs(self) -> set[str]:
        """Return the URN of everything this resource depends on in any way."""
        found = self.severable() | {self.parent}
        if self.provider:
            found.add(urns.split_reference(self.provider)[0])
        found.discard("")
        return found

    def is_older_than(self, other: Record) -> bool:
        """Return whether both say when they were created, and this one was created before."""
        made, since = _moment(self.created), _moment(other.created)
        return made is not None and since is not None and made < since

    def severable(self) -> set[str]:
        """Return the URN of everything that `without` can let it depend on no more."""
        found = {self.deleted_with, *self.dependencies, *self.replace_with}
        for each in self.property_dependencies.values():
            found.update(each)
        found.discard("")
        return found

    def without(self, gone: set[str]) -> Record:
        """Return a copy that depends on none of the URNs in `gone`."""
        return self.but(
            dependencies=tuple(urn for urn in self.dependencies if urn not in gone),
            property_dependencies={
                key: tuple(urn for urn in deps if urn not in gone)
                for key, deps in self.property_dependencies.items()
            },
            deleted_with="" if self.deleted_with in gone else self.deleted_with,
            replace_with=tuple(urn for urn in self.replace_with if urn not in gone),
        )

    def but(self, **changes: Any) -> Record:
        """Return a copy with `changes`."""
        return dataclasses.replace(self, **changes)


def decode(raw: Mapping[str, Any], vault: values.Vault) -> Record:
    """Return the record of one resource of a state file, its secrets decrypted."""
    urn = str(raw["urn"])
    known: dict[str, Any] = {}
    for key, name in _FIELDS.items():
        if key in raw:
            known[name] = tuple(raw[key]) if key in _TUPLES else raw[key]
    return Record(
        urn=urn,
        type=str(raw["type"]),
        custom=bool(raw.get("custom")),
        inputs=values.from_state(raw.get("inputs") or {}, vault, f"{urn}#inputs"),
        outputs=values.from_state(raw.get("outputs") or {}, vault, f"{urn}#outputs"),
        dependencies=tuple(raw.get("dependencies") or ()),
        property_dependencies={
            key: tuple(deps or ()) for key, deps in (raw.get("propertyDependencies") or {}).items()
        },
        replacement_trigger=values.from_state(
            raw.get("replacementTrigger"), vault, f"{urn}#replacementTrigger"
        ),
        extra={key: value for key, value in raw.items() if key not in _OWN},
        **known,
    )


def encode(record: Record, vault: values.Vault) -> dict[str, Any]:
    """Return `record` as a state file holds it, empty fields left out."""
    urn = record.urn
    found: dict[str, Any] = dict(record.extra)
    for key, name in _FIELDS.items():
        value = getattr(record, name)
        if value:
            found[key] = list(value) if isinstance(value, tuple) else value
    found.update(urn=urn, type=record.type, custom=record.custom)
    if record.inputs:
        found["inputs"] = values.to_state(record.inputs, vault, f"{urn}#inputs")
    if record.outputs:
        found["outputs"] = values.to_state(record.outputs, vault, f"{urn}#outputs")
    if record.dependencies:
        found["dependencies"] = sorted(record.dependencies)
    if record.property_dependencies:
        found["propertyDependencies"] = {
            key: sorted(deps) for key, deps in sorted(record.property_dependencies.items())
        }
    if record.replacement_trigger is not None:
        found["replacementTrigger"] = values.to_state(
            record.replacement_trigger, vault, f"{urn}#replacementTrigger"
        )
    order = [key for key in _ORDER if key in found]
    order += sorted(key for key in found if key not in _ORDER)
    return {key: found[key] for key in order}


def _moment(text: str) -> datetime.datetime | None:
    """Return a time of a state file, which may have nine digits of a second; None if it is none."""
    try:
        found = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=datetime.UTC)


def now() -> str:
    """Return the time of now as a state file writes it (RFC 3339, UTC)."""
    moment = datetime.datetime.now(datetime.UTC)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
