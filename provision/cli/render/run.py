"""What a run's events add up to: what is planned, what is under way, what is done."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from provision.cli.render import ops
from provision.engine import events


@dataclass(kw_only=True)
class Active:
    """One resource that is being worked on."""

    op: str
    since: float
    message: str = ""


@dataclass(kw_only=True)
class Run:
    """The state of one run, kept by `see`."""

    planned: dict[str, events.ResourcePlanned] = field(
        default_factory=dict[str, events.ResourcePlanned]
    )
    active: dict[str, Active] = field(default_factory=dict[str, Active])
    diagnostics: list[events.Diagnostic] = field(default_factory=list[events.Diagnostic])
    failed: dict[str, Exception] = field(default_factory=dict[str, Exception])
    summary: events.Summary | None = None
    operation: str = ""
    adopted: set[str] = field(default_factory=set[str])
    """URNs of what a preview found there already, as it is to be made."""
    step: str = ""
    """What is going on outside any resource: preflight."""

    def see(self, event: events.Event) -> None:
        """Take `event` in."""
        match event:
            case events.Prelude():
                self.operation = event.operation
                self.step = ""
                self.planned.clear()
                self.active.clear()
                self.summary = None
            case events.ResourcePlanned():
                self.planned[event.urn] = event
                if event.op == "create" and any(c.action == "adopt" for c in event.changes):
                    self.adopted.add(event.urn)
            case events.ResourceStarted():
                self.active[event.urn] = Active(op=event.op, since=time.monotonic())
            case events.ResourceProgress():
                if event.urn in self.active:
                    self.active[event.urn].message = event.message
                else:
                    self.step = event.message
            case events.ResourceDone():
                self.active.pop(event.urn, None)
            case events.ResourceFailed():
                self.active.pop(event.urn, None)
                self.failed[event.urn] = event.error
            case events.Diagnostic():
                self.diagnostics.append(event)
            case events.Summary():
                self.active.clear()
                self.summary = event

    def op(self, planned: events.ResourcePlanned) -> str:
        """Return what happens as people call it: taking over is no creation.

        A component is taken over when all in it is.
        """
        if planned.op != "create":
            return planned.op
        if planned.urn in self.adopted:
            return "import"
        children = [self.op(child) for child in self.children(planned.urn)]
        return "import" if children and set(children) == {"import"} else "create"

    def counts(self) -> dict[str, int]:
        """Return the numbers of the summary, with what is taken over apart from creations."""
        found = dict(self.summary.counts) if self.summary is not None else {}
        taken = sum(self.op(each) == "import" != each.op for each in self.planned.values())
        if taken:
            found["import"] = found.get("import", 0) + taken
            found["create"] = found.get("create", 0) - taken
        return {op: number for op, number in found.items() if number > 0}

    def title(self, urn: str) -> str:
        """Return what people call a resource: ``media mount kyrion``."""
        planned = self.planned.get(urn)
        if planned is not None:
            return f"{ops.label(planned.type)} {planned.name}".strip()
        if "::" not in urn:
            return urn
        types, _, name = urn.rpartition("::")
        token = types.rpartition("::")[2].rpartition("$")[2]
        return f"{ops.label(token)} {name}"

    def current(self) -> str:
        """Return what is under way now, in words; empty when nothing is."""
        doing = [
            f"{self.title(urn)}" + (f" ({active.message})" if active.message else "")
            for urn, active in self.active.items()
        ]
        return "; ".join(doing) or self.step

    def children(self, parent: str) -> Iterator[events.ResourcePlanned]:
        """Yield what was planned directly below `parent`, in order."""
        for planned in self.planned.values():
            if planned.parent == parent and planned.urn != parent:
                yield planned

    def roots(self) -> Iterator[events.ResourcePlanned]:
        """Yield what has no parent among the planned."""
        for planned in self.planned.values():
            if planned.parent not in self.planned or planned.parent == planned.urn:
                yield planned
