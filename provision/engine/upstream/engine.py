"""The upstream engine: Pulumi's own CLI, driven through its Automation API.

The same program, the same state and the same passphrase as the embedded
engine; any backend the CLI knows. The program runs in this process, the
providers in plugin processes that the CLI starts.
"""

from __future__ import annotations

import queue
import re
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provision import crypter, errors
from provision.engine import api, events
from provision.engine.state import backend, journal, lock
from provision.engine.upstream import calls, exports, workspace
from provision.engine.upstream import events as upstream_events
from provision.secret import Secret

if TYPE_CHECKING:
    from pulumi import automation


def open_stack(
    ref: api.StackRef,
    passphrase: Secret,
    providers: api.Providers,
    *,
    environment: Mapping[str, str],
) -> UpstreamEngine:
    """Return the engine for `ref`; see `api.open_engine`."""
    plugins = workspace.plugin_paths(providers)
    return UpstreamEngine(ref, passphrase, plugins, environment=environment)


class UpstreamEngine:
    """One stack. See `api.Engine`."""

    def __init__(
        self,
        ref: api.StackRef,
        passphrase: Secret,
        plugins: dict[str, Path],
        *,
        environment: Mapping[str, str],
    ) -> None:
        self._ref = ref
        self._passphrase = passphrase
        self._environment = environment
        self.plugins = plugins
        """Folder of each package's plugin; a package without is looked for by the CLI."""

    def preview(
        self, program: api.Program, *, options: api.Options, on_event: api.OnEvent
    ) -> api.Result:
        """Show what `up` would do."""
        return self._operate("preview", program, options, on_event)

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
        """Read every resource into the state."""
        return self._operate("refresh", program, options, on_event, dry_run=dry_run)

    def destroy(
        self,
        program: api.Program | None = None,
        *,
        options: api.Options,
        on_event: api.OnEvent,
    ) -> api.Result:
        """Delete every resource of the state."""
        return self._operate("destroy", program, options, on_event)

    def notify(self, urn: str, level: str, text: str) -> None:
        """Do nothing: providers run in processes of their own and tell the CLI."""

    def outputs(self, show_secrets: bool = False) -> dict[str, Any]:
        """Return the stack's exports."""
        return self._with_stack(
            _nothing, lambda stack, _: _exports(stack, stack.outputs(), show_secrets=show_secrets)
        )

    def state(self) -> dict[str, Any]:
        """Return the checkpoint, secrets encrypted; an empty dict where there is none."""

        def export(stack: automation.Stack, _: Any) -> dict[str, Any]:
            found = stack.export_stack()
            return {
                "version": found.version,
                "checkpoint": {"stack": self._ref.stack, "latest": found.deployment},
            }

        return self._with_stack(_nothing, export)

    def _operate(
        self,
        operation: events.Operation,
        program: api.Program | None,
        options: api.Options,
        on_event: api.OnEvent,
        *,
        dry_run: bool = False,
    ) -> api.Result:
        began = time.time()
        on_event(
            events.Prelude(
                operation=operation,
                project=self._ref.project,
                stack=self._ref.stack,
                engine="upstream",
            )
        )
        waiting: queue.SimpleQueue[events.Event | None] = queue.SimpleQueue()
        translator = upstream_events.Translator(waiting.put, operation)
        guarded = calls.Guarded(program or _nothing)

        def work(stack: automation.Stack, _: Any) -> dict[str, Any]:
            call = _run if not dry_run else _preview_refresh
            found = call(stack, operation, options, translator, run_program=program is not None)
            return _exports(stack, found)

        def run() -> dict[str, Any]:
            try:
                return self._with_stack(guarded, work, options)
            finally:
                guarded.settle()

        outputs: dict[str, Any] = {}
        error: Exception | None = None
        try:
            outputs = calls.pumped(run, waiting, on_event)
        except errors.ElysiumError as failure:
            error = failure
        except Exception as failure:  # noqa: BLE001 - named below
            error = calls.explain(failure, translator, operation)
        if error is not None and guarded.error is not None and not translator.failed:
            from provision.engine.embedded import execution

            error = execution.program_error(guarded.error)
        seconds = time.time() - began
        counts = dict(translator.counts)
        on_event(events.Summary(counts=counts, seconds=seconds, ok=error is None))
        if error is not None:
            raise error
        return api.Result(counts=counts, outputs=outputs, seconds=seconds)

    def _with_stack(
        self,
        program: Callable[[], Any],
        work: Callable[[automation.Stack, Path], dict[str, Any]],
        options: api.Options | None = None,
    ) -> dict[str, Any]:
        command = workspace.find_command()
        self._settle_embedded()
        sealing = self._crypter()
        from pulumi import automation

        with (
            workspace.prepared(
                self._ref,
                options or api.Options(),
                sealing,
                self._passphrase.reveal(),
                self.plugins,
            ) as (folder, environment),
            workspace.clean_environment(),
        ):
            try:
                cli = automation.PulumiCommand(root=command.root or None, skip_version_check=True)
            except (OSError, subprocess.SubprocessError) as error:
                raise errors.StackError(
                    f"{command.path} does not answer", operation="upstream", detail=str(error)
                ) from error
            workspace.require_version(str(cli.version or "0"))
            stack = automation.create_or_select_stack(
                self._ref.stack,
                project_name=self._ref.project,
                program=program,
                opts=automation.LocalWorkspaceOptions(
                    work_dir=str(folder),
                    env_vars={**environment, **self._environment},
                    secrets_provider="passphrase",
                    pulumi_command=cli,
                ),
            )
            return work(stack, folder)

    def _settle_embedded(self) -> None:
        """Take over what a cut off run of the embedded engine left, before the CLI looks."""
        if not self._ref.backend.startswith("file://"):
            return
        ref = self._ref
        place = backend.FileBackend(ref.backend, ref.root, ref.project, ref.stack)
        if place.journal.exists():
            with lock.StackLock(place.locks):
                journal.settle(place, journal.load(place))

    def _crypter(self) -> crypter.PassphraseCrypter:
        salt = ""
        if self._ref.backend.startswith("file://"):
            ref = self._ref
            place = backend.FileBackend(ref.backend, ref.root, ref.project, ref.stack)
            salt = place.salt()
        if not salt:
            path = self._ref.root / f"Pulumi.{self._ref.stack}.yaml"
            text = path.read_text(encoding="utf-8") if path.exists() else ""
            found = re.search(r"^encryptionsalt:\s*[\"']?(v1:[^\s\"']+)", text, re.MULTILINE)
            salt = found[1] if found else ""
        return crypter.derive(salt, self._passphrase)()


def _run(
    stack: automation.Stack,
    operation: events.Operation,
    options: api.Options,
    translator: upstream_events.Translator,
    *,
    run_program: bool,
) -> Mapping[str, Any]:
    """Run the operation; return the stack's outputs, asking the CLI for them only once."""
    common = _common(options, translator)
    if operation == "preview":
        stack.preview(refresh=options.refresh, **common)
        return {}
    if operation == "up":
        return stack.up(refresh=options.refresh, show_secrets=False, **common).outputs
    if operation == "refresh":
        program = stack.workspace.program if run_program else None
        stack.refresh(
            show_secrets=False, program=program, run_program=run_program or None, **common
        )
        return stack.outputs()
    program = stack.workspace.program if run_program else None
    stack.destroy(show_secrets=False, program=program, run_program=run_program or None, **common)
    return {}


def _preview_refresh(
    stack: automation.Stack,
    operation: events.Operation,
    options: api.Options,
    translator: upstream_events.Translator,
    *,
    run_program: bool,
) -> Mapping[str, Any]:
    """Say what a refresh would change in the state."""
    del operation
    program = stack.workspace.program if run_program else None
    stack.preview_refresh(
        program=program, run_program=run_program or None, **_common(options, translator)
    )
    return {}


def _common(options: api.Options, translator: upstream_events.Translator) -> dict[str, Any]:
    return {
        "parallel": options.parallel or None,
        "message": options.message or None,
        "target": list(options.targets) or None,
        "color": "never",
        "on_event": translator.take,
        "suppress_progress": True,
    }


def _exports(
    stack: automation.Stack, outputs: Mapping[str, Any], *, show_secrets: bool = False
) -> dict[str, Any]:
    return exports.exposed(
        outputs, lambda: stack.export_stack().deployment, show_secrets=show_secrets
    )


def _nothing() -> None:
    return None
