"""Providers: made by package name, configured from provider resources, called from threads.

Every provider resource (default or explicit) has one `Instance`, found by the
reference that resources keep (``<urn>::<id>``). An instance for a reference
that only the state knows is made from the state, so that resources can be
deleted with the configuration they were made with.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import threading
from collections.abc import Coroutine, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pulumi.provider.experimental import provider as protocol

from provision import errors
from provision.engine import api
from provision.engine.embedded import run, wire, workers
from provision.engine.state import record, urns, values

T = TypeVar("T")

INTERNAL = "__internal"


@dataclass(eq=False, kw_only=True)
class Instance:
    """One configured provider. `unknown` when a preview knows not all of its configuration."""

    package: str
    provider: protocol.Provider
    inputs: dict[str, Any] = field(default_factory=dict[str, Any])
    unknown: bool = False
    accepts: wire.Accepts = wire.EVERYTHING
    previews: bool = True
    """Whether it takes a creation or an update that is only a preview."""

    def properties(self, props: Mapping[str, Any]) -> wire.PropertyMap:
        """Return `props` in the form that this provider accepts."""
        return wire.to_properties(props, self.accepts)

    def answered(
        self, props: Mapping[str, wire.PropertyValue] | None, sent: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the values of `props`, which answer a call that sent the values `sent`.

        Where the provider takes no secrets, what was sent as one is one in the answer.
        """
        found = wire.from_properties(props)
        return found if self.accepts.secrets else values.marked_like(sent, found)


class Providers:
    """Every provider of one run. Safe from any thread."""

    def __init__(
        self, context: run.Run, makers: api.Providers, loops: workers.Loops, parallel: int
    ) -> None:
        self._run = context
        self._makers = makers
        self._loops = loops
        self._instances: dict[str, Instance] = {}
        self._slots = threading.BoundedSemaphore(parallel)
        self._mine = threading.local()
        self._lock = threading.RLock()

    def known(self) -> str:
        """Return the names of the packages that can be served, for messages."""
        return ", ".join(sorted(self._makers)) or "none"

    def make(self, package: str) -> protocol.Provider:
        """Return a new, not yet configured provider. Raises `errors.StackError` by name."""
        maker = self._makers.get(package)
        if maker is None:
            raise errors.StackError(
                f"no provider serves the package '{package}' in the embedded engine",
                operation="provider",
                detail=f"it serves: {self.known()}",
                hint="put `pulumi` on PATH and add --engine upstream",
            )
        try:
            return maker()
        except Exception as error:
            raise run.fault(f"starting the provider {package}", error) from error

    def add(self, reference: str, instance: Instance) -> None:
        """Remember a configured provider under its reference."""
        with self._lock:
            self._instances[reference] = instance

    def configure(self, urn: str, package: str, inputs: Mapping[str, Any]) -> Instance:
        """Return a new provider configured with `inputs`; not configured if they are unknown."""
        instance = Instance(
            package=package,
            provider=self.make(package),
            inputs=dict(inputs),
            unknown=values.has_unknown(inputs),
        )
        if not instance.unknown:
            self.apply_configuration(urn, instance)
        return instance

    def apply_configuration(self, urn: str, instance: Instance) -> None:
        """Call the provider's configure."""
        config = {k: v for k, v in instance.inputs.items() if k != INTERNAL}
        variables = {
            f"{instance.package}:config:{key}": text
            for key, value in config.items()
            if isinstance(text := values.plain(value), str)
        }
        request = protocol.ConfigureRequest(
            variables=variables,
            args=wire.to_properties(config),
            accept_secrets=True,
            accept_resources=True,
        )
        answer = self.call(urn, instance.provider.configure(request), protocol.ConfigureResponse)
        instance.accepts = wire.Accepts(
            secrets=bool(answer.accept_secrets), resources=bool(answer.accept_resources)
        )
        instance.previews = bool(answer.supports_preview)

    def get(self, reference: str) -> Instance:
        """Return the provider of `reference`, made from the state if this run has none."""
        with self._lock:
            found = self._instances.get(reference)
            if found is not None:
                return found
        # The place first, then the lock: the other way round could wait in a circle.
        with self.slot(), self._lock:
            found = self._instances.get(reference)
            if found is not None:
                return found
            kept = self._kept(reference)
            found = self.configure(kept.urn, urns.package_of(kept.type), kept.inputs)
            self._instances[reference] = found
            return found

    def call(self, urn: str, coroutine: Coroutine[Any, Any, T], expected: type[T]) -> T:
        """Run one provider method for the resource `urn` and return its answer.

        Raises what the provider raised if that is an `errors.ElysiumError`,
        else an `errors.StackError` with its words.
        """
        method = getattr(coroutine, "__name__", "call")
        what = f"{method.replace('_', ' ')} of {urns.type_of(urn)} '{urns.name_of(urn)}'"
        if not inspect.iscoroutine(coroutine):
            raise errors.StackError(f"{what} is not an async method", operation="provider")
        with self.slot():
            try:
                # A context of its own: what a provider sets must not reach the program.
                answer = contextvars.copy_context().run(self._loops.run, coroutine)
            except NotImplementedError as error:
                raise errors.StackError(
                    f"{what} is not supported by its provider",
                    operation="provider",
                    detail=str(error),
                ) from error
            except (SystemExit, asyncio.CancelledError) as error:
                # Providers live in this process: one that ends itself must not end the run.
                raise errors.StackError(
                    f"{what} failed: its provider ended itself ({type(error).__name__})",
                    operation="provider",
                    detail=str(error),
                ) from error
            except Exception as error:
                if partial_failure(error) is not None:
                    raise
                raise run.fault(what, error) from error
        if not isinstance(answer, expected):
            raise errors.StackError(
                f"{what} was answered with {type(answer).__name__}, not {expected.__name__}",
                operation="provider",
            )
        return answer

    @contextlib.contextmanager
    def slot(self) -> Generator[None]:
        """Wait for one of the places that bound how many calls run at once.

        A thread that has one does not need another: whoever notes on disk
        that a call begins takes the place before.
        """
        if getattr(self._mine, "held", False):
            yield
            return
        with self._slots:
            self._mine.held = True
            try:
                yield
            finally:
                self._mine.held = False

    def cancel(self) -> None:
        """Ask every provider to come to an end, in a thread of its own."""
        with self._lock:
            instances = list(self._instances.values())

        def ask() -> None:
            for each in instances:
                try:
                    self._loops.run(each.provider.cancel())
                except Exception as error:  # noqa: BLE001 - nothing is lost by it
                    self._run.say("debug", f"cancelling {each.package} failed: {error}")

        threading.Thread(target=ask, name="cancel", daemon=True).start()

    def _kept(self, reference: str) -> record.Record:
        urn, id_ = urns.split_reference(reference)
        urn = self._run.renamed.get(urn, urn)
        new = self._run.news.get(urn)
        if new is not None and new.record.id == id_:
            return new.record
        candidates = [*self._run.olds.values(), *self._run.doomed]
        names = (urn, urns.split_reference(reference)[0])
        for old in candidates:
            if old.record.urn in names and old.record.id == id_:
                return old.record
        raise errors.StackError(
            f"the provider {reference} is neither in the program nor in the state",
            operation="provider",
            hint="`elysium stack repair` explains and mends such a state",
        )


@dataclass(frozen=True, kw_only=True)
class Partial:
    """What a provider made although it then failed."""

    id: str
    properties: dict[str, Any]
    inputs: dict[str, Any] | None
    reasons: tuple[str, ...]


def partial_failure(
    error: BaseException,
    instance: Instance | None = None,
    sent: Mapping[str, Any] | None = None,
) -> Partial | None:
    """Return what `error` says was made nevertheless, or None where it says nothing.

    With the provider `instance` that raised it, the values are those of an answer to a call
    that sent the values `sent`.

    A provider says so by an exception with the attributes `resource_id`,
    `properties`, `reasons` and maybe `inputs` (property values), which is
    what upstream's ErrorResourceInitFailed carries.
    """
    properties = getattr(error, "properties", None)
    reasons = getattr(error, "reasons", None)
    if properties is None or reasons is None:
        return None
    inputs = getattr(error, "inputs", None)
    found = wire.from_properties(properties)
    if instance is not None:
        found = instance.answered(properties, sent or {})
    return Partial(
        id=str(getattr(error, "resource_id", "") or ""),
        properties=found,
        inputs=None if not inputs else wire.from_properties(inputs),
        reasons=tuple(str(each) for each in reasons) or (str(error),),
    )
