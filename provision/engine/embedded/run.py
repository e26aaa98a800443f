"""One run of the engine: what all its steps share."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from provision import errors
from provision.engine import api, events
from provision.engine.embedded import registration, targets
from provision.engine.state import ledger, record, store, urns, values

Mode = Literal["up", "refresh", "destroy"]


@dataclass(eq=False, kw_only=True)
class Old:
    """One resource of the state as the run found it, and the cell that holds it.

    `done` becomes true when a resource of this run took its place, or it was
    deleted. `imported`: this run itself took it over, and has said so. `taken`: the
    program has registered it. `going`: it is being deleted for the replacement of
    something it depends on; set when that has ended, well or not.
    """

    cell: int
    record: record.Record
    done: bool = False
    imported: bool = False
    taken: bool = False
    going: threading.Event | None = None


@dataclass(kw_only=True)
class New:
    """One resource of this run: as it is now, in its cell (-1: nowhere yet)."""

    cell: int
    record: record.Record
    goal: registration.Goal
    replaced: bool = False
    skipped: bool = False


class Stopped(Exception):
    """No further step begins: another one failed, or the user pressed Ctrl-C."""


@dataclass(kw_only=True)
class Run:
    """What the steps of one run share. Its methods are safe from any thread."""

    mode: Mode
    dry_run: bool
    project: str
    stack: str
    root: Path
    options: api.Options
    keeper: store.Keeper
    vault: values.Vault
    emit: Callable[[events.Event], None]
    targets: targets.Targets
    lock: threading.RLock = field(default_factory=threading.RLock)
    olds: dict[str, Old] = field(default_factory=dict[str, Old])
    doomed: list[Old] = field(default_factory=list[Old])
    """Resources that are marked for deletion (``delete``), by this run or one that was cut off."""
    news: dict[str, New] = field(default_factory=dict[str, New])
    claimed: set[str] = field(default_factory=set[str])
    left: list[New] = field(default_factory=list[New])
    """Resources of the program that are no targets, and left as they were."""
    ahead: list[New] = field(default_factory=list[New])
    """Those of `left` that need what the program had not registered when they were left."""
    renamed: dict[str, str] = field(default_factory=dict[str, str])
    """Old URN to new URN, of resources found by an alias."""
    deleted: set[str] = field(default_factory=set[str])
    """URNs that were deleted to be replaced, or deleted for good."""
    marked: set[int] = field(default_factory=set[int])
    """The cells of what is doomed."""
    replaced: set[str] = field(default_factory=set[str])
    """The URNs of what is doomed: something else has each of them now."""
    counts: Counter[str] = field(default_factory=Counter[str])
    failures: list[Exception] = field(default_factory=list[Exception])
    under_way: dict[int, str] = field(default_factory=dict[int, str])
    cancelled: threading.Event = field(default_factory=threading.Event)
    stack_outputs: dict[str, Any] | None = None
    """What the program exported, once it did."""
    _next_operation: int = 0

    def load(self, raws: list[ledger.Raw]) -> None:
        """Take the state's resources, in the order of the ledger's first cells."""
        for cell, raw in enumerate(raws):
            old = Old(cell=cell, record=record.decode(raw, self.vault))
            if old.record.delete:
                self.doom(old)
            else:
                self.olds[old.record.urn] = old

    def doom(self, old: Old) -> None:
        """Have `old`, which is marked for deletion, deleted at the end of the run."""
        with self.lock:
            self.doomed.append(old)
            self.marked.add(old.cell)
            self.replaced.add(old.record.urn)

    def take(self, old: Old) -> None:
        """Note that the program has registered `old`; wait while it is being deleted.

        From then on it is this registration's to change, and no other's to delete.
        """
        with self.lock:
            old.taken = True
            going = old.going
        if going is not None:
            going.wait()

    def reserve(self, old: Old) -> bool:
        """Return whether `old` may be deleted for something else, and make `take` wait if so."""
        with self.lock:
            if old.taken or old.done:
                return False
            old.going = old.going or threading.Event()
            return True

    def open(self) -> None:
        """Raise `Stopped` when no further step may begin."""
        if self.failures or self.cancelled.is_set():
            raise Stopped

    def fail(self, urn: str, op: events.Op, error: Exception) -> None:
        """Note and report that a step failed; no further step begins."""
        with self.lock:
            self.failures.append(error)
        self.emit(events.ResourceFailed(urn=urn, op=op, error=error))

    def say(self, severity: events.Severity, message: str, urn: str = "") -> None:
        """Tell the user something."""
        self.emit(events.Diagnostic(severity=severity, message=message, urn=urn))

    def planned(
        self,
        found: record.Record,
        op: events.Op,
        *,
        changes: tuple[object, ...] = (),
        diffs: tuple[events.PropertyDiff, ...] = (),
    ) -> None:
        """Report what will happen to a resource, and count it."""
        with self.lock:
            self.counts[op] += 1
        self.emit(
            events.ResourcePlanned(
                urn=found.urn,
                type=found.type,
                name=urns.name_of(found.urn),
                parent=found.parent,
                op=op,
                changes=changes,  # pyright: ignore[reportArgumentType]
                diffs=diffs,
            )
        )

    def begin(self, kind: str, found: record.Record) -> int:
        """Note, on disk, that a provider is about to be called; return the operation's number.

        `kind` is ``creating``, ``updating``, ``deleting`` or ``reading``.
        """
        with self.lock:
            self._next_operation += 1
            number = self._next_operation
            self.under_way[number] = f"{kind} {urns.name_of(found.urn)}"
        if not self.dry_run:
            raw = record.encode(found, self.vault)
            self.keeper.commit(
                {"do": "begin", "id": number, "operation": {"resource": raw, "type": kind}}
            )
        return number

    def end(self, number: int) -> None:
        """Note, on disk, that the operation came to an end."""
        self.keeper.commit(self.ended(number))

    def ended(self, number: int) -> ledger.Entry:
        """Return the entry that says so, to be committed with its result."""
        with self.lock:
            self.under_way.pop(number, None)
        return {"do": "end", "id": number}

    def put(
        self,
        found: record.Record,
        asked: registration.Goal,
        old: Old | None,
        *others: ledger.Entry,
        durable: bool = True,
        replaced: bool = False,
    ) -> New:
        """Record a resource of this run in place of `old`."""
        raw = record.encode(found, self.vault) if not self.dry_run else None
        with self.lock:
            takes = None if old is None or old.done else old.cell
            if old is not None:
                old.done = True
            before = self.news.get(found.urn)
            cell = before.cell if before is not None else -1
            if raw is not None and cell >= 0:
                # It stands there already: imported just now, or carried along.
                edit: ledger.Entry = {"do": "edit", "cell": cell, "resource": raw}
                self.keeper.commit(edit, *others, durable=False)
            elif raw is not None:
                same = takes is not None and raw == self.keeper.ledger.held(takes)
                durable = durable and (not same or bool(others))
                put = None if same else raw
                cell = self.keeper.put(put, takes, *others)
            new = New(cell=cell, record=found, goal=asked, replaced=replaced)
            self.news[found.urn] = new
        if durable:
            self.keeper.commit()
        return new

    def edit(self, new: New, found: record.Record) -> None:
        """Change a resource of this run that is recorded already."""
        with self.lock:
            new.record = found
        if not self.dry_run and new.cell >= 0:
            raw = record.encode(found, self.vault)
            if raw != self.keeper.ledger.held(new.cell):
                self.keeper.commit({"do": "edit", "cell": new.cell, "resource": raw}, durable=False)

    def timed(self, found: record.Record, op: events.Op) -> Timer:
        """Return a context manager that reports start, end and duration of a step."""
        return Timer(self, found.urn, op)


class Timer:
    """Reports that a step starts, and that it is done unless it raises."""

    def __init__(self, run: Run, urn: str, op: events.Op) -> None:
        self._run = run
        self._urn = urn
        self._op: events.Op = op
        self._began = 0.0

    def __enter__(self) -> None:
        self._began = time.monotonic()
        if not self._run.dry_run:
            self._run.emit(events.ResourceStarted(urn=self._urn, op=self._op))

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and not self._run.dry_run:
            seconds = time.monotonic() - self._began
            self._run.emit(events.ResourceDone(urn=self._urn, op=self._op, seconds=seconds))


def refusal(what: str) -> errors.StackError:
    """Return the error for something that the program uses and this engine does not have."""
    return errors.StackError(
        f"the program uses {what}, which the embedded engine does not do",
        operation="program",
        hint="put `pulumi` on PATH and add --engine upstream",
    )


def fault(what: str, error: Exception) -> errors.ElysiumError:
    """Return the error to report for anything that a provider or the program raised."""
    if isinstance(error, errors.ElysiumError):
        return error
    return errors.StackError(
        f"{what} failed: {type(error).__name__}", operation="provider", detail=str(error)
    )
