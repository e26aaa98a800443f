"""Replacements: what has to go before, or after, its successor is made."""

from __future__ import annotations

import shlex
import threading

from pulumi.provider.experimental import provider as protocol

from provision import errors
from provision.engine.embedded import providers, run, wire
from provision.engine.embedded.steps import crud
from provision.engine.state import ledger, record, urns, values


class Replacer:
    """Deletes what is replaced, and decides what a new provider replaces."""

    def __init__(self, context: run.Run, calls: providers.Providers, crud_: crud.Crud) -> None:
        self._run = context
        self._calls = calls
        self._crud = crud_
        self._one_chain = threading.Lock()

    def provider_replaces(self, old: str, new: str) -> bool:
        """Return whether going from provider reference `old` to `new` replaces its resources."""
        if old == new:
            return False
        if not old or not new:
            return True
        old_urn, old_id = urns.split_reference(old)
        new_urn, new_id = urns.split_reference(new)
        if self._run.renamed.get(old_urn, old_urn) == new_urn and old_id == new_id:
            return False
        before = self._earlier(old_urn, old_id)
        after = self._run.news.get(new_urn)
        if before is None or after is None:
            return True
        instance = self._calls.get(new)
        request = protocol.DiffRequest(
            urn=new_urn,
            resource_id=new_id,
            old_state=wire.to_properties(before.record.outputs),
            new_inputs=wire.to_properties(after.record.inputs),
            ignore_changes=[],
        )
        answer = self._calls.call(
            new_urn, instance.provider.diff_config(request), protocol.DiffResponse
        )
        return bool(answer.replaces)

    def _earlier(self, urn: str, id_: str) -> run.Old | None:
        """Return the provider of the state that a resource was made with.

        When a run was cut off between a provider's replacement and that of
        its resources, it is the one marked for deletion.
        """
        with self._run.lock:
            for old in self._run.doomed:
                if old.record.urn == urn and old.record.id == id_:
                    return old
            return self._run.olds.get(urn)

    def delete_later(self, old: run.Old, known: record.Record) -> ledger.Entry | None:
        """Mark `old` for deletion at the end of the run; return the entry that says so."""
        marked = known.but(delete=True)
        with self._run.lock:
            old.done = True
            self._run.doom(run.Old(cell=old.cell, record=marked))
        if self._run.dry_run:
            return None
        raw = record.encode(marked, self._run.vault)
        return {"do": "edit", "cell": old.cell, "resource": raw}

    def delete_first(self, old: run.Old, known: record.Record) -> None:
        """Delete `old`, and before it every dependent that would be replaced with it."""
        # Two replacements may have the same dependents: one after the other, or the second
        # would go on while the first still deletes them.
        with self._one_chain:
            dependents = self._dependents(known)
            try:
                blocked = [each.record.urn for each in dependents if each.record.protect]
                if blocked:
                    raise protected(", ".join(blocked), f"replaced with {known.urn}")
                self._require_targets(known, dependents)
                for each in reversed(dependents):
                    self._delete(each, each.record)
            finally:
                for each in dependents:
                    if each.going is not None:
                        each.going.set()
        if not known.pending_replacement:
            self._delete(old, known)

    def _delete(self, old: run.Old, known: record.Record) -> None:
        self._run.open()
        with self._run.lock:
            if known.urn in self._run.deleted:
                return
            self._run.deleted.add(known.urn)
        self._run.planned(known, "delete-replaced")
        if self._run.dry_run:
            return
        number = self._run.begin("deleting", known)
        gone_with = known.deleted_with and known.deleted_with in self._run.deleted
        try:
            if not (known.retain_on_delete or gone_with):
                with self._run.timed(known, "delete-replaced"):
                    self._crud.delete(self._calls.get(known.provider), known)
        except Exception:
            with self._run.lock:
                self._run.deleted.discard(known.urn)
            self._run.end(number)
            raise
        kept = known.but(pending_replacement=True)
        with self._run.lock:
            old.record = kept
        raw = record.encode(kept, self._run.vault)
        self._run.keeper.commit(
            {"do": "edit", "cell": old.cell, "resource": raw}, self._run.ended(number)
        )

    def _dependents(self, root: record.Record) -> list[run.Old]:
        """Return what would be replaced together with `root`, dependencies first."""
        replaced = {root.urn}
        touched = {root.urn}
        found: list[run.Old] = []
        for old in self._run.olds.values():
            each = old.record
            if old.done or old.taken or each.urn in replaced:
                continue
            needs = each.needs()
            if not needs & touched:
                continue
            touched.add(each.urn)
            if self._is_replaced(each, replaced) and self._run.reserve(old):
                replaced.add(each.urn)
                found.append(old)
        return found

    def _require_targets(self, root: record.Record, dependents: list[run.Old]) -> None:
        targets = self._run.targets
        outside = [old.record.urn for old in dependents if not targets.hit(old.record.urn)]
        if targets and outside:
            raise errors.StackError(
                f"{', '.join(outside)} would be replaced with {root.urn}, and is no target itself",
                operation="target",
                hint="add it: "
                + " ".join(f"--target {shlex.quote(urns.name_of(urn))}" for urn in outside),
            )

    def _is_replaced(self, each: record.Record, replaced: set[str]) -> bool:
        if not each.custom or each.external:
            return False
        if each.provider and urns.split_reference(each.provider)[0] in replaced:
            return True
        if each.deleted_with in replaced:
            return True
        changed = {
            key
            for key, deps in each.property_dependencies.items()
            if key in each.inputs and replaced.intersection(deps)
        }
        if not changed or each.is_provider:
            return False
        inputs = {
            key: values.UNKNOWN if key in changed else value for key, value in each.inputs.items()
        }
        instance = self._calls.get(each.provider)
        diff = self._crud.diff(instance, each, inputs, each.ignore_changes, each.replace_on_changes)
        return diff.replaces


def protected(urn: str, what: str) -> errors.StackError:
    """Return the error for a protected resource that would be deleted."""
    return errors.StackError(
        f"{urn} is protected and would be {what}",
        operation="protect",
        hint="take `protect` away in the program and run it once, then try again",
    )
