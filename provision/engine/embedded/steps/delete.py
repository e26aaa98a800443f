"""Deletes: planned when everything else is done, taken level by level.

What depends on something is deleted before it; what does not depend on each
other is deleted at the same time.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from concurrent import futures

from provision import errors
from provision.engine import events
from provision.engine.embedded import providers, run, workers
from provision.engine.embedded.steps import crud, replace
from provision.engine.state import record, urns


def doomed(context: run.Run) -> list[run.Old]:
    """Return what the state has and this run does not want, in the state's order."""
    left = [old for old in context.olds.values() if not old.done]
    if context.targets:
        left = [old for old in left if context.targets.hit(old.record.urn)]
        _require_no_dependents(context, left)
    found = [*context.doomed, *left]
    if context.targets:
        # A provider that was replaced stays for what still has it: no target, so not replaced.
        going = {old.cell for old in found}
        used = {new.record.provider for new in context.left}
        used |= {
            old.record.provider
            for old in context.olds.values()
            if not old.done and old.cell not in going
        }
        found = [old for old in found if old.record.reference not in used]
    found.sort(key=lambda old: old.cell)
    return found


def _require_no_dependents(context: run.Run, left: list[run.Old]) -> None:
    """Raise `errors.StackError` where a resource that stays needs one that would be deleted."""
    going = {old.record.urn for old in left}
    stays = [old.record for old in context.olds.values() if not old.done]
    for each in (*stays, *(new.record for new in context.left)):
        if each.urn not in going and each.needs() & going:
            raise errors.StackError(
                f"{each.urn} depends on a target that would be deleted, and is no target itself",
                operation="target",
                hint=f"add it: --target {shlex.quote(urns.name_of(each.urn))}",
            )


def levels(found: Sequence[run.Old]) -> list[list[run.Old]]:
    """Return `found`, which is in the state's order, in that of deletion: needed after needing.

    Two records may have one URN (one that was replaced, its successor), and
    what each needs is one of those that stand before it. So there are no
    circles, although the successors may need each other the other way round.
    """
    by_urn: dict[str, list[run.Old]] = {}
    for old in found:
        by_urn.setdefault(old.record.urn, []).append(old)
    needed_by: dict[int, int] = {old.cell: 0 for old in found}
    needs: dict[int, list[run.Old]] = {}
    for old in found:
        targets = [
            each
            for urn in old.record.needs()
            for each in by_urn.get(urn, ())
            if each.cell < old.cell and _really_needs(old.record, each.record)
        ]
        needs[old.cell] = targets
        for each in targets:
            needed_by[each.cell] += 1
    result: list[list[run.Old]] = []
    level = [old for old in found if not needed_by[old.cell]]
    while level:
        result.append(level)
        following: list[run.Old] = []
        for old in level:
            for each in needs[old.cell]:
                needed_by[each.cell] -= 1
                if not needed_by[each.cell]:
                    following.append(each)
        level = following
    return result


class Deleter:
    """Takes the deletes of one run."""

    def __init__(
        self, context: run.Run, calls: providers.Providers, pool: workers.DaemonPool
    ) -> None:
        self._run = context
        self._calls = calls
        self._crud = crud.Crud(calls, dry_run=context.dry_run)
        self._pool = pool
        self._told: frozenset[str] = frozenset()
        """URNs whose deletion was reported already, for a replacement."""

    def run(self) -> None:
        """Delete all that is doomed. Failures are noted in the run; later levels then wait."""
        found = doomed(self._run)
        blocked = [old.record.urn for old in found if old.record.protect and not old.record.delete]
        if blocked:
            raise replace.protected(", ".join(blocked), "deleted")
        for old in found:
            if not (old.record.retain_on_delete or old.record.external):
                crud.require_no_hooks(old.record)
        order = levels(found)
        with self._run.lock:
            self._told = frozenset(self._run.deleted)
            self._run.deleted.update(old.record.urn for old in found if not old.record.delete)
        if self._run.dry_run:
            for level in order:
                for old in level:
                    self._plan(old)
            return
        for level in order:
            jobs = [self._pool.submit(self._delete, old) for old in level]
            futures.wait(jobs)
            for job in jobs:
                job.result()
            self._run.open()

    def _plan(self, old: run.Old) -> tuple[events.Op, bool]:
        """Report the delete; return what it is and whether a provider has to be called."""
        known = old.record
        internal = known.is_provider and urns.name_of(known.urn).startswith("default")
        touches = known.custom and not (
            known.is_provider
            or known.external
            or known.retain_on_delete
            or known.pending_replacement
            or self._goes_with_another(old)
        )
        op: events.Op = "delete"
        if known.delete or known.pending_replacement:
            op = "delete-replaced"
        elif known.external:
            op = "discard"
        if not internal and (known.delete or known.urn not in self._told):
            self._run.planned(known, op)
        return op, touches

    def _goes_with_another(self, old: run.Old) -> bool:
        """Return whether something that is deleted in this run takes `old` with it."""
        known = old.record
        if known.deleted_with in self._run.deleted:
            return True
        # Replaced together: the old one goes with the old one.
        return old.cell in self._run.marked and known.deleted_with in self._run.replaced

    def _delete(self, old: run.Old) -> None:
        with self._calls.slot():
            try:
                self._run.open()
            except run.Stopped:
                return
            self._delete_now(old)

    def _delete_now(self, old: run.Old) -> None:
        known = old.record
        op, touches = self._plan(old)
        drop = {"do": "drop", "cell": old.cell}
        try:
            if not touches:
                old.done = True
                self._run.keeper.commit(drop, durable=False)
                return
            number = self._run.begin("deleting", known)
            try:
                with self._run.timed(known, op):
                    self._crud.delete(self._calls.get(known.provider), known)
            except Exception:
                self._run.end(number)
                raise
            old.done = True
            self._run.keeper.commit(drop, self._run.ended(number))
        except Exception as error:  # noqa: BLE001 - noted, and raised at the end of the run
            self._run.fail(known.urn, op, run.fault(f"deleting {known.urn}", error))


def _really_needs(dependent: record.Record, needed: record.Record) -> bool:
    """Return whether `dependent` needs this very record, not another one of the same URN."""
    if dependent.urn == needed.urn:
        return False
    if not needed.is_provider:
        return True
    references = (dependent.parent, dependent.deleted_with, *dependent.dependencies)
    return dependent.provider == needed.reference or needed.urn in references
