"""One stack, opened: its folder, its configuration, its connections, its engine."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from provision import config, config_file
from provision.engine import api, events
from provision.provider import live

if TYPE_CHECKING:
    from pulumi.provider.experimental.provider import Provider

    from provision.secret import Secret

Listener = api.OnEvent


@dataclass(kw_only=True)
class Stack:
    """What every operation works on. Close it, or use it as a context manager."""

    directory: Path
    ref: api.StackRef
    config: config.Config
    kind: api.Kind
    passphrase: Secret
    live: live.Live
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Stack:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection."""
        self.live.close()

    def in_turn(self, on_event: Listener) -> Listener:
        """Return `on_event` made safe to call from several threads, one at a time."""

        def one_at_a_time(event: events.Event) -> None:
            with self._lock:
                on_event(event)

        return one_at_a_time

    def engine(self, on_event: Listener) -> api.Engine:
        """Return the stack's engine. What providers say goes to `on_event`."""

        def elysium() -> Provider:
            from provision.provider import elysium

            def notify(urn: str, level: str, text: str) -> None:
                if level == "warning":
                    on_event(events.Diagnostic(severity="warning", message=text, urn=urn))
                else:
                    on_event(events.ResourceProgress(urn=urn, message=text))

            return elysium.ElysiumProvider(self.live, notify)

        def kubernetes() -> Provider:
            from provision.kube import provider

            return provider.KubernetesProvider()

        providers: api.Providers = {"elysium": elysium, "kubernetes": kubernetes}
        return api.open_engine(self.kind, self.ref, self.passphrase, providers)


def open_stack(
    directory: Path, stack: str | None = None, *, engine: api.Kind = "embedded"
) -> Stack:
    """Open the stack named `stack` (default: the only one) at or above `directory`.

    Contacts nothing. Raises `errors.ConfigError` with every problem of the
    configuration, and `errors.StackError` for a passphrase that is missing or wrong.
    """
    opened = config_file.open_stack(directory, stack)
    return Stack(
        directory=opened.root,
        ref=api.StackRef(
            root=opened.root,
            project=opened.project,
            stack=opened.config.cluster,
            backend=opened.backend,
        ),
        config=opened.config,
        kind=engine,
        passphrase=opened.passphrase,
        live=live.Live(opened.config, pins=opened.root / "pins.yaml"),
    )
