"""Events of the `pulumi` CLI as our own events."""

from __future__ import annotations

import dataclasses
import re
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from provision import change, errors
from provision.engine import events
from provision.engine.state import property_paths, urns, values

_OPS: Final[dict[str, events.Op]] = {
    "same": "same",
    "create": "create",
    "update": "update",
    "delete": "delete",
    "create-replacement": "create-replacement",
    "delete-replaced": "delete-replaced",
    "read": "read",
    "read-replacement": "read",
    "refresh": "refresh",
    "discard": "discard",
    "discard-replaced": "discard",
    "read-discard": "discard",
    "remove-pending-replace": "delete-replaced",
    "import": "import",
    "import-replacement": "import",
}
_READ: Final[dict[str, events.Op]] = {"update": "refresh", "delete": "discard"}
"""What the CLI calls the result of a read, and what it is in our words."""
_TOUCHING: Final = ("create", "update", "delete", "create-replacement", "delete-replaced", "import")
_COLORS: Final = re.compile(r"<\{%[^%]*%\}>|\x1b\[[0-9;]*m")


class Translator:
    """Turns the CLI's events into ours and gives them to `emit`, one run long.

    The CLI announces the read before every comparison as a step of its own,
    whatever it finds; ours are only those of a refresh, and only with drift.
    """

    def __init__(self, emit: Callable[[events.Event], None], operation: events.Operation) -> None:
        self._emit = emit
        self._operation = operation
        self._began: dict[str, float] = {}
        self._planned: set[tuple[str, str]] = set()
        self._changes: dict[str, tuple[change.Change, ...]] = {}
        self._held: dict[str, events.ResourcePlanned] = {}
        self.counts: Counter[str] = Counter()
        self.errors: list[str] = []
        self.failed: list[str] = []

    def take(self, event: Any) -> None:
        """Take one event of `pulumi.automation.events`."""
        if event.resource_pre_event is not None:
            found = event.resource_pre_event
            self._before(found.metadata, planning=bool(found.planning))
        elif event.res_outputs_event is not None:
            found = event.res_outputs_event
            self._after(found.metadata, planning=bool(found.planning))
        elif event.res_op_failed_event is not None:
            self._failed(event.res_op_failed_event.metadata)
        elif event.diagnostic_event is not None:
            self._said(event.diagnostic_event)

    def _before(self, metadata: Any, *, planning: bool) -> None:
        op = _OPS.get(str(getattr(metadata.op, "value", metadata.op)))
        if op is None or op == "refresh" or _is_default(metadata):
            return
        if op == "same" and self._operation == "destroy":
            return
        shown: events.Op = "replace" if op == "create-replacement" else op
        # The plan of a creation is told while it is previewed, so after this.
        creates = op in ("create", "create-replacement") and _is_custom(metadata)
        self._plan(metadata, shown, hold=planning and creates)
        if not planning and op in _TOUCHING and _is_custom(metadata):
            self._began[metadata.urn] = time.monotonic()
            self._emit(events.ResourceStarted(urn=metadata.urn, op=op))

    def _after(self, metadata: Any, *, planning: bool) -> None:
        op = _OPS.get(str(getattr(metadata.op, "value", metadata.op)))
        if op is None or _is_default(metadata):
            return
        self._release(metadata.urn)
        if self._operation == "refresh":
            self._plan(metadata, _READ.get(op, "same"))
            return
        began = self._began.pop(metadata.urn, None)
        if not planning and began is not None:
            seconds = time.monotonic() - began
            self._emit(events.ResourceDone(urn=metadata.urn, op=op, seconds=seconds))

    def _plan(self, metadata: Any, op: events.Op, *, hold: bool = False) -> None:
        # A step that failed, or was refreshed first, is announced once more.
        if (metadata.urn, op) in self._planned:
            return
        self._planned.add((metadata.urn, op))
        self.counts[op] += 1
        state = metadata.new or metadata.old
        planned = events.ResourcePlanned(
            urn=metadata.urn,
            type=metadata.type,
            name=urns.name_of(metadata.urn),
            parent=(state.parent or "") if state else "",
            op=op,
            diffs=_diffs(metadata),
        )
        self._held[metadata.urn] = planned
        if not hold:
            self._release(metadata.urn)

    def _release(self, urn: str) -> None:
        planned = self._held.pop(urn, None)
        if planned is not None:
            self._emit(dataclasses.replace(planned, changes=self._changes.pop(urn, ())))

    def _failed(self, metadata: Any) -> None:
        self._release(metadata.urn)
        op = _OPS.get(str(getattr(metadata.op, "value", metadata.op)), "update")
        words = [text for text in self.errors if text]
        error = errors.StackError(
            f"{op} of {urns.type_of(metadata.urn)} '{urns.name_of(metadata.urn)}' failed",
            operation="upstream",
            detail=words[-1] if words else "",
        )
        self.failed.append(metadata.urn)
        self._emit(events.ResourceFailed(urn=metadata.urn, op=op, error=error))

    def _said(self, found: Any) -> None:
        text = _COLORS.sub("", str(found.message)).strip()
        severity = str(found.severity)
        urn = str(found.urn or "")
        if not text or severity == "debug":
            return
        plan = change.load(text)
        if plan is not None:
            self._changes[urn] = plan
            return
        if severity == "error":
            self.errors.append(text)
        elif found.ephemeral and urn:
            self._emit(events.ResourceProgress(urn=urn, message=text))
            return
        kinds: dict[str, events.Severity] = {"warning": "warning", "error": "error"}
        severity_ = kinds.get(severity, "info")
        self._emit(events.Diagnostic(severity=severity_, message=text, urn=urn))


def _is_default(metadata: Any) -> bool:
    name = urns.name_of(metadata.urn)
    is_default = name == "default" or name.startswith("default_")
    return urns.is_provider(metadata.type) and is_default


def _is_custom(metadata: Any) -> bool:
    state = metadata.new or metadata.old
    return bool(state and state.custom) and not urns.is_provider(metadata.type)


def _diffs(metadata: Any) -> tuple[events.PropertyDiff, ...]:
    details = metadata.detailed_diff or {}
    found: list[events.PropertyDiff] = []
    for key, each in details.items():
        kind, _, replace = str(getattr(each.diff_kind, "value", each.diff_kind)).partition("-")
        if kind not in ("add", "update", "delete"):
            continue
        before = _at(metadata.old, key, inside=bool(each.input_diff))
        after = _at(metadata.new, key, inside=True)
        found.append(
            events.PropertyDiff(
                path=key,
                kind=kind,
                replaces=bool(replace),
                old="" if kind == "add" else before,
                new="" if kind == "delete" else after,
            )
        )
    return tuple(found)


def _at(state: Any, key: str, *, inside: bool) -> str:
    """Return what stands at the path `key`, as the CLI shows it: secrets are masked by it."""
    if state is None:
        return ""
    props = (state.inputs if inside else state.outputs) or {}
    try:
        value = property_paths.at(props, property_paths.parse(key))
    except errors.StackError:
        return ""
    return "" if value is None else values.render(_masked(value))


def _masked(value: Any) -> Any:
    if isinstance(value, dict):
        if value.get(values.SIGNATURE) == values.SEALED_SIGNATURE:
            return values.Sealed(None)
        return {k: _masked(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_masked(v) for v in value]
    return values.UNKNOWN if value == values.UNKNOWN_TEXT else value
