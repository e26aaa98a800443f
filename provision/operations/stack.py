"""One stack, opened: its folder, its configuration, its connections, its engine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provision import config, config_file, errors
from provision.engine import api
from provision.provider import connections

if TYPE_CHECKING:
    from provision.secret import Secret

Listener = api.OnEvent


@dataclass(kw_only=True)
class Stack:
    """What every operation works on. Close it, or use it as a context manager."""

    directory: Path
    ref: api.StackRef
    config: config.Config
    warnings: tuple[errors.Problem, ...] = ()
    kind: api.Kind
    passphrase: Secret
    live: connections.Live

    def __enter__(self) -> Stack:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection."""
        self.live.close()

    def engine(self) -> api.Engine:
        """Return the stack's engine. What providers say comes out as its events."""
        engine: api.Engine

        def elysium() -> Any:
            from provision.provider import pulumi_provider

            return pulumi_provider.ElysiumProvider(self.live, engine.notify)

        def kubernetes() -> Any:
            from provision.kube import provider

            return provider.KubernetesProvider(engine.notify, tunnel=self.live.tunnels)

        providers: api.Providers = {"elysium": elysium, "kubernetes": kubernetes}
        engine = api.open_engine(
            self.kind,
            self.ref,
            self.passphrase,
            providers,
            environment=self.live.environment(),
        )
        if self.kind != "upstream":
            return engine
        from provision.operations import upstream_reach

        checked: Any = upstream_reach.Checked(engine, self.config)
        return checked


def open_stack(
    directory: Path,
    stack: str | None = None,
    *,
    engine: api.Kind = "embedded",
    environ: Mapping[str, str] | None = None,
) -> Stack:
    """Open the stack named `stack` (default: the only one) at or above `directory`.

    The passphrase comes from `environ`, by default this process's, or a file.
    Contacts nothing. Raises `errors.ConfigError` with every problem of the
    configuration, and `errors.StackError` for a passphrase that is missing or wrong.
    """
    environ = os.environ if environ is None else environ
    project = config_file.find_project(directory)
    name = project.choose(stack)
    crypter = config_file.stack_crypter(project, name, environ)
    loaded = config_file.read(project.stack_file(name), crypter)
    return Stack(
        directory=project.root,
        ref=api.StackRef(
            root=project.root, project=project.name, stack=name, backend=project.backend
        ),
        config=loaded.config,
        warnings=_without_known(loaded),
        kind=engine,
        passphrase=config_file.find_passphrase(project.root, name, environ),
        live=connections.Live(loaded.config, pins=project.root / "pins.json", root=project.root),
    )


def _without_known(loaded: config_file.Loaded) -> tuple[errors.Problem, ...]:
    """Return the warnings, but that a host key is missing where known_hosts pins it."""
    from provision.config_file import checks
    from provision.host import reach

    def needless(warning: errors.Problem) -> bool:
        node = loaded.config.server
        if warning.kind != checks.NO_HOST_KEY:
            return False
        trust = reach.route(node, node.jump).trust()
        return bool(trust.pins or trust.authorities)

    return tuple(warning for warning in loaded.warnings if not needless(warning))
