"""The provider's methods in the engine's terms: values and records in, values out."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from pulumi.provider.experimental import provider as protocol

from provision import errors
from provision.change import Change
from provision.engine import events
from provision.engine.embedded import providers, wire
from provision.engine.state import property_paths, record, urns, values

_KINDS: Final[dict[protocol.PropertyDiffKind, tuple[property_paths.Kind, bool]]] = {
    protocol.PropertyDiffKind.ADD: ("add", False),
    protocol.PropertyDiffKind.ADD_REPLACE: ("add", True),
    protocol.PropertyDiffKind.DELETE: ("delete", False),
    protocol.PropertyDiffKind.DELETE_REPLACE: ("delete", True),
    protocol.PropertyDiffKind.UPDATE: ("update", False),
    protocol.PropertyDiffKind.UPDATE_REPLACE: ("update", True),
}
INIT_ERROR: Final = "#initerror"


@dataclass(frozen=True, kw_only=True)
class Diff:
    """How a resource differs from what is wanted."""

    changed: bool
    replaces: bool = False
    delete_before_replace: bool = False
    changes: tuple[Change, ...] = ()
    diffs: tuple[events.PropertyDiff, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Made:
    """What a provider made: `id` is empty in a preview of a creation."""

    id: str
    outputs: dict[str, Any]
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a provider read."""

    id: str
    inputs: dict[str, Any]
    outputs: dict[str, Any]


class Crud:
    """Calls providers. Every method raises what `providers.Providers.call` raises."""

    def __init__(self, calls: providers.Providers, *, dry_run: bool) -> None:
        self._calls = calls
        self._dry_run = dry_run

    def check(
        self,
        instance: providers.Instance,
        urn: str,
        old: dict[str, Any] | None,
        inputs: dict[str, Any],
    ) -> dict[str, Any]:
        """Return the inputs with defaults. Raises `errors.ConfigError` with all that is wrong."""
        if instance.unknown:
            return inputs
        request = protocol.CheckRequest(
            urn, instance.properties(old or {}), instance.properties(inputs), os.urandom(32)
        )
        answer = self._calls.call(urn, instance.provider.check(request), protocol.CheckResponse)
        found = checked(urn, answer, inputs)
        return found if instance.accepts.secrets else values.marked_like(inputs, found)

    def diff(
        self,
        instance: providers.Instance,
        old: record.Record,
        inputs: dict[str, Any],
        ignored: tuple[str, ...],
        replace_on: tuple[str, ...],
    ) -> Diff:
        """Return how `old` differs from `inputs`."""
        if instance.unknown:
            return _refine(_structural(old, inputs), old, replace_on)
        request = protocol.DiffRequest(
            urn=old.urn,
            resource_id=old.id,
            old_state=instance.properties(old.outputs),
            new_inputs=instance.properties(inputs),
            ignore_changes=list(ignored),
        )
        # The wire protocol has the old inputs beside the old state; the SDK's
        # class has no place for them, so they ride along.
        request.old_inputs = instance.properties(old.inputs)  # pyright: ignore
        answer = self._calls.call(old.urn, instance.provider.diff(request), protocol.DiffResponse)
        return _refine(_answered(answer, old, inputs, ignored), old, replace_on)

    def create(self, instance: providers.Instance, new: record.Record) -> Made:
        """Create a resource (in a preview: say what would come of it)."""
        if instance.unknown:
            return Made(id="", outputs={})
        if self._dry_run and not instance.previews:
            return Made(id="", outputs=new.inputs)
        request = protocol.CreateRequest(
            urn=new.urn,
            properties=instance.properties(new.inputs),
            timeout=new.custom_timeouts.get("create", 0),
            preview=self._dry_run,
        )
        answer = self._calls.call(
            new.urn, instance.provider.create(request), protocol.CreateResponse
        )
        return Made(
            id=str(answer.resource_id or ""),
            outputs=instance.answered(answer.properties, new.inputs),
            changes=_planned(answer),
        )

    def update(self, instance: providers.Instance, old: record.Record, new: record.Record) -> Made:
        """Update a resource."""
        if instance.unknown:
            return Made(id=old.id, outputs={})
        if self._dry_run and not instance.previews:
            return Made(id=old.id, outputs=new.inputs)
        request = protocol.UpdateRequest(
            urn=new.urn,
            resource_id=old.id,
            olds=instance.properties(old.outputs),
            news=instance.properties(new.inputs),
            timeout=new.custom_timeouts.get("update", 0),
            ignore_changes=list(new.ignore_changes),
            preview=self._dry_run,
        )
        request.old_inputs = instance.properties(old.inputs)  # pyright: ignore
        answer = self._calls.call(
            new.urn, instance.provider.update(request), protocol.UpdateResponse
        )
        return Made(
            id=old.id,
            outputs=instance.answered(answer.properties, new.inputs),
            changes=_planned(answer),
        )

    def read(self, instance: providers.Instance, known: record.Record) -> Found | None:
        """Return what is there of `known` (by its id), or None when it is gone."""
        request = protocol.ReadRequest(
            urn=known.urn,
            resource_id=known.id,
            properties=instance.properties(known.outputs),
            inputs=instance.properties(known.inputs),
        )
        answer = self._calls.call(known.urn, instance.provider.read(request), protocol.ReadResponse)
        if not answer.resource_id:
            return None
        return Found(
            id=str(answer.resource_id),
            inputs=instance.answered(answer.inputs, known.inputs),
            outputs=instance.answered(answer.properties, known.outputs),
        )

    def delete(self, instance: providers.Instance, old: record.Record) -> None:
        """Delete a resource. Raises `errors.StackError` where hooks of a program belong to it."""
        require_no_hooks(old)
        request = protocol.DeleteRequest(
            urn=old.urn,
            resource_id=old.id,
            properties=instance.properties(old.outputs),
            timeout=old.custom_timeouts.get("delete", 0),
        )
        request.old_inputs = instance.properties(old.inputs)  # pyright: ignore
        self._calls.call(old.urn, instance.provider.delete(request), type(None))


def require_no_hooks(old: record.Record) -> None:
    """Raise `errors.StackError` for a resource whose deletion is to call hooks of a program."""
    if old.delete_hooks:
        raise errors.StackError(
            f"the deletion of {old.urn} calls the hooks {', '.join(old.delete_hooks)}, "
            "which this engine does not call",
            operation="delete",
            hint="delete it with --engine upstream and the program that has the hooks, "
            "or run `up` once with a program that keeps the resource without them",
        )


def checked(urn: str, answer: protocol.CheckResponse, inputs: dict[str, Any]) -> dict[str, Any]:
    """Return the inputs of a check's answer. Raises `errors.ConfigError` with its failures."""
    failures = answer.failures or []
    if failures:
        where = f"{urns.type_of(urn)} {urns.name_of(urn)}"
        raise errors.ConfigError(
            f"{where} is not valid",
            [
                errors.Problem(message=each.reason, where=where, key=each.property)
                for each in failures
            ],
        )
    return inputs if answer.inputs is None else wire.from_properties(answer.inputs)


def with_secrets(new: record.Record, outputs: dict[str, Any]) -> dict[str, Any]:
    """Return `outputs` with those secret that the program, or a secret input, makes so."""
    hidden = set(new.additional_secret_outputs)
    hidden.update(key for key, each in new.inputs.items() if isinstance(each, values.Sealed))
    return {key: values.seal(each) if key in hidden else each for key, each in outputs.items()}


def keep_secrets(old: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """Return `now` with what was secret in `old` still secret."""
    return {
        key: values.seal(each) if isinstance(old.get(key), values.Sealed) else each
        for key, each in now.items()
    }


def _planned(answer: object) -> tuple[Change, ...]:
    found: Iterable[Change] = getattr(answer, "planned", None) or ()
    return tuple(found)


def _structural(old: record.Record, inputs: dict[str, Any]) -> Diff:
    diffs = property_paths.describe(old.inputs, inputs)
    return Diff(changed=bool(diffs), diffs=diffs)


def _answered(
    answer: protocol.DiffResponse,
    old: record.Record,
    inputs: dict[str, Any],
    ignored: tuple[str, ...],
) -> Diff:
    changes = _planned(answer)
    replaces = bool(answer.replaces)
    if answer.changes is None and not replaces:
        wanted, _ = property_paths.ignore(ignored, old.inputs, inputs)
        found = _structural(old, wanted)
        return Diff(
            changed=found.changed,
            delete_before_replace=answer.delete_before_replace,
            changes=changes,
            diffs=found.diffs,
        )
    return Diff(
        changed=bool(answer.changes) or replaces,
        replaces=replaces,
        delete_before_replace=answer.delete_before_replace,
        changes=changes,
        diffs=_details(answer, old, inputs),
    )


def _details(
    answer: protocol.DiffResponse, old: record.Record, inputs: dict[str, Any]
) -> tuple[events.PropertyDiff, ...]:
    found: dict[str, tuple[property_paths.Kind, bool, bool]] = {}
    for key, each in answer.detailed_diff.items():
        kind, replaces = _KINDS[each.kind]
        found[key] = (kind, replaces, each.input_diff)
    for key in (*answer.diffs, *answer.replaces):
        kind, replaces, inside = found.get(key, ("update", False, True))
        found[key] = (kind, replaces or key in answer.replaces, inside)
    details: list[events.PropertyDiff] = []
    for key, (kind, replaces, inside) in found.items():
        try:
            path = property_paths.parse(key)
        except errors.StackError:
            path = (key,)
        before = property_paths.at(old.inputs if inside else old.outputs, path)
        after = property_paths.at(inputs, path)
        details.append(
            events.PropertyDiff(
                path=key,
                kind=kind,
                replaces=replaces,
                old="" if kind == "add" or before is None else values.render(before),
                new="" if kind == "delete" or after is None else values.render(after),
            )
        )
    return tuple(details)


def _refine(found: Diff, old: record.Record, replace_on: tuple[str, ...]) -> Diff:
    """Return `found` with what the program's replaceOnChanges makes of it."""
    wanted = [property_paths.parse(text) for text in replace_on]
    if not wanted or not (found.changed or old.init_errors):
        return found
    diffs: list[events.PropertyDiff] = []
    forced = False
    for each in found.diffs:
        try:
            path = property_paths.parse(each.path)
        except errors.StackError:
            path = (each.path,)
        hit = any(property_paths.contains(outer, path) for outer in wanted)
        forced = forced or hit
        diffs.append(
            events.PropertyDiff(
                path=each.path,
                kind=each.kind,
                replaces=each.replaces or hit,
                old=each.old,
                new=each.new,
            )
        )
    if old.init_errors and any(property_paths.contains(outer, (INIT_ERROR,)) for outer in wanted):
        forced = True
    return Diff(
        changed=found.changed or forced,
        replaces=found.replaces or forced,
        delete_before_replace=found.delete_before_replace,
        changes=found.changes,
        diffs=tuple(diffs),
    )
