"""What other packages call: open an engine, run a program with it.

`open_engine` gives an object with the five operations; which engine works
behind it makes no difference to the caller, nor to the stack's state.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from provision.engine import events
from provision.secret import Secret

if TYPE_CHECKING:
    from pulumi.provider.experimental.provider import Provider

Kind = Literal["embedded", "upstream"]
Program = Callable[[], Any]
Providers = Mapping[str, "Callable[[], Provider]"]
OnEvent = Callable[[events.Event], None]


@dataclass(frozen=True, kw_only=True)
class StackRef:
    """Which stack, and where its state lies.

    `root` is the folder of ``Pulumi.yaml``; `backend` a backend URL
    (``file://./.elysium/state``: relative to `root`). The embedded engine
    knows ``file://`` only.
    """

    root: Path
    project: str
    stack: str
    backend: str


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to run.

    `refresh` reads every resource before it is compared. `parallel` bounds
    how many provider calls run at once; 0 means four a core. `targets` are
    URNs (``*`` within a segment, ``**`` anywhere): others stay as they are.
    `config` and `secret_config` are what the program sees through
    `pulumi.Config`: full keys (``elysium:name``) and texts.
    """

    refresh: bool = True
    parallel: int = 0
    targets: tuple[str, ...] = ()
    message: str = ""
    config: Mapping[str, str] = field(default_factory=dict[str, str])
    secret_config: Mapping[str, Secret] = field(default_factory=dict[str, Secret])


@dataclass(frozen=True, kw_only=True)
class Result:
    """How a run ended (a failed one raises).

    `counts` has one number for each kind of step; `changed` is false when
    every resource stayed as it was. `outputs` are the stack's exports with
    every secret as `Secret`.
    """

    counts: Mapping[str, int]
    outputs: Mapping[str, Any]
    seconds: float

    @property
    def changed(self) -> bool:
        """Return whether anything was, or would be, done."""
        return any(n for op, n in self.counts.items() if op not in ("same", "read"))


class Engine(Protocol):
    """One stack, and what can be done with it.

    Every operation raises `errors.ElysiumError`: what a provider raised, as
    it is, or `errors.StackError` for the engine, the state, its lock or its
    passphrase; `errors.InterruptedByUser` after Ctrl-C. `on_event` is called
    in the caller's own thread.
    """

    def preview(self, program: Program, *, options: Options, on_event: OnEvent) -> Result:
        """Show what `up` would do. Writes nothing, takes no lock."""
        ...

    def up(self, program: Program, *, options: Options, on_event: OnEvent) -> Result:
        """Make the world as the program says."""
        ...

    def refresh(
        self,
        program: Program | None = None,
        *,
        options: Options,
        on_event: OnEvent,
        dry_run: bool = False,
    ) -> Result:
        """Read every resource into the state. Needs no program; changes nothing else.

        With `dry_run` not even that: it says what would change in the state.
        """
        ...

    def destroy(
        self, program: Program | None = None, *, options: Options, on_event: OnEvent
    ) -> Result:
        """Delete every resource of the state. Needs no program."""
        ...

    def notify(self, urn: str, level: str, text: str) -> None:
        """Report what a provider says of a resource while a run is on; safe from any thread.

        `level` is ``info`` (progress) or ``warning``. Hand it to providers
        that want to talk.
        """
        ...

    def outputs(self, show_secrets: bool = False) -> dict[str, Any]:
        """Return the stack's exports: secrets as `Secret`, or as they are if `show_secrets`."""
        ...

    def state(self) -> dict[str, Any]:
        """Return the checkpoint as it lies on disk (secrets encrypted), or an empty dict."""
        ...


def open_engine(
    kind: Kind,
    ref: StackRef,
    passphrase: Secret,
    providers: Providers,
    *,
    environment: Mapping[str, str] | None = None,
) -> Engine:
    """Return the engine `kind` for the stack `ref`. Contacts and writes nothing yet.

    `providers` makes the provider of a package name: one for each provider
    resource of a run, when it is first needed. `environment` is for providers that run in
    processes of their own.
    """
    name = (
        "provision.engine.upstream.engine"
        if kind == "upstream"
        else "provision.engine.embedded.engine"
    )
    module = importlib.import_module(name)
    engine: Engine = module.open_stack(ref, passphrase, providers, environment=environment or {})
    return engine
