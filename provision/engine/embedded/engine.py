"""The embedded engine: Pulumi's protocol and state in this process, without its CLI.

Here is what stands around an operation: state, lock, passphrase, events and
interrupts. What happens inside it: `execution`. The SDK is imported when an
operation starts, not before.
"""

from __future__ import annotations

import functools
import importlib
import queue
import re
import time
from typing import TYPE_CHECKING, Any

from provision import crypter
from provision.engine import api, events
from provision.engine.embedded import interrupts, targets
from provision.engine.state import backend, checkpoint, journal, lock, store, urns, values
from provision.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from provision.engine.embedded import run

Waiting = queue.SimpleQueue[events.Event | None]

_KINDS = {"up": "update", "refresh": "refresh", "destroy": "destroy"}


def open_stack(
    ref: api.StackRef,
    passphrase: Secret,
    providers: api.Providers,
    *,
    environment: Mapping[str, str],
) -> EmbeddedEngine:
    """Return the engine for `ref`; see `api.open_engine`."""
    del environment  # providers run in this process
    return EmbeddedEngine(ref, passphrase, providers)


class EmbeddedEngine:
    """One stack. See `api.Engine`."""

    def __init__(self, ref: api.StackRef, passphrase: Secret, providers: api.Providers) -> None:
        self._ref = ref
        self._passphrase = passphrase
        self._providers = providers
        self._place = backend.FileBackend(ref.backend, ref.root, ref.project, ref.stack)
        self._events: Waiting | None = None

    def preview(
        self, program: api.Program, *, options: api.Options, on_event: api.OnEvent
    ) -> api.Result:
        """Show what `up` would do. Writes nothing, takes no lock."""
        return self._operate("preview", program, options, on_event, dry_run=True)

    def up(
        self, program: api.Program, *, options: api.Options, on_event: api.OnEvent
    ) -> api.Result:
        """Make the world as the program says."""
        return self._operate("up", program, options, on_event)

    def refresh(
        self,
        program: api.Program | None = None,
        *,
        options: api.Options,
        on_event: api.OnEvent,
        dry_run: bool = False,
    ) -> api.Result:
        """Read every resource into the state; a program only configures providers."""
        return self._operate("refresh", program, options, on_event, dry_run=dry_run)

    def destroy(
        self,
        program: api.Program | None = None,
        *,
        options: api.Options,
        on_event: api.OnEvent,
    ) -> api.Result:
        """Delete every resource of the state; a program only configures providers."""
        return self._operate("destroy", program, options, on_event)

    def notify(self, urn: str, level: str, text: str) -> None:
        """Report what a provider says of a resource."""
        found = self._events
        if found is None:
            return
        if level == "info" and urn:
            found.put(events.ResourceProgress(urn=urn, message=text))
        else:
            severity: events.Severity = "warning" if level == "warning" else "info"
            found.put(events.Diagnostic(severity=severity, message=text, urn=urn))

    def outputs(self, show_secrets: bool = False) -> dict[str, Any]:
        """Return the stack's exports."""
        document = journal.load(self._place).document
        if document is None:
            return {}
        vault = self._vault(document)
        for raw in checkpoint.resources(document):
            if raw["type"] == urns.ROOT_TYPE and not raw.get("delete"):
                place = f"{raw['urn']}#outputs"
                found = values.from_state(raw.get("outputs") or {}, vault, place)
                exposed: dict[str, Any] = values.exposed(found, show_secrets)
                return exposed
        return {}

    def state(self) -> dict[str, Any]:
        """Return the checkpoint, secrets encrypted; an empty dict where there is none."""
        return journal.load(self._place).document or {}

    def _operate(
        self,
        operation: events.Operation,
        program: api.Program | None,
        options: api.Options,
        on_event: api.OnEvent,
        *,
        dry_run: bool = False,
    ) -> api.Result:
        ref = self._ref
        waiting: Waiting = queue.SimpleQueue()
        self._events = waiting
        try:
            prelude = events.Prelude(operation=operation, project=ref.project, stack=ref.stack)
            on_event(prelude)
            if dry_run:
                loaded = journal.load(self._place)
                keeper = store.Scratch
                return self._with(keeper, operation, program, options, on_event, waiting, loaded)
            with lock.StackLock(self._place.locks) as held:
                for message in held.broken:
                    on_event(events.Diagnostic(severity="warning", message=message))
                loaded = journal.load(self._place)
                journal.settle(self._place, loaded)
                keeper = functools.partial(store.Store, self._place)
                try:
                    return self._with(
                        keeper, operation, program, options, on_event, waiting, loaded
                    )
                except interrupts.Left as left:
                    # Providers may still be at work in this process.
                    held.keep()
                    raise left.interrupted from None
        finally:
            self._events = None

    def _with(
        self,
        keep: Callable[[checkpoint.Document], store.Keeper],
        operation: events.Operation,
        program: api.Program | None,
        options: api.Options,
        on_event: api.OnEvent,
        waiting: Waiting,
        loaded: journal.Loaded,
    ) -> api.Result:
        began = time.time()
        if loaded.tell():
            on_event(events.Diagnostic(severity="warning", message=loaded.tell()))
        document = loaded.document
        vault = self._vault(document)
        # The SDK is imported while the key is derived in the background.
        session = importlib.import_module("provision.engine.embedded.session")
        vault.salt()
        if document is None:
            document = checkpoint.empty(self._ref.project, self._ref.stack, vault.salt())
        elif not checkpoint.salt(document):
            secrets = {"type": "passphrase", "state": {"salt": vault.salt()}}
            checkpoint.latest(document)["secrets_providers"] = secrets
        _tell_pending(document, on_event)
        keeper = keep(document)
        context = self._context(operation, options, keeper, vault, waiting)
        context.load(checkpoint.resources(document))
        error = session.Session(context, waiting, on_event).run(program, self._providers)
        changed = False
        if isinstance(keeper, store.Store):
            if isinstance(error, interrupts.Left):
                raise error
            changed = keeper.close()
            self._record(operation, context, options, began, ok=error is None, changed=changed)
        seconds = time.time() - began
        result = api.Result(
            counts=dict(context.counts),
            outputs=_exports(context),
            seconds=seconds,
        )
        on_event(
            events.Summary(
                counts=dict(context.counts),
                seconds=seconds,
                ok=error is None,
                outputs={key: values.render(each) for key, each in _root_outputs(context).items()},
            )
        )
        if error is not None:
            raise error
        return result

    def _context(
        self,
        operation: events.Operation,
        options: api.Options,
        keeper: store.Keeper,
        vault: values.Vault,
        waiting: Waiting,
    ) -> run.Run:
        from provision.engine.embedded import run

        mode: run.Mode = "up" if operation in ("up", "preview") else operation
        return run.Run(
            mode=mode,
            dry_run=isinstance(keeper, store.Scratch),
            project=self._ref.project,
            stack=self._ref.stack,
            root=self._ref.root.resolve(),
            options=options,
            keeper=keeper,
            vault=vault,
            emit=waiting.put,
            targets=targets.Targets(options.targets),
        )

    def _vault(self, document: checkpoint.Document | None) -> values.Vault:
        """Return the vault; the key is derived in the background, which takes a while."""
        salt = checkpoint.salt(document) if document is not None else ""
        return values.Vault(crypter.derive(salt or self._configured(), self._passphrase))

    def _configured(self) -> str:
        """Return ``encryptionsalt`` of the stack's configuration, or an empty text."""
        path = self._ref.root / f"Pulumi.{self._ref.stack}.yaml"
        try:
            text = path.read_text(encoding="utf-8")
        except OSError:
            return ""
        found = re.search(r"^encryptionsalt:\s*[\"']?(v1:[^\s\"']+)", text, re.MULTILINE)
        return found[1] if found else ""

    def _record(
        self,
        operation: events.Operation,
        context: run.Run,
        options: api.Options,
        began: float,
        *,
        ok: bool,
        changed: bool,
    ) -> None:
        self._place.record(
            {
                "kind": _KINDS[operation],
                "startTime": int(began),
                "message": options.message,
                "environment": {"elysium.engine": "embedded"},
                "config": {},
                "result": "succeeded" if ok else "failed",
                "endTime": int(time.time()),
                "resourceChanges": dict(context.counts),
            },
            changed=changed,
        )


def _tell_pending(document: checkpoint.Document, on_event: api.OnEvent) -> None:
    for each in checkpoint.pending(document):
        urn = str(each.get("resource", {}).get("urn", ""))
        message = f"an earlier run was cut off while {each.get('type')} it; it is looked at again"
        on_event(events.Diagnostic(severity="warning", message=message, urn=urn))


def _root_outputs(context: run.Run) -> dict[str, Any]:
    for new in context.news.values():
        if new.record.type == urns.ROOT_TYPE:
            return {} if context.mode == "destroy" else new.record.outputs
    if context.mode != "destroy":
        for old in context.olds.values():
            if old.record.type == urns.ROOT_TYPE:
                return old.record.outputs
    return {}


def _exports(context: run.Run) -> dict[str, Any]:
    found: dict[str, Any] = values.exposed(_root_outputs(context), show_secrets=False)
    return found
