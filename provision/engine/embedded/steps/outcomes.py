"""Records of what came out of a provider's call: all of it, a part, or too little."""

from __future__ import annotations

from typing import Any

from provision import errors
from provision.engine import events
from provision.engine.embedded import providers
from provision.engine.embedded.steps import crud
from provision.engine.state import property_paths, record, values


def is_triggered(old: Any, new: Any) -> bool:
    """Return whether a replacement trigger changed from `old` to `new` (None: there is none)."""
    if old is None or new is None:
        return False
    return any(property_paths.differences(old, new))


def because(reason: str) -> crud.Diff:
    """Return the difference that is a replacement for `reason`."""
    what = events.PropertyDiff(path=reason, kind="update", replaces=True)
    return crud.Diff(changed=True, replaces=True, diffs=(what,))


def settled(new: record.Record, outputs: dict[str, Any]) -> tuple[record.Record, bool]:
    """Return the record with its outputs, and whether all of them were known."""
    outputs = crud.with_secrets(new, outputs)
    if not values.has_unknown(outputs):
        return new.but(outputs=outputs), True
    known = {key: each for key, each in outputs.items() if not values.has_unknown(each)}
    return new.but(outputs=known, init_errors=("its provider left outputs unknown",)), False


def incomplete(new: record.Record) -> errors.StackError:
    """Return the error for a provider that left outputs unknown in a real run."""
    return errors.StackError(
        f"the provider left outputs of {new.urn} unknown", operation="provider"
    )


def partly(new: record.Record, partial: providers.Partial, inputs: dict[str, Any]) -> record.Record:
    """Return the record of what a provider made before it failed."""
    now = record.now()
    return new.but(
        id=partial.id or new.id,
        inputs=inputs,
        outputs=crud.with_secrets(new, partial.properties),
        init_errors=partial.reasons,
        created=new.created or now,
        modified=now,
    )
