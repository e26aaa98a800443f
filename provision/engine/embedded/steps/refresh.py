"""A refresh of its own: every resource of the state is read, nothing is changed but the state."""

from __future__ import annotations

from concurrent import futures

from provision import errors
from provision.engine.embedded import providers, run, workers
from provision.engine.embedded.steps import crud
from provision.engine.state import ledger, property_paths, record, urns


class Refresher:
    """Reads every resource of the state."""

    def __init__(
        self, context: run.Run, calls: providers.Providers, pool: workers.DaemonPool
    ) -> None:
        self._run = context
        self._calls = calls
        self._crud = crud.Crud(calls, dry_run=context.dry_run)
        self._pool = pool

    def run(self) -> None:
        """Read everything. Failures are noted in the run; what could be read is kept."""
        everything = list(self._run.olds.values())
        jobs = [
            self._pool.submit(self._one, old)
            for old in everything
            if self._run.targets.include(old.record.urn)
        ]
        futures.wait(jobs)
        for job in jobs:
            job.result()
        gone = {old.record.urn for old in everything if old.done}
        if gone:
            self._prune(everything, gone)
        self._settle()

    def _one(self, old: run.Old) -> None:
        known = old.record
        skip = not known.custom or known.is_provider or known.pending_replacement
        if skip or not self._run.targets.include(known.urn):
            if not (known.is_provider and urns.name_of(known.urn).startswith("default")):
                self._run.planned(known, "same")
            return
        try:
            self._run.open()
            self._read(old)
        except run.Stopped:
            return
        except errors.KubeError as error:
            if error.status:
                self._run.fail(known.urn, "refresh", error)
                return
            self._run.say("warning", f"not reachable, left as it was: {error.summary}", known.urn)
        except Exception as error:  # noqa: BLE001 - noted, and raised at the end of the run
            self._run.fail(known.urn, "refresh", run.fault(f"reading {known.urn}", error))

    def _read(self, old: run.Old) -> None:
        known = old.record
        found = self._crud.read(self._calls.get(known.provider), known)
        if found is None:
            self._run.say("warning", "is gone, and was taken out of the state", known.urn)
            self._run.planned(known, "discard")
            with self._run.lock:
                old.done = True
            return
        seen = known.but(
            id=found.id,
            inputs=crud.keep_secrets(known.inputs, found.inputs) if found.inputs else known.inputs,
            outputs=crud.with_secrets(known, crud.keep_secrets(known.outputs, found.outputs)),
        )
        diffs = property_paths.describe(known.outputs, seen.outputs)
        self._run.planned(known, "refresh" if diffs else "same", diffs=diffs)
        if seen == known:
            return
        with self._run.lock:
            old.record = seen.but(modified=record.now() if diffs else known.modified)
        raw = record.encode(old.record, self._run.vault)
        self._run.keeper.commit({"do": "edit", "cell": old.cell, "resource": raw})

    def _prune(self, everything: list[run.Old], gone: set[str]) -> None:
        """Take what is gone out of the state, and out of what refers to it."""
        entries: list[ledger.Entry] = []
        for old in everything:
            if old.done:
                entries.append({"do": "drop", "cell": old.cell})
                continue
            each = old.record
            if not each.needs() & gone:
                continue
            old.record = each.without(gone).but(
                parent=_stack(everything) if each.parent in gone else each.parent
            )
            raw = record.encode(old.record, self._run.vault)
            entries.append({"do": "edit", "cell": old.cell, "resource": raw})
        self._run.keeper.commit(*entries)

    def _settle(self) -> None:
        """Forget creations that an earlier run did not live to finish."""
        for urn in self._run.keeper.ledger.carried():
            self._run.say(
                "warning",
                "an earlier run was cut off while creating it; if something was left behind, "
                "only you can find it",
                urn,
            )
            self._run.keeper.commit({"do": "settle", "urn": urn})


def _stack(everything: list[run.Old]) -> str:
    for old in everything:
        if old.record.type == urns.ROOT_TYPE:
            return old.record.urn
    return ""
