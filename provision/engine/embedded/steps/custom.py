"""One custom resource: read, checked, compared, and then left, made, changed or replaced."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Final

from provision import errors
from provision.engine import events
from provision.engine.embedded import providers, registration, run
from provision.engine.embedded.steps import crud, outcomes, replace
from provision.engine.state import ledger, property_paths, record, values

_KEPT: Final = ("refreshBeforeUpdate",)
"""Fields that upstream has from a resource's provider, and needs again."""


@dataclass(frozen=True, kw_only=True)
class Before:
    """The resource as it was: in the state, and brought up to date by a read."""

    old: run.Old
    record: record.Record
    unreachable: bool = False


class CustomSteps:
    """Decides on and takes the steps of custom resources that are not providers."""

    def __init__(
        self,
        context: run.Run,
        calls: providers.Providers,
        crud_: crud.Crud,
        replacer: replace.Replacer,
    ) -> None:
        self._run = context
        self._calls = calls
        self._crud = crud_
        self._replacer = replacer

    def register(
        self, new: record.Record, asked: registration.Goal, old: run.Old | None
    ) -> run.New:
        """Bring the resource to what was asked; return it as it is then."""
        instance = self._calls.get(new.provider)
        with self._calls.slot():
            self._run.open()
            return self._register(new, asked, old, instance)

    def _register(
        self,
        new: record.Record,
        asked: registration.Goal,
        old: run.Old | None,
        instance: providers.Instance,
    ) -> run.New:
        if old is not None and (old.record.pending_replacement or new.urn in self._run.deleted):
            return self._recreate(new, asked, old, instance)
        if old is not None and (old.record.external or not old.record.custom):
            return self._take_over(new, asked, old, instance)
        if asked.import_id and (
            old is None or asked.import_id not in (old.record.id, old.record.import_id)
        ):
            old = self._import(new, asked, old, instance)
        before = self._refresh(old, instance) if old is not None else None
        if before is None:
            inputs = self._crud.check(instance, new.urn, None, asked.inputs)
            return self.create(new.but(inputs=inputs), asked, old, instance)
        return self._compare(new, asked, before, instance)

    def create(
        self,
        new: record.Record,
        asked: registration.Goal,
        takes: run.Old | None,
        instance: providers.Instance,
        *others: ledger.Entry,
        op: events.Op = "create",
        plan: crud.Diff | None = None,
    ) -> run.New:
        """Create a resource and record it in place of `takes`, with `others` at once."""
        replaced = op == "create-replacement"
        diffs = plan.diffs if plan else ()
        if self._run.dry_run:
            made = self._crud.create(instance, new)
            shown: events.Op = "replace" if replaced else op
            self._run.planned(new, shown, changes=made.changes, diffs=diffs)
            new = new.but(outputs=crud.with_secrets(new, made.outputs))
            return self._run.put(new, asked, takes, replaced=replaced)
        changes = plan.changes if plan else ()
        self._run.planned(new, "replace" if replaced else op, changes=changes, diffs=diffs)
        number = self._run.begin("creating", new)
        try:
            with self._run.timed(new, op):
                made = self._crud.create(instance, new)
        except Exception as error:
            partial = providers.partial_failure(error, instance, new.inputs)
            if partial is None or not partial.id:
                self._run.end(number)
                raise
            kept = outcomes.partly(new, partial, partial.inputs or new.inputs)
            self._run.put(kept, asked, takes, self._run.ended(number), *others, replaced=replaced)
            raise
        if not made.id:
            self._run.end(number)
            raise errors.StackError(f"{new.urn} was created without an id", operation="provider")
        now = record.now()
        done = new.but(id=made.id, created=now, modified=now)
        done, complete = outcomes.settled(done, made.outputs)
        entries = [self._run.ended(number), *others]
        if new.urn in self._run.keeper.ledger.carried():
            entries.append({"do": "settle", "urn": new.urn})
        result = self._run.put(done, asked, takes, *entries, replaced=replaced)
        if not complete:
            raise outcomes.incomplete(new)
        return result

    def _compare(
        self,
        new: record.Record,
        asked: registration.Goal,
        before: Before,
        instance: providers.Instance,
    ) -> run.New:
        known = before.record
        wanted, failed = property_paths.ignore(asked.ignore_changes, known.inputs, asked.inputs)
        if failed:
            what = ", ".join(failed)
            self._run.say("info", f"cannot ignore added or removed elements: {what}", new.urn)
        inputs = self._crud.check(instance, new.urn, known.inputs, wanted)
        kept = {key: known.extra[key] for key in _KEPT if key in known.extra}
        new = new.but(inputs=inputs, created=known.created, modified=known.modified, extra=kept)
        diff = self._diff(new, asked, before, instance)
        if diff.replaces:
            return self._replace(new, asked, before, instance, diff)
        if diff.changed or known.init_errors:
            return self._update(new, asked, before, instance, diff)
        if not before.old.imported:
            self._run.planned(new, "same", changes=diff.changes)
        same = new.but(id=known.id, outputs=crud.with_secrets(new, known.outputs))
        return self._run.put(same, asked, before.old, durable=False)

    def _diff(
        self,
        new: record.Record,
        asked: registration.Goal,
        before: Before,
        instance: providers.Instance,
    ) -> crud.Diff:
        known = before.record
        if known.taint:
            # Deleted first: where the id is a natural one, a deletion that comes
            # later would remove what was just made.
            return dataclasses.replace(outcomes.because("taint"), delete_before_replace=True)
        trigger = asked.replacement_trigger
        if outcomes.is_triggered(known.replacement_trigger, trigger):
            return outcomes.because("replacementTrigger")
        if asked.deleted_with and self._goes_with(asked.deleted_with, known):
            return outcomes.because("deletedWith")
        if self._replacer.provider_replaces(known.provider, new.provider):
            return outcomes.because("provider")
        if before.unreachable and self._run.dry_run:
            diffs = property_paths.describe(known.inputs, new.inputs)
            return crud.Diff(changed=bool(diffs), diffs=diffs)
        at = known.but(urn=new.urn)
        return self._crud.diff(
            instance, at, new.inputs, asked.ignore_changes, asked.replace_on_changes
        )

    def _update(
        self,
        new: record.Record,
        asked: registration.Goal,
        before: Before,
        instance: providers.Instance,
        diff: crud.Diff,
    ) -> run.New:
        known = before.record
        if self._run.dry_run:
            outputs = {key: values.UNKNOWN for key in known.outputs} | new.inputs
            changes = diff.changes
            if not before.unreachable and not instance.unknown:
                made = self._crud.update(instance, known, new)
                outputs, changes = made.outputs, diff.changes or made.changes
            self._run.planned(new, "update", changes=changes, diffs=diff.diffs)
            new = new.but(id=known.id, outputs=crud.with_secrets(new, outputs))
            return self._run.put(new, asked, before.old)
        self._run.planned(new, "update", changes=diff.changes, diffs=diff.diffs)
        number = self._run.begin("updating", known.but(urn=new.urn))
        try:
            with self._run.timed(new, "update"):
                made = self._crud.update(instance, known, new)
        except Exception as error:
            partial = providers.partial_failure(error, instance, new.inputs)
            if partial is None:
                self._run.end(number)
                raise
            kept = outcomes.partly(new.but(id=known.id), partial, partial.inputs or known.inputs)
            self._run.put(kept, asked, before.old, self._run.ended(number))
            raise
        done, complete = outcomes.settled(new.but(id=known.id, modified=record.now()), made.outputs)
        result = self._run.put(done, asked, before.old, self._run.ended(number))
        if not complete:
            raise outcomes.incomplete(new)
        return result

    def _replace(
        self,
        new: record.Record,
        asked: registration.Goal,
        before: Before,
        instance: providers.Instance,
        diff: crud.Diff,
    ) -> run.New:
        old, known = before.old, before.record
        if known.protect and new.protect:
            raise replace.protected(new.urn, "replaced")
        if asked.import_id:
            raise errors.StackError(
                f"{new.urn} was imported and would have to be replaced",
                operation="replace",
                hint="take import_ away from the program, or give it the values that are there",
            )
        inputs = self._crud.check(instance, new.urn, None, asked.inputs)
        new = new.but(inputs=inputs, created="", modified="", extra={})
        first = diff.delete_before_replace
        if asked.delete_before_replace is not None:
            first = asked.delete_before_replace
        if first:
            self._replacer.delete_first(old, known)
            return self.create(new, asked, old, instance, op="create-replacement", plan=diff)
        entry = self._replacer.delete_later(old, known)
        entries = [entry] if entry else []
        return self.create(new, asked, None, instance, *entries, op="create-replacement", plan=diff)

    def _recreate(
        self,
        new: record.Record,
        asked: registration.Goal,
        old: run.Old,
        instance: providers.Instance,
    ) -> run.New:
        """Create what was deleted for a replacement, in this run or in one that was cut off."""
        inputs = self._crud.check(instance, new.urn, None, asked.inputs)
        return self.create(new.but(inputs=inputs), asked, old, instance, op="create-replacement")

    def _take_over(
        self,
        new: record.Record,
        asked: registration.Goal,
        old: run.Old,
        instance: providers.Instance,
    ) -> run.New:
        """Create what was only read, or was a component, until now."""
        inputs = self._crud.check(instance, new.urn, None, asked.inputs)
        op: events.Op = "create"
        if old.record.external:
            self._run.planned(old.record, "discard")
            op = "create-replacement"
        return self.create(new.but(inputs=inputs), asked, old, instance, op=op)

    def _import(
        self,
        new: record.Record,
        asked: registration.Goal,
        old: run.Old | None,
        instance: providers.Instance,
    ) -> run.Old:
        """Take over what is there under the given id; return it as if the state had held it."""
        known = new.but(id=asked.import_id, inputs={}, outputs={})
        found = self._crud.read(instance, known)
        if found is None:
            raise errors.StackError(
                f"{new.urn} cannot be imported: there is no '{asked.import_id}'",
                operation="import",
            )
        now = record.now()
        known = known.but(
            id=found.id,
            inputs=found.inputs,
            outputs=crud.with_secrets(new, found.outputs),
            import_id=asked.import_id,
            created=now,
            modified=now,
        )
        self._run.planned(known, "import")
        if old is not None:
            entry = self._replacer.delete_later(old, old.record)
            placed = self._run.put(known, asked, None, *([entry] if entry else []))
        else:
            placed = self._run.put(known, asked, None)
        return run.Old(cell=placed.cell, record=known, imported=True)

    def _refresh(self, old: run.Old, instance: providers.Instance) -> Before | None:
        """Return the resource as it is now; None when it is gone."""
        known = old.record
        if not self._run.options.refresh or instance.unknown:
            return Before(old=old, record=known)
        try:
            found = self._crud.read(instance, known)
        except errors.KubeError as error:
            if error.status:
                raise
            self._run.say(
                "warning",
                f"not reachable, compared with the state instead: {error.summary}",
                known.urn,
            )
            return Before(old=old, record=known, unreachable=True)
        if found is None:
            self._run.say("warning", "is gone, and will be made again", known.urn)
            return None
        seen = known.but(
            id=found.id,
            inputs=crud.keep_secrets(known.inputs, found.inputs) if found.inputs else known.inputs,
            outputs=crud.keep_secrets(known.outputs, found.outputs),
        )
        return Before(old=old, record=seen)

    def _goes_with(self, urn: str, known: record.Record) -> bool:
        """Return whether the deletion of the earlier resource `urn` takes `known` with it.

        It was replaced in this run, or in one that was cut off before it came
        to `known`; in the latter, `known` is older than what there is now.
        """
        found = self._run.news.get(urn)
        if found is None or found.replaced:
            return found is not None
        return urn in self._run.replaced and known.is_older_than(found.record)
