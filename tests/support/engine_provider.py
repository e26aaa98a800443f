"""A small provider for engine tests: things that live in memory.

`World` is what the provider manages; it outlives engines and can be looked
at, drifted and made to fail. Types are ``mem:index:Thing``; inputs:

    value         any; changing it updates
    fixed         any; changing it replaces
    first         true: replaced by deleting first
    token         any; kept, for secrets
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pulumi
from pulumi.provider.experimental import provider as protocol
from pulumi.provider.experimental.property_value import PropertyValue, PropertyValueType

Values = dict[str, Any]


def plain(value: PropertyValue) -> Any:
    if value.type is PropertyValueType.COMPUTED:
        return "<unknown>"
    if value.type is PropertyValueType.MAP:
        return {k: plain(v) for k, v in value.value.items()}
    if value.type is PropertyValueType.ARRAY:
        return [plain(v) for v in value.value]
    return value.value


def plain_map(props: dict[str, PropertyValue]) -> Values:
    return {k: plain(v) for k, v in props.items()}


@dataclass
class World:
    """What there is, and what was asked of the provider."""

    things: dict[str, Values] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)
    made: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    configured: list[Values] = field(default_factory=list)
    hooks: dict[tuple[str, str], Callable[[], None]] = field(default_factory=dict)
    turn: Callable[[str, str], None] | None = None
    """Called at every call, before it is noted: it may wait."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def on(self, method: str, name: str, do: Callable[[], None]) -> None:
        """Call `do` when `method` is called for the resource `name`."""
        self.hooks[(method, name)] = do

    def fail(self, method: str, name: str, error: Exception | None = None) -> None:
        def do() -> None:
            raise error or RuntimeError(f"{method} of {name} went wrong")

        self.on(method, name, do)

    def called(self, *methods: str) -> list[str]:
        return [f"{m} {n}" for m, n in self.calls if not methods or m in methods]

    def change(self, work: Callable[[], Any]) -> Any:
        """Do something to the things, alone."""
        with self.lock:
            return work()

    def is_partial(self, method: str, name: str) -> bool:
        """Return whether `method` is to fail for `name` after it did its work."""
        return False

    def note(self, method: str, name: str) -> None:
        if self.turn is not None:
            self.turn(method, name)
        with self.lock:
            self.calls.append((method, name))
        hook = self.hooks.get((method, name)) or self.hooks.get((method, "*"))
        if hook is not None:
            hook()


class PartlyDoneError(Exception):
    """The work was done, but not well: what upstream calls ErrorResourceInitFailed."""

    def __init__(self, resource_id: str, properties: dict[str, PropertyValue]) -> None:
        super().__init__("it is not ready")
        self.resource_id = resource_id
        self.properties = properties
        self.inputs = None
        self.reasons = ("it is not ready",)


class Memory(protocol.Provider):
    """The provider. Several may share one world."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def configure(self, request: protocol.ConfigureRequest) -> protocol.ConfigureResponse:
        self.world.configured.append(plain_map(request.args))
        return protocol.ConfigureResponse(accept_secrets=True, supports_preview=True)

    async def diff_config(self, request: protocol.DiffRequest) -> protocol.DiffResponse:
        old, new = plain_map(request.old_state), plain_map(request.new_inputs)
        replaces = ["place"] if old.get("place") != new.get("place") else []
        return protocol.DiffResponse(changes=old != new, replaces=replaces)

    async def check(self, request: protocol.CheckRequest) -> protocol.CheckResponse:
        self.world.note("check", request.name)
        inputs = dict(request.new_inputs)
        failures = []
        if plain(inputs.get("value", PropertyValue.null())) == "invalid":
            failures.append(protocol.CheckFailure("value", "is not a good value"))
        inputs.setdefault("extra", PropertyValue("default"))
        return protocol.CheckResponse(inputs=inputs, failures=failures)

    async def diff(self, request: protocol.DiffRequest) -> protocol.DiffResponse:
        self.world.note("diff", request.name)
        old, new = plain_map(request.old_state), plain_map(request.new_inputs)
        details: dict[str, protocol.PropertyDiff] = {}
        replaces: list[str] = []
        kind = protocol.PropertyDiffKind
        for key in new:
            if key in request.ignore_changes or old.get(key) == new[key]:
                continue
            if key == "fixed":
                replaces.append(key)
            replace = kind.UPDATE_REPLACE if key == "fixed" else kind.UPDATE
            details[key] = protocol.PropertyDiff(replace, True)
        for key in old:
            if key not in new and key not in ("made", "echo"):
                details[key] = protocol.PropertyDiff(kind.DELETE, True)
        return protocol.DiffResponse(
            changes=bool(details),
            replaces=replaces,
            detailed_diff=details,
            diffs=list(details),
            delete_before_replace=bool(new.get("first")),
        )

    async def create(self, request: protocol.CreateRequest) -> protocol.CreateResponse:
        if request.preview:
            self.world.note("preview-create", request.name)
            return protocol.CreateResponse("", dict(request.properties))
        self.world.note("create", request.name)

        def make() -> int:
            self.world.made += 1
            made = self.world.counts.get(request.name, 0) + 1
            self.world.counts[request.name] = made
            self.world.things[f"{request.name}-{made}"] = plain_map(request.properties)
            return made

        number = self.world.change(make)
        id_ = f"{request.name}-{number}"
        outputs = dict(request.properties)
        outputs["made"] = PropertyValue(float(number))
        outputs["echo"] = PropertyValue(f"echo of {request.name}")
        self.world.note("created", request.name)
        if self.world.is_partial("create", request.name):
            raise PartlyDoneError(id_, outputs)
        return protocol.CreateResponse(id_, outputs)

    async def read(self, request: protocol.ReadRequest) -> protocol.ReadResponse:
        self.world.note("read", request.name)
        found = self.world.things.get(request.resource_id)
        if found is None:
            return protocol.ReadResponse("", {}, {})
        known = {
            key: value
            for key, value in request.properties.items()
            if key in found or key in ("made", "echo")
        }
        for key, value in found.items():
            if key not in known or plain(known[key]) != value:
                known[key] = wrap(value)
        inputs = {k: known[k] for k in found}
        return protocol.ReadResponse(request.resource_id, known, inputs)

    async def update(self, request: protocol.UpdateRequest) -> protocol.UpdateResponse:
        outputs = dict(request.news) | {key: request.olds[key] for key in ("made", "echo")}
        if request.preview:
            self.world.note("preview-update", request.name)
            return protocol.UpdateResponse(outputs)
        self.world.note("update", request.name)
        new = {request.resource_id: plain_map(request.news)}
        self.world.change(lambda: self.world.things.update(new))
        self.world.note("updated", request.name)
        if self.world.is_partial("update", request.name):
            raise PartlyDoneError(request.resource_id, outputs)
        return protocol.UpdateResponse(outputs)

    async def delete(self, request: protocol.DeleteRequest) -> None:
        self.world.note("delete", request.name)
        self.world.change(lambda: self.world.things.pop(request.resource_id, None))
        self.world.note("deleted", request.name)


class Adopting(Memory):
    """A provider whose creation takes over what is there under the same name, as ours do.

    `World.counts` says how often each thing was really made.
    """

    async def create(self, request: protocol.CreateRequest) -> protocol.CreateResponse:
        if request.preview:
            return await super().create(request)
        self.world.note("create", request.name)
        wanted = plain_map(request.properties)
        which = wanted.get("fixed", "1")
        id_ = f"{request.name}-{which}"

        def make() -> None:
            if id_ not in self.world.things:
                self.world.counts[id_] = self.world.counts.get(id_, 0) + 1
            self.world.things[id_] = wanted

        self.world.change(make)
        self.world.note("created", request.name)
        outputs = dict(request.properties)
        outputs["made"] = wrap(f"made {which}")
        outputs["echo"] = wrap(f"echo of {request.name}")
        return protocol.CreateResponse(id_, outputs)


def wrap(value: Any) -> PropertyValue:
    if isinstance(value, dict):
        return PropertyValue({k: wrap(v) for k, v in value.items()})
    if isinstance(value, list):
        return PropertyValue([wrap(v) for v in value])
    return PropertyValue(value)


class Thing(pulumi.CustomResource):
    """A resource of the test provider."""

    made: pulumi.Output[float]
    echo: pulumi.Output[str]
    value: pulumi.Output[Any]
    token: pulumi.Output[Any]

    def __init__(
        self, name: str, opts: pulumi.ResourceOptions | None = None, **inputs: Any
    ) -> None:
        inputs.setdefault("made", None)
        inputs.setdefault("echo", None)
        inputs.setdefault("value", None)
        super().__init__("mem:index:Thing", name, inputs, opts)


class MemProvider(pulumi.ProviderResource):
    """An explicit provider of the test package."""

    def __init__(
        self, name: str, opts: pulumi.ResourceOptions | None = None, **inputs: Any
    ) -> None:
        super().__init__("mem", name, inputs, opts)


class Group(pulumi.ComponentResource):
    """A component."""

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("test:index:Group", name, None, opts)
